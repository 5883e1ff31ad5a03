"""The entries in the spool's file: each call is one transaction, all calls come from one thread.

A row of `entries` is written once; only its `stored_at` changes, and all its values take eight bytes, so that marking
a row as stored never needs space that a full file does not have.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from poller.errors import PollerError, SpoolFullError
from poller.observation import Market
from poller.spool.carve import PAGE_SIZE
from poller.spool.database import DamagedFileError, Database
from poller.spool.notes import LONGEST, Note, NoteValue, read_notes, set_notes_aside, write_notes
from poller.spool.room import UNLIMITED_PAGES, Room, with_room
from poller.spool.row import Pending, Row, Tick, decode, entry_crc, from_micros, micros, row_from, tick_crc
from poller.spool.schema import connect

STEP_ROWS: Final = 500
"""The most rows that `purge` and `offer_again` treat in one call, so that an append waits for no more."""

_STEP_BYTES: Final = 8 * 1024 * 1024
_NOT_STORED: Final = 2**63 - 1  # later than any time
_WRONG_CHECKSUM: Final = "wrong checksum"
_NOTE_TICK: Final = (
    "INSERT INTO last_ticks VALUES (?, ?, ?, ?) ON CONFLICT (account, market)"
    " DO UPDATE SET time = excluded.time, crc = excluded.crc WHERE excluded.time > time"
)
_DISCARD: Final = (
    "DELETE FROM damaged WHERE id IN (SELECT id FROM entries)"
    " OR rowid NOT IN (SELECT min(rowid) FROM damaged GROUP BY id, entry)"
)  # a row may be whole in one place of a damaged file and not in another


@dataclass(frozen=True, slots=True)
class Record:
    """An entry that is to be appended, and the tick that it decides."""

    entry: bytes
    tick: Tick | None


class SpoolFile:
    """An open spool; the attributes are as of the last call.

    Attributes:
        recorder: The identity that the spool got when it was made.
        last_id: The highest that any row ever had.
        last_stored: When an entry was stored last, in microseconds since 1970; never goes back.
        depth: Entries that are not stored.
        damaged: Rows that were set aside because they could not be read.
        size_bytes: Of the pages in use; the file may be larger, for it keeps the space that it once took.
        oldest_at: When the oldest entry that is not stored was appended.
    """

    def __init__(self, path: Path, *, max_size: int, now: Callable[[], datetime], recorder: str | None = None) -> None:
        self._now = now
        self._room = Room(path.parent, max_size)
        self.size_bytes = self.last_stored = 0
        self.oldest_at: datetime | None = None
        # What is offered again keeps its first time: it would never be too old to be offered, or to be removed, else.
        self._first_stored: dict[int, int] = {}
        connection, self.recorder = connect(path, recorder=recorder)
        self._database = Database(connection)
        try:
            self._count()
            self.last_ticks()
        except PollerError:
            self._database.close()
            raise

    def append(self, records: Sequence[Record]) -> Sequence[int]:
        """Keep the records in one commit and return their ids; stored rows make room for them.

        Raises:
            SpoolFullError: None of them was kept.
        """
        return with_room(lambda: self._insert(records), self._database, self._remove_stored)

    def oldest(self, limit: int) -> Sequence[Pending]:
        """Return the oldest entries that are not stored, fewer than `limit` when they are large.

        A row that cannot be read is set aside in the table `damaged`.
        """
        after = -1
        while rows := self._waiting(after, limit):
            found: list[Pending] = []
            reasons: dict[int, str] = {}
            for row_id, row in rows:
                try:
                    found.append(_read(row))
                except ValueError as error:
                    reasons[row_id] = str(error)
            if reasons:
                with suppress(SpoolFullError):  # they stay, and are passed over again
                    self._set_aside(reasons)
            if found:
                return found
            after = rows[-1][0]
        return []

    def done(self, ids: Iterable[int]) -> None:
        """Mark entries as stored; unknown ids and those marked before change nothing."""
        marks = tuple(ids)
        # A host clock that is set back would make what is stored now look older than what was stored before, and what
        # is offered again are the newest.
        stored_at = self.last_stored = max(micros(self._now()), self.last_stored + 1)
        with self._database.transaction(most_pages=self._room.pages) as connection:
            marked = connection.executemany(
                "UPDATE entries SET stored_at = ? WHERE id = ? AND stored_at = ?",
                [(self._first_stored.get(row_id, stored_at), row_id, _NOT_STORED) for row_id in marks],
            ).rowcount
        for row_id in marks:
            self._first_stored.pop(row_id, None)
        self.depth -= max(marked, 0)
        self._measure()

    def last_stored_at(self) -> datetime | None:
        """Return when an entry was stored last; None when none of those that are left was."""
        last = self._last_stored()
        return from_micros(last) if last else None

    def offer_again(self, since: int, until: int, after: int) -> Sequence[tuple[int, int]]:
        """Mark up to `STEP_ROWS` entries as not stored: those stored before `until`, from `since` and behind an id on.

        Returns their ids and when they were stored, in the order of the latter.
        """
        query = (
            "SELECT id, stored_at FROM entries WHERE (stored_at, id) > (?, ?) AND stored_at < min(?, ?)"
            " ORDER BY stored_at, id LIMIT ?"
        )
        with self._database.transaction(most_pages=self._room.pages) as connection:
            found = connection.execute(query, (since, after, until, _NOT_STORED, STEP_ROWS)).fetchall()
            connection.executemany(
                "UPDATE entries SET stored_at = ? WHERE id = ?", [(_NOT_STORED, row_id) for row_id, _ in found]
            )
        self._first_stored.update(found)
        self.depth += len(found)
        self._measure()
        return found

    def purge(self, stored_before: int) -> int:
        """Remove up to `STEP_ROWS` entries that were stored before and return how many.

        The newest row stays whatever its age, for the next id follows from it.
        """
        with self._database.transaction(most_pages=self._room.pages) as connection:
            removed = connection.execute(
                "DELETE FROM entries WHERE id IN"
                " (SELECT id FROM entries WHERE stored_at < ? AND id < ? ORDER BY stored_at LIMIT ?)",
                (stored_before, self.last_id, STEP_ROWS),
            ).rowcount
        self._measure()
        return removed

    def last_ticks(self) -> Mapping[tuple[str, Market], datetime]:
        """Return the last tick of every (account, market) that was ever appended.

        Raises:
            DamagedFileError: One of them cannot be believed: a wrong time would stop the polls of its account.
        """
        rows = list(self._database.rows("SELECT account, market, time, crc FROM last_ticks"))
        if any(crc != tick_crc(*tick) for *tick, crc in rows):
            raise DamagedFileError("a last tick is damaged")
        return {(account, Market(market)): from_micros(time) for account, market, time, _ in rows}

    def remember(self, name: str, value: NoteValue | None) -> None:
        """Keep a note, in the place of an earlier one of this name; None forgets it.

        Raises:
            SpoolFullError: It is not kept: not even what is reserved for small changes has room.
            ValueError: The note is too long.
        """
        if len(name.encode()) + len(value or b"") > LONGEST:
            raise ValueError(f"a note has at most {LONGEST} bytes")
        known = self._notes()
        noted_at = max((micros(self._now()), *(note.noted_at + 1 for note in known.values())))
        with_room(lambda: self._write_note(Note(name, noted_at, value)), self._database, self._remove_stored)

    def notes(self) -> Mapping[str, NoteValue]:
        """Return the notes; a row that cannot be read is set aside in the table `damaged`."""
        return {note.name: note.value for note in self._notes().values() if note.value is not None}

    def take_over(self, rows: Iterable[Row], ticks: Iterable[Tick], notes: Iterable[Note]) -> None:
        """Keep rows of another file under their own ids, as not stored; those with a wrong checksum aside.

        Of notes with the same name the newest is kept.
        """
        found_at = micros(self._now())
        known, _ = read_notes(self._database)
        newer = [note for note in notes if note.name not in known or note.noted_at > known[note.name].noted_at]
        with self._database.transaction(most_pages=UNLIMITED_PAGES) as connection:
            for row in rows:
                columns = (row.appended_at, row.crc, row.entry)
                if row.intact:
                    statement = "INSERT OR REPLACE INTO entries (stored_at, id, appended_at, crc, entry)"
                    connection.execute(f"{statement} VALUES (?, ?, ?, ?, ?)", (_NOT_STORED, row.id, *columns))
                else:
                    values = (row.id, found_at, _WRONG_CHECKSUM, *columns)
                    connection.execute("INSERT INTO damaged VALUES (?, ?, ?, ?, ?, ?)", values)
            connection.executemany(_NOTE_TICK, [(*tick, tick_crc(*tick)) for tick in ticks])
            if newer:
                write_notes(connection, sorted(newer, key=lambda note: note.noted_at))
            connection.execute(_DISCARD)
        self._count()

    def close(self) -> None:
        """Write the log back into the file, if that can be done now, and close it."""
        self._database.close()

    def _insert(self, records: Sequence[Record]) -> Sequence[int]:
        appended_at = micros(self._now())
        ids = range(self.last_id + 1, self.last_id + 1 + len(records))
        rows = [
            (row_id, appended_at, _NOT_STORED, entry_crc(row_id, appended_at, record.entry), record.entry)
            for row_id, record in zip(ids, records, strict=True)
        ]
        ticks = [(*record.tick, tick_crc(*record.tick)) for record in records if record.tick]
        with self._database.transaction(most_pages=self._room.pages_for_append(self._database)) as connection:
            connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)
            connection.executemany(_NOTE_TICK, ticks)
        self.last_id += len(rows)
        self.depth += len(rows)
        self._measure()
        return ids

    def _remove_stored(self) -> int:
        return self.purge(_NOT_STORED)

    def _waiting(self, after: int, limit: int) -> Sequence[tuple[int, Row | None]]:
        rows: list[tuple[int, Row | None]] = []
        size = 0
        query = "SELECT id, appended_at, crc, entry FROM entries WHERE stored_at = ? AND id > ? ORDER BY id LIMIT ?"
        with closing(self._database.rows(query, _NOT_STORED, after, limit)) as found:
            for columns in found:
                row = row_from(columns)
                rows.append((columns[0], row))
                size += len(row.entry) if row else 0
                if size > _STEP_BYTES:
                    break
        return rows

    def _set_aside(self, reasons: Mapping[int, str]) -> None:
        found_at = micros(self._now())
        with self._database.transaction(most_pages=self._room.pages) as connection:
            connection.executemany(
                "INSERT INTO damaged SELECT id, ?, ?, appended_at, crc, entry FROM entries WHERE id = ?",
                [(found_at, reason, row_id) for row_id, reason in reasons.items()],
            )
            connection.executemany("DELETE FROM entries WHERE id = ?", [(row_id,) for row_id in reasons])
        self.depth -= len(reasons)
        self.damaged += len(reasons)
        self._measure()

    def _write_note(self, note: Note) -> None:
        with self._database.transaction(most_pages=self._room.pages) as connection:
            write_notes(connection, [note])
        self._measure()

    def _notes(self) -> Mapping[str, Note]:
        notes, damaged = read_notes(self._database)
        if damaged:
            with suppress(SpoolFullError):  # they stay, and are passed over again
                with self._database.transaction(most_pages=self._room.pages) as connection:
                    set_notes_aside(connection, damaged, found_at=micros(self._now()))
                self.damaged += len(damaged)
        return notes

    def _last_stored(self) -> int:
        return self._database.number("SELECT max(stored_at) FROM entries WHERE stored_at < ?", _NOT_STORED)

    def _count(self) -> None:
        self.last_id = max(map(self._database.number, ("SELECT max(id) FROM entries", "SELECT max(id) FROM damaged")))
        self.damaged = self._database.number("SELECT count(*) FROM damaged")
        self.depth = self._database.number("SELECT count(*) FROM entries WHERE stored_at = ?", _NOT_STORED)
        self.last_stored = self._last_stored()
        self._measure()

    def _measure(self) -> None:
        with suppress(
            PollerError, ValueError, OverflowError
        ):  # what these figures are of has been done, whether they can be read or not
            free = self._database.number("PRAGMA freelist_count")
            self.size_bytes = (self._database.number("PRAGMA page_count") - free) * PAGE_SIZE
            oldest = "SELECT appended_at FROM entries WHERE stored_at = ? ORDER BY id LIMIT 1"
            self.oldest_at = from_micros(self._database.number(oldest, _NOT_STORED)) if self.depth else None


def _read(row: Row | None) -> Pending:
    if row is None or not row.intact:
        raise ValueError(_WRONG_CHECKSUM)
    return Pending(row.id, decode(row.entry))
