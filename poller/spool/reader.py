"""Reads what a spool keeps of the stored entries, beside its owner and without changing anything."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from poller.errors import ConfigError, SpoolFullError
from poller.spool.database import DamagedFileError, translated
from poller.spool.row import Pending, decode, micros, row_from

_BUSY_SECONDS: Final = 10.0
_NEXT: Final = (
    "SELECT id, appended_at, crc, entry, stored_at FROM entries"
    " WHERE (stored_at, id) > (?, ?) AND stored_at < ? ORDER BY stored_at, id LIMIT ?"
)
Place = tuple[int, int]
"""When an entry was stored, in µs since the epoch, and its id."""

_COUNT: Final = "SELECT count(*) FROM entries WHERE stored_at >= ? AND stored_at < ?"


@dataclass(frozen=True, slots=True)
class Stored:
    """Some stored entries.

    Attributes:
        entries: In the order in which they were stored.
        unreadable: How many rows between them cannot be read.
        last: To go on behind; None when there are no more.
    """

    entries: Sequence[Pending]
    unreadable: int
    last: Place | None


class SpoolReader:
    """The entries of a spool that were stored from `since` until before `until`, by the clock of its host.

    Every call opens the file anew and holds it no longer than it needs, so that the owner's log does not grow meanwhile
    and a damaged file can be rescued under us. All of them block.

    Raises:
        ConfigError: There is no spool at this path.
        SpoolFullError: The file cannot be read now.
    """

    def __init__(self, path: Path, *, since: datetime, until: datetime) -> None:
        if not path.is_file():
            raise ConfigError([f"spool.path: there is no spool at {path}"])
        self._address = f"{path.absolute().as_uri()}?mode=ro"
        self.first: Place = (micros(since), -1)
        self._until = micros(until)

    def count(self) -> int:
        """Return how many there are."""
        return int(self._rows(_COUNT, self.first[0], self._until)[0][0])

    def after(self, last: Place, *, limit: int) -> Stored:
        """Return up to `limit` of those behind a place; `first` is before all."""
        rows = self._rows(_NEXT, *last, self._until, limit)
        entries = []
        for *columns, _ in rows:
            row = row_from(columns)
            if row is not None and row.intact:
                with suppress(ValueError):  # of a newer release
                    entries.append(Pending(row.id, decode(row.entry)))
        return Stored(entries, len(rows) - len(entries), (rows[-1][4], rows[-1][0]) if rows else None)

    def _rows(self, query: str, *parameters: int) -> list[tuple[int, ...]]:
        try:
            with translated(), closing(sqlite3.connect(self._address, uri=True, timeout=_BUSY_SECONDS)) as connection:
                return connection.execute(query, parameters).fetchall()
        except (DamagedFileError, sqlite3.DatabaseError) as error:
            raise SpoolFullError(f"the spool cannot be read: {error}") from error
