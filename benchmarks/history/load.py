"""Fills a database with a made-up history, see `generator.sql`: every day by itself, on two connections."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, Queue
from typing import Final

import psycopg

from poller.storage.schema import upgrade

LOADING: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "8GB",
    "autovacuum": "off",
    "maintenance_work_mem": "512MB",
}
"""Settings of a server that nothing is expected of but speed."""

_SCRIPTS: Final = ("generator.sql", "rows.sql")
_CONNECTIONS: Final = 2
_PATIENCE_SECONDS: Final = 0.2
_MONTH: Final = timedelta(days=30.4375)
_ROWS_BESIDE_POSITIONS: Final = 5  # a poll, its totals and three assets
_EXPECTED: Final = """
SELECT (sum(extract(epoch FROM accounts.until - accounts.since) / interval_seconds * (%s + accounts.positions)))::bigint
FROM history.accounts CROSS JOIN history.settings
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much history; `accounts` counts the busy one and those that are loaded beside it for 35 days."""

    seed: int
    interval_seconds: int
    positions: int
    accounts: int
    since: datetime
    until: datetime

    @classmethod
    def until_today(cls, *, months: float, interval_seconds: int, positions: int, accounts: int, seed: int) -> "Size":
        """Return the size of a history that ends with yesterday."""
        until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        days = max(1, round(months * _MONTH / timedelta(days=1)))
        return cls(
            seed=seed,
            interval_seconds=interval_seconds,
            positions=positions,
            accounts=accounts,
            since=until - timedelta(days=days),
            until=until,
        )

    @property
    def days(self) -> list[datetime]:
        """The days of the history, the first one first."""
        return [self.since + timedelta(days=day) for day in range((self.until - self.since).days)]


def load(url: str, size: Size, advance: Callable[[int, int], None]) -> int:
    """Build the schema in an empty database and fill it; return the number of rows.

    `advance` is told how many rows are stored, and about how many there will be.
    """
    upgrade(url, lambda _: None)
    expected = _lay_down(url, size)
    stored = 0
    days = size.days
    # Neighbouring days to one connection: rows lie in the order of time, as they do when they are recorded.
    half = len(days) // 2
    told: Queue[int] = Queue()
    with ThreadPoolExecutor(_CONNECTIONS) as threads:
        parts = [threads.submit(_store, url, part, told.put) for part in (days[:half], days[half:])]
        while not all(part.done() for part in parts) or not told.empty():
            with suppress(Empty):
                stored += told.get(timeout=_PATIENCE_SECONDS)
                advance(stored, expected)
    for part in parts:
        part.result()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
    return stored


def roll_up(url: str, advance: Callable[[int, int], None]) -> None:
    """Bring the hourly tables up to date, as the daemon does; `advance` is told the hours that are done, and all."""
    with psycopg.connect(url, autocommit=True) as connection:
        hours = "SELECT count(*) FROM (SELECT DISTINCT hour, account, market FROM poller.rollup_queue) AS hours"
        ((queued,),) = connection.execute(hours).fetchall()
        done = 0
        while finished := connection.execute("SELECT poller.refresh_rollups(100)").fetchone():
            if not finished[0]:
                break
            done += finished[0]
            advance(done, queued)
        connection.execute("VACUUM (ANALYZE)")


def _lay_down(url: str, size: Size) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        for script in _SCRIPTS:
            connection.execute(Path(__file__).with_name(script).read_bytes())
        connection.execute("INSERT INTO history.settings VALUES (%s, %s, %s, %s, %s, %s)", astuple(size))
        connection.execute("CALL history.lay_down()")
        found = connection.execute(_EXPECTED, (_ROWS_BESIDE_POSITIONS,)).fetchone()
    assert found
    return int(found[0])


def _store(url: str, days: Iterable[datetime], tell: Callable[[int], None]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for day in days:
            found = connection.execute("SELECT history.store_day(%s)", (day,)).fetchone()
            assert found
            tell(int(found[0]))
