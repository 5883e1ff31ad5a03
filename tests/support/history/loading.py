"""The made-up history in a database, stored as the daemon stores it."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta

import psycopg

from poller.observation import AssetModeSource, Environment, Market, ModesMeasured
from poller.storage.store import Store
from tests.support.database import execute
from tests.support.history.accounts import ACTORS
from tests.support.history.dataset import Stored, history
from tests.support.history.listing import BEGIN, END, contracts
from tests.support.history.recorder import RUNS

_TOGETHER = 64


def load(url: str) -> None:
    """Store the whole history in a database at the newest revision; what it says of clocks is that of the history."""
    for day in range((END - BEGIN).days):
        execute(url, "SELECT poller.ensure_partitions(%s)", BEGIN + timedelta(days=day))
    asyncio.run(_store(url))
    _set_the_clock_back(url)
    _refresh_rollups(url)
    execute(url, "ANALYZE")


async def _store(url: str) -> None:
    store = Store(url)
    await store.open()
    for market in Market:
        await store.save_contracts(Environment.SIMULATED, market, contracts(market))
    for run in RUNS:
        await store.save_run_started(run.started())
        if stopped := run.stopped():
            await store.save_run_stopped(stopped)
    for actor in ACTORS:
        if actor.market is Market.USDM:
            await store.save_modes(
                ModesMeasured(
                    account=actor.account,
                    environment=Environment.SIMULATED,
                    asset_mode=actor.asset_mode,
                    position_mode=actor.position_mode,
                    source=AssetModeSource.EXCHANGE,
                    measured_at=actor.mode_known_from,
                )
            )
    for polls in _batches(history()):
        await store.save_all([stored.snapshot for stored in polls])
    await store.close()


def _refresh_rollups(url: str) -> None:
    """Make the hours of the history, and none of the many that have passed since: they are the last of the queue."""
    hours = "SELECT count(DISTINCT (hour, account, market))::integer FROM poller.rollup_queue WHERE hour < %s"
    while (queued := execute(url, hours, END)[0][0]) != 0:  # a call ends after four seconds, done or not
        execute(url, "SELECT poller.refresh_rollups(%s)", queued)


def _batches(polls: Sequence[Stored]) -> Iterator[Sequence[Stored]]:
    """Yield polls that may be stored together: no two of one tick."""
    for replacement in (False, True):
        part = [stored for stored in polls if stored.replacement is replacement]
        yield from (part[first : first + _TOGETHER] for first in range(0, len(part), _TOGETHER))


def _set_the_clock_back(url: str) -> None:
    """Let the database have stored everything when the history says so."""
    rows = [
        (stored.snapshot.poll.time, stored.snapshot.poll.account, stored.snapshot.poll.market.value,
         stored.stored_at, stored.renormalized_at)
        for stored in history()
    ]  # fmt: skip
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE said ("
            "time timestamptz, account text, market text, stored_at timestamptz, renormalized_at timestamptz)"
        )
        with cursor.copy("COPY said FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(
            "UPDATE poller.polls SET stored_at = said.stored_at, renormalized_at = said.renormalized_at "
            "FROM (SELECT time, account, market, max(stored_at) AS stored_at, max(renormalized_at) AS renormalized_at "
            "FROM said GROUP BY time, account, market) AS said "
            "WHERE (polls.time, polls.account, polls.market) = (said.time, said.account, said.market)"
        )
        cursor.execute(
            "UPDATE poller.accounts SET created_at = first.stored_at "
            "FROM (SELECT account, min(stored_at) AS stored_at FROM said GROUP BY account) AS first "
            "WHERE first.account = accounts.account"
        )
        cursor.execute("UPDATE poller.contracts SET updated_at = '2026-02-27 00:00:01+00'")
