"""SQLite as the spool uses it: transactions of bounded size, and errors told apart by what can be done."""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from poller.errors import PollerError, SpoolFullError

_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNAVAILABLE: Final = frozenset({
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
})  # fmt: skip


class DamagedFileError(PollerError):
    """The file is no whole spool; it is rescued before anybody outside this package sees the error."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's errors into ours.

    Raises:
        SpoolFullError: The file, its disk or somebody who holds it lets nothing be done now.
        DamagedFileError: The file is damaged.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the details of an extended code
        if code in _UNAVAILABLE:
            raise SpoolFullError(f"the spool cannot be used now: {error}") from error
        if code in _CORRUPT:
            raise DamagedFileError(str(error)) from error
        raise
    except UnicodeDecodeError as error:  # SQLite's message quotes what is damaged, and Python cannot read it
        raise DamagedFileError(f"a name in the file is damaged: {error.reason}") from error


class Database:
    """A connection on which every change is one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @contextmanager
    def transaction(self, *, most_pages: int) -> Iterator[sqlite3.Connection]:
        """Commit what is done within, or nothing of it.

        Raises:
            SpoolFullError: The file would have more than `most_pages`, or see `translated`.
            DamagedFileError: See `translated`.
        """
        connection = self._connection
        with translated():
            try:
                connection.execute(f"PRAGMA max_page_count = {most_pages}")
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):  # the first error tells what happened
                        connection.execute("ROLLBACK")

    def rows(self, query: str, *parameters: int) -> Generator[tuple[Any, ...], None, None]:
        """Yield the rows of a query, with columns of any type if the file is damaged."""
        with translated():
            cursor = self._connection.execute(query, parameters)
            try:
                yield from cursor
            finally:
                cursor.close()

    def number(self, query: str, *parameters: int) -> int:
        """Return the one value of a query, 0 when it is NULL or there is none."""
        for (value,) in self.rows(query, *parameters):
            return int(value or 0)
        return 0

    def reuse_log(self) -> None:
        """Write the log back into the file, so that the next change takes no new space for it."""
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Write the log back into the file, if that can be done now, and close the connection."""
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()
