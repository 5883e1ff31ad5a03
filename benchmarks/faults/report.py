"""The cells as Markdown."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from benchmarks.faults.catalogue import FAULTS
from benchmarks.faults.cell import RULES, SEED, Cell, Right
from benchmarks.faults.columns import COLUMNS, OURS
from benchmarks.faults.scripts import Terms

_MARKET = {"usdm": "USDⓈ-M", "coinm": "COIN-M"}
_SAID = 150
_VARYING = (
    (re.compile(r"127\.0\.0\.1[:', ]+\d+|127\.0\.0\.1"), "HOST"),
    (re.compile(r"\b\d{13}\b"), "TIME"),
    (re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{16,}\b"), "…"),
    (re.compile(r"\s+"), " "),
)

_HEAD = """# Faults, side by side

Written by `make -C benchmarks faults`; not by hand. Every client below polls the same account of the same simulated
exchange (seed {seed}) once a second, meets one fault, and is watched until three polls in a row are good again on every
market that it polls, or until {patience:g} s after the fault's end.

| package | version |
|---|---|
{versions}

## In one table

The longest time in seconds without a good account reply since the fault began, on the worse market; 1 is the interval
itself. **no**: it did not recover while it was watched. In brackets: whether the caller was told the cause, and under
`ban` how much was sent meanwhile.

"""

_METHOD = """## How it is measured

- Each cell has an exchange, a port and a process of its own; nothing leaves the machine. A peer's process may reach no
  other address.
- Every reply takes {latency:g} ms, as over a network. unicorn's waiting call notes its request after it has sent it,
  and would miss some replies that come at once.
- A peer is driven by one loop: after a good reply it asks again when a second has passed since the last question, after
  an error it waits a second; always with the same client object. An error is an exception, or a return value that holds
  one.
- Ours is `poller run` with an interval of 1 s on both markets at once and a real PostgreSQL. A poll counts when its row
  is committed, and an error is the `status` and `error_message` of its row.
- *seconds blind* are of the host's clock. *sent while banned* counts requests, handshakes and REST calls that came
  later than half a second after the first refusal.
- *right error*: `yes` if one of the errors names the cause, as each section says; `no poll failed` if the caller got no
  error, and its answers in the end.

## What it does not show

- The peers are libraries and ours is a program. Their caller can give up slow calls, make a new client after an error,
  measure the clock again and stop at 418 by itself; the loop adds none of that, because it is what is compared.
- No call has a limit of time but the library's own. Where that is longer than the watch (ccxt looks for a silent socket
  of this exchange every 180 s) or where there is none, the call did not return.
- python-binance is made without its `create`, which would ask the spot exchange for the time once; ccxt has
  `adjustForTimeDifference` on and `fetchCurrencies` off; the others have their defaults. python-binance and
  unicorn-binance-websocket-api have no WebSocket API address for COIN-M.
- Under `clock` the exchange's time goes back by 5 s. Ours has its answer within the same tick, and no tick in the next
  5 s, because it polls no instant of the exchange's time twice.
- The simulated exchange is ours, written from the exchange's documents. Its ban here has a fixed length and leaves the
  sockets open; by the documents, repeated bans grow longer.
- One run; delays that clients draw at random, and the load of the machine, move the seconds.
"""


def document(cells: Sequence[Cell], terms: Terms, versions: Mapping[str, str]) -> str:
    """Return the whole document; it holds no date."""
    rows = "\n".join(f"| {package} | {version} |" for package, version in versions.items())
    head = _HEAD.format(seed=SEED, patience=terms.patience, versions=rows)
    sections = "\n".join(_section(fault, cells, terms) for fault in FAULTS)
    return f"{head}{summary(cells)}\n\n{sections}\n{_METHOD.format(latency=RULES.latency * 1000)}"


def summary(cells: Sequence[Cell]) -> str:
    """Return one row a fault and one column a client."""
    clients = list(dict.fromkeys(cell.client for cell in cells))
    found = {(cell.fault, cell.client): cell for cell in cells}
    lines = ["| | " + " | ".join(map(title, clients)) + " |", "|---|" + "---|" * len(clients)]
    for fault in dict.fromkeys(cell.fault for cell in cells):
        inside = " | ".join(_short(found[fault, client]) for client in clients)
        lines.append(f"| [{fault}](#{fault}) | {inside} |")
    return "\n".join(lines)


def title(client: str) -> str:
    """Return a client's name for people."""
    if client == OURS:
        return "ours"
    column = COLUMNS[client]
    name = column.module.replace("official", "official SDK").replace("ccxt_pro", "ccxt").replace("_", "-")
    return f"{name} {_MARKET[column.market]}"


def _short(cell: Cell) -> str:
    seconds = "**no**" if cell.blind is None else f"{_whole(cell.blind)} s"
    banned = f", {cell.sent_while_banned} sent" if cell.sent_while_banned is not None else ""
    return f"{seconds} ({_told(cell)}{banned})"


def _whole(seconds: float) -> str:
    return str(max(1, round(seconds)))


def _told(cell: Cell) -> str:
    return {Right.YES: "told", Right.NO: "not told", Right.EXACT: "exact"}.get(cell.right, cell.right.value)


def _section(fault: str, cells: Sequence[Cell], terms: Terms) -> str:
    facts = FAULTS[fault]
    text = f"{facts.what.format(**asdict(terms))} The right error: {facts.right}."
    return (
        f"## {fault}\n\n{textwrap.fill(text, 120)}\n\n"
        + "\n".join(_rows([cell for cell in cells if cell.fault == fault]))
        + "\n"
    )


def _rows(cells: Sequence[Cell]) -> Iterator[str]:
    has_ban = any(cell.sent_while_banned is not None for cell in cells)
    yield "| client | recovered | seconds blind | right error |" + " sent while banned |" * has_ban + " said first |"
    yield "|---|---|---|---|" + "---|" * has_ban + "---|"
    for cell in cells:
        blind = "" if cell.blind is None else _whole(cell.blind)
        sent = f" {cell.sent_while_banned} |" if has_ban else ""
        recovered = "yes" if cell.recovered else "no"
        yield f"| {title(cell.client)} | {recovered} | {blind} | {cell.right} |{sent} {_quoted(cell.said)} |"


def _quoted(said: str) -> str:
    for pattern, replacement in _VARYING:
        said = pattern.sub(replacement, said)
    said = said.replace("|", "/").replace("`", "'").strip()
    return f"`{said if len(said) <= _SAID else said[:_SAID] + '…'}`" if said else ""
