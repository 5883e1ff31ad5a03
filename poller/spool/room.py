"""How far the spool's file may grow, and how room is made in it for what must be kept."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from poller.errors import ConfigError, SpoolFullError
from poller.spool.carve import PAGE_SIZE
from poller.spool.database import Database

UNLIMITED_PAGES: Final = 2**30
"""More than any file has."""

_LEAST_PAGES: Final = 128
_DISK_RESERVE: Final = 16 * 1024 * 1024  # the log needs disk to mark and remove rows, and only that makes room
_MOST_RESERVED: Final = 256  # the pages of a full file in which rows can still be marked, removed and set aside
_Result = TypeVar("_Result")


class Room:
    """The room of one file: appends leave a reserve for the changes that make room for them.

    Attributes:
        pages: The most that the file has after any change.
    """

    def __init__(self, folder: Path, max_size: int) -> None:
        if max_size < _LEAST_PAGES * PAGE_SIZE:
            raise ConfigError([f"spool.max_size: {max_size} bytes, the least is {_LEAST_PAGES * PAGE_SIZE}"])
        self.pages = min(max_size // PAGE_SIZE, UNLIMITED_PAGES)
        self._folder = folder
        self._append_pages = self.pages - min(self.pages // 8, _MOST_RESERVED)

    def pages_for_append(self, database: Database) -> int:
        """Return the most pages that the file may have after an append.

        Raises:
            SpoolFullError: The disk does not tell its room.
        """
        try:
            disk = os.statvfs(self._folder)
        except OSError as error:
            raise SpoolFullError(f"the disk of the spool cannot be asked for its room: {error.strerror}") from error
        growth = max(disk.f_bavail * disk.f_frsize - _DISK_RESERVE, 0) // PAGE_SIZE
        return min(self._append_pages, database.number("PRAGMA page_count") + growth)


def with_room(change: Callable[[], _Result], database: Database, remove: Callable[[], int]) -> _Result:
    """Make a change; as long as it has no room, first write the log back, then remove what may be removed.

    Raises:
        SpoolFullError: The change has no room although nothing is left to `remove`, which returns how much it did.
    """
    room = _make_room(database, remove)
    while True:
        try:
            return change()
        except SpoolFullError:
            if not next(room, False):
                raise


def _make_room(database: Database, remove: Callable[[], int]) -> Iterator[bool]:
    """Try one thing after the other: first the space of the log, which a full disk cannot refuse."""
    database.reuse_log()
    yield True
    while remove():
        yield True
