"""Clients as processes of their own, and what came of each of their polls."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from poller.observation import Market
from poller.simulator import SimulatedExchange

CHECKOUT = Path(__file__).parents[2]
PEERS_PYTHON = CHECKOUT / "benchmarks" / ".venv" / "bin" / "python"

_LINE_BYTES = 2**20
_ACCOUNT = "main"
_CONFIG = """
exchange:
  environment: simulated
  markets:
    usdm: {{ws_url: "{usdm_ws}", rest_url: "{rest}"}}
    coinm: {{ws_url: "{coinm_ws}", rest_url: "{rest}"}}
accounts:
  - name: {account}
    interval: 1s
    api_key: ${{BINANCE_API_KEY}}
    api_secret: ${{BINANCE_API_SECRET}}
spool: {{path: spool.sqlite}}
log: {{format: json}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one poll.

    Attributes:
        at: When the caller had it; the host's seconds since the epoch.
        balance: The first wallet balance, as the client gives it.
        error: None for an account that was read.
        time: The tick, for ours.
    """

    at: float
    market: Market
    balance: str | None = None
    error: str | None = None
    time: str | None = None


class Client:
    """A running client and its outcomes so far."""

    def __init__(self, markets: tuple[Market, ...]) -> None:
        self.markets = markets
        self.outcomes: list[Outcome] = []
        self.has_ended = False
        self._changed = asyncio.Event()

    def after(self, at: float, market: Market) -> list[Outcome]:
        """Return what came of a market since `at`."""
        return [outcome for outcome in self.outcomes if outcome.at > at and outcome.market is market]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return as soon as `holds`, which can change with each outcome.

        Raises:
            EOFError: The process has ended before.
        """
        while not holds():
            if self.has_ended:
                raise EOFError("the process ended")
            self._changed.clear()
            await self._changed.wait()

    async def balance(self, outcome: Outcome) -> str:
        """Return the wallet balance that the caller got."""
        return outcome.balance or ""

    async def read(self, stream: asyncio.StreamReader, parse: Callable[[Mapping[str, Any]], Outcome | None]) -> None:
        """Note all outcomes until the process ends."""
        while line := await stream.readline():
            outcome = parse(json.loads(line)) if line.startswith(b"{") else None
            if outcome is not None:
                self.outcomes.append(outcome)
                self._changed.set()
        self.has_ended = True
        self._changed.set()


class Ours(Client):
    """The program; a poll has come when its row is committed."""

    def __init__(self, database_url: str, account: str) -> None:
        super().__init__(tuple(Market))
        self._database_url = database_url
        self._account = account

    async def balance(self, outcome: Outcome) -> str:
        """Look it up in the history."""
        query = (
            "SELECT max(wallet_balance)::text FROM poller.asset_balances WHERE (account, market, time) = (%s, %s, %s)"
        )
        key = (self._account, outcome.market.value, datetime.fromisoformat(outcome.time or ""))
        async with await psycopg.AsyncConnection.connect(self._database_url) as connection:
            found = await (await connection.execute(query, key)).fetchone()
        return str(found[0]) if found else ""


@asynccontextmanager
async def peer(exchange: SimulatedExchange, *, module: str, market: Market) -> AsyncIterator[Client]:
    """Run a library that asks one market; it is killed at the end, for some cannot be ended otherwise."""
    key = exchange.add_account(_ACCOUNT)
    place = {
        "market": market.value,
        "ws_url": exchange.ws_url(market),
        "rest_url": exchange.rest_url(market),
        "api_key": key.api_key,
        "api_secret": key.api_secret,
    }
    process = await asyncio.create_subprocess_exec(
        PEERS_PYTHON, "-m", "benchmarks.faults.peer", module,
        cwd=CHECKOUT, env={"PATH": os.environ["PATH"]}, stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(f"{json.dumps(place)}\n".encode())
    client = Client((market,))

    def parse(line: Mapping[str, Any]) -> Outcome:
        return Outcome(at=line["at"], market=market, balance=line["balance"], error=line["error"])

    async with _reading(client, process, process.stdout, parse):
        yield client


@asynccontextmanager
async def ours(
    exchange: SimulatedExchange, *, directory: Path, database_url: str, account: str
) -> AsyncIterator[Client]:
    """Run `poller run` on both markets once a second, with its configuration and spool in `directory`."""
    key = exchange.add_account(_ACCOUNT)
    config = _CONFIG.format(
        usdm_ws=exchange.ws_url(Market.USDM),
        coinm_ws=exchange.ws_url(Market.COINM),
        rest=exchange.rest_url(Market.USDM),
        account=account,
    )
    (directory / "config.yaml").write_text(config, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", "run",
        cwd=directory,
        env={
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database_url,
            "BINANCE_API_KEY": key.api_key,
            "BINANCE_API_SECRET": key.api_secret or "",
        },
        stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, limit=_LINE_BYTES,
    )  # fmt: skip
    client = Ours(database_url, account)
    async with _reading(client, process, process.stderr, _stored):
        yield client


def _stored(line: Mapping[str, Any]) -> Outcome | None:
    if line.get("event") != "poll stored":
        return None
    is_ok = line["status"] == "ok"
    return Outcome(
        at=datetime.fromisoformat(line["timestamp"]).timestamp(),
        market=Market(line["market"]),
        error=None if is_ok else f"{line['status']}: {line.get('error')}",
        time=line["time"],
    )


@asynccontextmanager
async def _reading(
    client: Client,
    process: Process,
    stream: asyncio.StreamReader | None,
    parse: Callable[[Mapping[str, Any]], Outcome | None],
) -> AsyncIterator[None]:
    assert stream is not None
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(client.read(stream, parse))
        try:
            yield
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
