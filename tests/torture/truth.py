"""What was acknowledged, read from the spools, and what became of it, read from the database."""

import shutil
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from poller.entries import understand
from poller.observation import Entry, Observation, RunStarted, RunStopped
from poller.records import AccountTotals, AssetBalance, Position, Snapshot
from poller.spool.row import decode

Key = tuple[datetime, str, str]
Rows = Counter[tuple[object, ...]]

_CHILDREN: Final = {"account_totals": AccountTotals, "asset_balances": AssetBalance, "positions": Position}
_OK: Final = "ok"
_NOT_STORED: Final = "stored_at = 9223372036854775807"


@dataclass(slots=True)
class Witness:
    """Everything that one spool was ever seen to hold."""

    path: Path
    entries: dict[int, bytes] = field(default_factory=dict)

    def look(self) -> Sequence[Entry]:
        """Return what was appended since the last look; nobody may use the spool meanwhile."""
        new = self._read(max(self.entries, default=0))
        self.entries |= new
        return [decode(entry) for entry in new.values()]

    def vanished(self) -> int:
        """Count what is no longer in the spool as it was seen."""
        now = self._read(0)
        return sum(now.get(row_id) != entry for row_id, entry in self.entries.items())

    def waiting(self) -> int:
        """Count what is not marked as stored."""
        return len(self._read(0, _NOT_STORED))

    def stored(self) -> list[Entry]:
        """Return what is marked as stored."""
        return [decode(entry) for entry in self._read(0, f"NOT {_NOT_STORED}").values()]

    def all(self) -> list[Entry]:
        """Return every entry."""
        return [decode(entry) for entry in self.entries.values()]

    def _read(self, after: int, which: str = "true") -> dict[int, bytes]:
        # Of a copy: to open the file itself would replay its log, which is what the next life has to do.
        with tempfile.TemporaryDirectory() as folder, suppress(sqlite3.OperationalError):
            for name in (self.path.name, f"{self.path.name}-wal"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(self.path.with_name(name), Path(folder) / name)
            query = f"SELECT id, entry FROM entries WHERE id > ? AND {which}"  # noqa: S608 - our own words
            with closing(sqlite3.connect(Path(folder) / self.path.name)) as copy:
                return dict(copy.execute(query, (after,)))
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the database holds.

    Attributes:
        polls: The status of each.
        rows: The children of each: table and values.
        raw: The reply that was kept of each.
        runs: When each began and ended in good order.
    """

    polls: Mapping[Key, str]
    rows: Mapping[Key, Rows]
    raw: Mapping[Key, bytes]
    runs: Mapping[str, tuple[datetime, datetime | None]]

    @classmethod
    def of(cls, url: str) -> "History":
        """Read it all."""
        rows: defaultdict[Key, Rows] = defaultdict(Counter)
        with psycopg.connect(url) as connection:
            for table, record in _CHILDREN.items():
                names = [each.name for each in fields(record)]
                for time, account, market, *values in connection.execute(_select(table, names)):
                    rows[time, account, market][table, *values] += 1
            found = connection.execute(_select("polls", ["status"])).fetchall()
            polls = {(time, account, market): status for time, account, market, status in found}
            if len(polls) != len(found):
                raise AssertionError("a tick has two rows in polls")
            kept = connection.execute(_select("raw_payloads", ["body"]))
            raw = {(time, account, market): body for time, account, market, body in kept}
            runs = {
                instance: (started, stopped)
                for instance, started, stopped in connection.execute(
                    "SELECT instance, started_at, stopped_at FROM poller.runs"
                )
            }
        return cls(polls=polls, rows=dict(rows), raw=raw, runs=runs)

    @property
    def crashed(self) -> int:
        """How many runs did not end in good order."""
        return sum(stopped is None for _, stopped in self.runs.values())

    def lost(self, entries: Iterable[Entry]) -> int:
        """Count what was acknowledged and is not here, or with a worse status."""
        return sum(not self._holds(entry) for entry in entries)

    def mixed(self, entries: Iterable[Entry]) -> int:
        """Count the polls whose rows are not exactly those of their one reply, and rows that belong to no reply."""
        expected: dict[Key, tuple[Rows, bytes | None]] = {}
        for entry in entries:
            if isinstance(entry, Observation):
                snapshot = understand(entry).snapshot
                raw = snapshot.raw.body if snapshot.raw else None
                expected[entry.time, entry.account, entry.market.value] = rows_of(snapshot), raw
        keys = self.polls.keys() | self.rows.keys() | self.raw.keys()
        return sum((self.rows.get(key, Counter()), self.raw.get(key)) != expected.get(key) for key in keys)

    def _holds(self, entry: Entry) -> bool:
        match entry:
            case Observation():
                status = self.polls.get((entry.time, entry.account, entry.market.value))
                return status in {_OK, understand(entry).snapshot.poll.status.value}
            case RunStarted():
                return entry.instance in self.runs
            case RunStopped():
                return self.runs.get(entry.instance, (None, None))[1] == entry.stopped_at
            case _:
                return True


def rows_of(snapshot: Snapshot) -> Rows:
    """Return the children of a snapshot as the database should hold them."""
    records = {
        "account_totals": (snapshot.totals,) if snapshot.totals else (),
        "asset_balances": snapshot.assets,
        "positions": snapshot.positions,
    }
    return Counter(
        (table, *(getattr(record, each.name) for each in fields(record)))
        for table, found in records.items()
        for record in found
    )


def decided_twice(entries: Iterable[Entry]) -> int:
    """Count the ticks that more than one entry decides."""
    ticks = Counter((entry.time, entry.account, entry.market) for entry in entries if isinstance(entry, Observation))
    return sum(count - 1 for count in ticks.values())


def _select(table: str, names: Iterable[str]) -> Composed:
    columns = SQL(", ").join(map(Identifier, ("time", "account", "market", *names)))
    return SQL("SELECT {} FROM {}").format(columns, Identifier("poller", table))
