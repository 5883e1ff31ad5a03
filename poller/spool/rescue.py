"""Opening a spool whatever state its file is in: what is damaged is moved aside, what is whole is carried over."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from poller.errors import ConfigError, SpoolFullError
from poller.observation import Entry, Market, RunStarted
from poller.spool.carve import Cell, cells, unused_wal_cells, wal_of
from poller.spool.database import DamagedFileError
from poller.spool.file import SpoolFile
from poller.spool.notes import Note, note_from
from poller.spool.row import Row, Tick, decode, identity_crc, row_from, tick_crc, tick_of
from poller.spool.schema import VERSION, refuse_foreign

_BATCH_ROWS: Final = 1000
_UNLIMITED: Final = 2**62
_ENTRY_COLUMNS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What was done about a damaged spool.

    Attributes:
        moved_to: Where the damaged file is now; None when only the end of its log had to be read again.
        entries: Carried over; all are offered again, also those that were stored.
        damaged: Rows set aside because their checksum was wrong. What could not be read at all is in no count.
    """

    moved_to: Path | None
    entries: int
    damaged: int


def open_file(path: Path, *, max_size: int, now: Callable[[], datetime]) -> tuple[SpoolFile, Recovery | None]:
    """Open the spool at `path`, made anew when there is none and of its readable rows when it is damaged.

    Raises:
        ConfigError: The file belongs to another program or to a newer release.
        SpoolFullError: The disk has no room for it.
        OSError: It cannot be read or made.
    """
    moved_to = _finish(path, now)
    _create(path)
    refuse_foreign(path)
    unused = unused_wal_cells(path)  # SQLite is about to remove them
    try:
        file = SpoolFile(path, max_size=max_size, now=now)
    except DamagedFileError:
        moved_to = _rebuild(path, unused, now)
        file = SpoolFile(path, max_size=max_size, now=now)
    if moved_to:
        return file, Recovery(moved_to=moved_to, entries=file.depth, damaged=file.damaged)
    return file, _take_over_unused(file, unused) if unused else None


def _rebuild(path: Path, unused: Sequence[Cell], now: Callable[[], datetime]) -> Path:
    """Make a new file of the rows that can be read and put it in the place of the old one.

    It gets the name `.rescued` when it is complete, and the old file is moved only then: a crash at any moment leaves
    either the old file or a complete new one.
    """
    rescuing = _beside(path, ".rescuing")
    for name in (rescuing, wal_of(rescuing), _beside(rescuing, "-shm"), _beside(rescuing, "-journal")):
        name.unlink(missing_ok=True)
    _create(rescuing)
    with closing(SpoolFile(rescuing, max_size=_UNLIMITED, now=now, recorder=_recorder(path))) as file:
        found = cells(path)
        while batch := list(islice(found, _BATCH_ROWS)):
            _take_over(file, _rows(batch), batch)
        _take_over(file, _rows(unused), unused)
    if wal_of(rescuing).exists():
        raise SpoolFullError("there is no room to rescue the damaged spool")
    rescuing.rename(_beside(path, ".rescued"))
    return _put_in_place(path, now)


def _take_over_unused(file: SpoolFile, unused: Sequence[Cell]) -> Recovery | None:
    """Keep what is newer than the file: after damage in its log, or of a commit that a crash tore."""
    newer = [row for row in _rows(unused) if row.id > file.last_id]
    depth, damaged = file.depth, file.damaged
    _take_over(file, newer, unused)
    if not newer:
        return None
    return Recovery(moved_to=None, entries=file.depth - depth, damaged=file.damaged - damaged)


def _finish(path: Path, now: Callable[[], datetime]) -> Path | None:
    """Finish a rescue that was interrupted."""
    return _put_in_place(path, now) if _beside(path, ".rescued").exists() else None


def _put_in_place(path: Path, now: Callable[[], datetime]) -> Path:
    aside = _beside(path, f".damaged-{now():%Y%m%dT%H%M%S.%fZ}")
    _sync(path.parent)
    for old, new in ((path, aside), (wal_of(path), wal_of(aside))):
        if old.exists():
            old.rename(new)
    _beside(path, "-shm").unlink(missing_ok=True)
    _beside(path, ".rescued").rename(path)
    _sync(path.parent)
    return aside


def _take_over(file: SpoolFile, rows: Iterable[Row], found: Sequence[Cell]) -> None:
    """Keep the rows, and the ticks and notes in what was found."""
    kept = list(rows)
    file.take_over(kept, [*_ticks(found), *filter(None, map(tick_of, _entries(kept)))], _notes(found))


def _rows(found: Iterable[Cell]) -> Iterator[Row]:
    for row_id, columns in found:
        if len(columns) == _ENTRY_COLUMNS and columns[0] is None and isinstance(columns[2], int):
            row = row_from([row_id, columns[1], *columns[3:]])
            if row:
                yield row


def _ticks(found: Iterable[Cell]) -> Iterator[Tick]:
    for _, columns in found:
        match columns:
            case [str() as account, str() as market, int() as time, crc] if crc == tick_crc(account, market, time):
                yield account, Market(market), time


def _notes(found: Iterable[Cell]) -> Iterator[Note]:
    return (note for _, columns in found if (note := note_from(columns)))


def _entries(rows: Iterable[Row]) -> Iterator[Entry]:
    for row in rows:
        if row.intact:
            with suppress(ValueError):  # set aside when it is offered
                yield decode(row.entry)


def _recorder(path: Path) -> str | None:
    """Find the identity: in its own row, else in what the last run wrote."""
    told = None
    for cell in cells(path):
        match cell[1]:
            case [str() as recorder, int() as version, crc] if crc == identity_crc(recorder, version):
                if version > VERSION:
                    raise ConfigError([f"spool.path: {path} is damaged and has version {version}, above {VERSION}"])
                return recorder
        for entry in _entries(_rows([cell])):
            told = entry.recorder if isinstance(entry, RunStarted) else told
    return told


def _create(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))  # SQLite would ask the umask alone
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
