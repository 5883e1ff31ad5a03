"""Notes: names with a few bytes each, which outlive every restart.

The first note makes their table. Releases that do not know it leave it alone, and their rescue takes its rows for none
of their own; so the layout keeps its version, and a spool with notes can be used by an older release and then by this.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import msgspec

from poller.spool.database import Database
from poller.spool.row import Value

LONGEST: Final = 1024
"""Bytes of a name and its value together: a full file has room for notes as long as they are small."""

NoteValue = bytes
"""What a note says."""

MAKE_NOTES: Final = (
    "CREATE TABLE IF NOT EXISTS notes (name TEXT NOT NULL UNIQUE, noted_at INTEGER NOT NULL, value BLOB,"
    " crc INTEGER NOT NULL)"
)
"""The layout of their table."""

# No entry has the id 0.
_SET_ASIDE: Final = "INSERT INTO damaged SELECT 0, ?, ?, noted_at, crc, value FROM notes WHERE rowid = ?"
_REASON: Final = "a note with a wrong checksum"


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it is kept.

    Attributes:
        name: What it is about.
        noted_at: When it was made, in µs since the epoch, and above that of every note before it: of several copies in
            a damaged file the newest counts.
        value: None when it was forgotten: the row stays, for else a rescue would bring an older copy back.
    """

    name: str
    noted_at: int
    value: NoteValue | None


def note_from(columns: Sequence[Value]) -> Note | None:
    """Return the note of these columns: name, noted_at, value, crc; None when they are no note or no longer whole."""
    match columns:
        case [str() as name, int() as noted_at, (bytes() | None) as value, crc]:
            note = Note(name, noted_at, value)
            return note if crc == _crc(note) else None
        case _:
            return None


def read_notes(database: Database) -> tuple[dict[str, Note], list[int]]:
    """Return the notes by their names, and the rowids of those that cannot be believed."""
    notes: dict[str, Note] = {}
    damaged: list[int] = []
    if database.number("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'notes'"):
        for row_id, *columns in database.rows("SELECT rowid, name, noted_at, value, crc FROM notes"):
            if note := note_from(columns):
                notes[note.name] = note
            else:
                damaged.append(row_id)
    return notes, damaged


def write_notes(connection: sqlite3.Connection, notes: Iterable[Note]) -> None:
    """Put notes in the place of those of the same names."""
    connection.execute(MAKE_NOTES)
    rows = [(note.name, note.noted_at, note.value, _crc(note)) for note in notes]
    connection.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)", rows)


def set_notes_aside(connection: sqlite3.Connection, row_ids: Iterable[int], *, found_at: int) -> None:
    """Move rows that cannot be believed into the table `damaged`."""
    for row_id in row_ids:
        connection.execute(_SET_ASIDE, (found_at, _REASON, row_id))
        connection.execute("DELETE FROM notes WHERE rowid = ?", (row_id,))


def _crc(note: Note) -> int:
    return crc32(msgspec.msgpack.encode((note.name, note.noted_at, note.value)))
