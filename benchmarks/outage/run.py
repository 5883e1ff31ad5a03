"""One outage: all writers write into one PostgreSQL, which is killed and comes back."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks.outage.writers import ACCOUNTS, Writer, ours, peer
from poller.observation import Market
from poller.simulator import SimulatedExchange
from poller.storage.embedded import EmbeddedPostgres

OUTAGE_SECONDS: Final = 10.0
OURS: Final = "ours"
PEERS: Final = {"cryptofeed": "cryptofeed_postgres", "dlt": "dlt_postgres"}

_STARTING_SECONDS: Final = 60.0
_STEADY_SECONDS: Final = 5.0
_AFTERWARDS_SECONDS: Final = 15.0
_POLLS: Final = frozenset({"account.status", "v2/account.status"})
# As in the files that come with cryptofeed.
_CRYPTOFEED_TABLE: Final = (
    "CREATE TABLE trades (id serial PRIMARY KEY, timestamp TIMESTAMP, receipt_timestamp TIMESTAMP,"
    " exchange VARCHAR(32), symbol VARCHAR(32), side VARCHAR(8), amount NUMERIC(64, 32), price NUMERIC(64, 32),"
    " trade_id VARCHAR(64), order_type VARCHAR(32))"
)
_STORED: Final = {
    "cryptofeed": "SELECT trade_id::bigint FROM trades",
    "dlt": "SELECT number FROM dlt_outage.trades",
    OURS: "SELECT ROW(time, account, market)::text FROM poller.polls WHERE status = 'ok'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one writer.

    Attributes:
        written: Rows that it was given; for ours, polls that the exchange answered.
        told: The first of what it told of the outage; empty when it told nothing.
    """

    writer: str
    written: int
    kept: int
    doubled: int
    told: str

    @property
    def lost(self) -> int:
        """Rows that are not in the database."""
        return self.written - self.kept


async def outage(server: EmbeddedPostgres, folder: Path, *, kill: bool) -> Sequence[Result]:
    """Let all writers meet one outage; `kill` ends their processes in its middle and starts them again."""
    _execute(server.url, _CRYPTOFEED_TABLE)
    async with SimulatedExchange(seed=1) as exchange:
        writers = [peer(name, module, url=server.url, folder=folder / name) for name, module in PEERS.items()]
        writers.append(ours(OURS, exchange, url=server.url, folder=folder / OURS))
        for label in ACCOUNTS:  # the first reply of an account takes long, and would come after its deadline
            for market in Market:
                exchange.result(label, market)
        for writer in writers:
            await writer.start()
        await _all_store(server.url)
        await asyncio.sleep(_STEADY_SECONDS)
        await _go_through(server, writers, kill=kill)
        await asyncio.gather(*(writer.end() for writer in writers))
        answered = sum(seen.method in _POLLS for seen in exchange.journal.requests)
    return [_result(server.url, writer, answered) for writer in writers]


async def _go_through(server: EmbeddedPostgres, writers: Sequence[Writer], *, kill: bool) -> None:
    for writer in writers:
        writer.is_heard = True
    os.kill(int((server._data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)  # noqa: SLF001 - our own
    await asyncio.sleep(OUTAGE_SECONDS / 2)
    if kill:
        await asyncio.gather(*(writer.kill() for writer in writers))
        for writer in writers:
            await writer.start()
    await asyncio.sleep(OUTAGE_SECONDS / 2)
    await asyncio.to_thread(server.ensure_running)
    await asyncio.sleep(_AFTERWARDS_SECONDS)


async def _all_store(url: str) -> None:
    async with asyncio.timeout(_STARTING_SECONDS):
        while not all(_rows(url, query) for query in _STORED.values()):  # noqa: ASYNC110 - nothing announces rows
            await asyncio.sleep(0.5)


def _result(url: str, writer: Writer, answered: int) -> Result:
    stored = Counter(_rows(url, _STORED[writer.name]))
    return Result(
        writer=writer.name,
        written=answered if writer.name == OURS else len(writer.written),
        kept=len(stored) if writer.name == OURS else len(stored.keys() & writer.written),
        doubled=sum(stored.values()) - len(stored),
        told=writer.told[0] if writer.told else "",
    )


def _rows(url: str, query: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            return [row for (row,) in connection.execute(query.encode())]
        except psycopg.errors.UndefinedTable:
            return []


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())
