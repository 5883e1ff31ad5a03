"""The results as Markdown."""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Final

from benchmarks.outage.peer import ROWS_PER_SECOND
from benchmarks.outage.run import OUTAGE_SECONDS, Result
from benchmarks.outage.writers import ACCOUNTS

_SAID: Final = 120
_VARYING: Final = (
    (re.compile(r"port \d+"), "port …"),
    (re.compile(r"\d+\.\d{5,}"), "…"),
    (re.compile(r"\s+"), " "),
)

_TEXT: Final = """# An outage of the database, side by side

Written by `make -C benchmarks outage`; not by hand. Three programs write into one PostgreSQL, each into tables of its
own. After a while its postmaster gets SIGKILL; {seconds:g} s later the server is started again. Meanwhile all go on
writing, and afterwards for 15 s more, and are then ended in good order.

| package | version |
|---|---|
{versions}

## The writers live on

{survived}

## The writers are killed, too

In the middle of the outage each writer's process gets SIGKILL and is started again at once, with the files that it had.

{killed}

*told*: the first that the writer told its caller, or wrote to standard error, between the outage's begin and its own
end.

## How it is measured

- A peer's row has a number, which is noted before the library gets it, {rows} a second. *written* counts the numbers,
  *kept* those that are in the table at the end, *doubled* the rows beyond the first of each number.
- cryptofeed is its PostgreSQL backend for trades, called as its feeds call it, with the table that its documentation
  gives. Its queue is the library's.
- dlt runs one pipeline once a second with the rows that came since. After an error it loads what is pending before
  anything new, as its documentation asks. Rows that wait for the next run are in a list of the caller's, which repeats
  what the library did not take.
- Ours is `poller run` with {accounts} accounts on both markets once a second: {polls} polls a second, about what the
  weight limit of one address allows. A poll is counted as one row here, whatever it holds: *written* are those that the
  simulated exchange answered, *kept* the `ok` ones in `polls`. An answer that came after its deadline would be written
  and not kept, although its row says `timeout`.
- All of it runs on one machine; a peer's process may reach no other.

## What it does not show

- The peers are libraries. Their caller can look after the writer's task, keep rows until they are stored, and write a
  log of its own; the program here does that, and does nothing else.
- cryptofeed serves live market data, where the next row replaces the last and a loss of some is meant to be borne. It
  is the newest release for the Python of this run: releases for Python 3.13 (3.0 and later) try a batch several times
  before they drop it, and count what they dropped. `make -C benchmarks PYTHON=python3.13 outage` measures those.
- dlt loads batches, mostly by the hour. What a kill costs here are the rows in the caller's list and what the library
  had not yet extracted; a caller that takes rows from a source that can be read again loses none of them.
- What nobody asked for while a process was dead is in no number. Ours lists it in `poll_gaps`.
- One run, one machine, one kind of outage: an orderly stop, a lost network or a full disk may end otherwise.
"""


def document(found: Mapping[bool, Sequence[Result]], versions: Mapping[str, str]) -> str:
    """Return the whole document from the results without and with kills of the writers; it holds no date."""
    packages = {"futures-account-poller": version("futures-account-poller"), **versions}
    return _TEXT.format(
        seconds=OUTAGE_SECONDS,
        rows=ROWS_PER_SECOND,
        accounts=len(ACCOUNTS),
        polls=2 * len(ACCOUNTS),
        versions="\n".join(f"| {name} | {number} |" for name, number in packages.items()),
        survived="\n".join(_table(found[False])),
        killed="\n".join(_table(found[True])),
    )


def _table(results: Sequence[Result]) -> Iterator[str]:
    yield "| writer | written | kept | lost | doubled | told |"
    yield "|---|---|---|---|---|---|"
    for result in reversed(results):
        numbers = f"{result.written} | {result.kept} | {result.lost} | {result.doubled}"
        yield f"| {result.writer} | {numbers} | {_quoted(result.told)} |"


def _quoted(said: str) -> str:
    for pattern, replacement in _VARYING:
        said = pattern.sub(replacement, said)
    said = said.replace("|", "/").replace("`", "'").strip()
    return f"`{said if len(said) <= _SAID else said[:_SAID] + '…'}`" if said else "nothing"
