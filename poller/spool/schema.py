"""The layout of the spool's file, and opening it: a new file gets the layout, an old one is checked."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from uuid import uuid4

from poller.errors import ConfigError, PollerError
from poller.spool.carve import PAGE_SIZE, wal_of
from poller.spool.database import DamagedFileError, translated
from poller.spool.notes import MAKE_NOTES
from poller.spool.row import identity_crc

VERSION: Final = 1
"""Of the layout. `identity` is the same in every version, so that any release can tell which one a file has."""

_BUSY_SECONDS: Final = 10.0  # somebody who looks into the file may hold it
_TABLES: Final = frozenset({"identity", "entries", "last_ticks", "damaged"})
# SQLite keeps this text as it is, and a file with another one is taken for damaged: a new space is a new version.
_SCHEMA: Final = """
BEGIN IMMEDIATE;
CREATE TABLE identity (recorder TEXT NOT NULL, version INTEGER NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, appended_at INTEGER NOT NULL, stored_at INTEGER NOT NULL, crc INTEGER NOT NULL,
    entry BLOB NOT NULL
);
CREATE INDEX entries_stored_at ON entries (stored_at);
CREATE TABLE last_ticks (
    account TEXT NOT NULL, market TEXT NOT NULL, time INTEGER NOT NULL, crc INTEGER NOT NULL, UNIQUE (account, market)
);
CREATE TABLE damaged (id INTEGER NOT NULL, found_at INTEGER NOT NULL, reason TEXT NOT NULL, appended_at, crc, entry);
"""
_LAYOUT: Final = "SELECT type || ' ' || name, sql FROM sqlite_schema"
_HEADER_MAGIC: Final = b"SQLite format 3\0"
_HEADER_CONSTANTS: Final = {
    16: PAGE_SIZE.to_bytes(2, "big"),
    20: b"\x00\x40\x20\x20",  # bytes kept free in a page, payload fractions
    56: b"\x00\x00\x00\x01",  # UTF-8
}


def refuse_foreign(path: Path) -> None:
    """Refuse the database of another program, without touching it.

    Raises:
        ConfigError: The file is one.
    """
    # immutable: no log is read, replayed or removed, whatever state it is in
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as connection:
        connection.text_factory = _text
        try:
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return  # no database: damage, if anything
    if names and names.isdisjoint(_TABLES):
        raise ConfigError([f"spool.path: {path} is a database, but no spool"])


def connect(path: Path, *, recorder: str | None = None) -> tuple[sqlite3.Connection, str]:
    """Open the file at `path` and return the connection with the recorder; `recorder` is for an empty file.

    Raises:
        ConfigError: A newer release wrote it.
        DamagedFileError: It is damaged.
        SpoolFullError: It cannot be opened now.
    """
    _check_header(path)
    with translated():
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            return connection, _prepare(connection, path, recorder or str(uuid4()))
        except sqlite3.OperationalError as error:
            connection.close()
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) != sqlite3.SQLITE_ERROR:
                raise
            raise DamagedFileError(f"the layout is damaged: {error}") from error
        except (sqlite3.Error, PollerError, UnicodeDecodeError):
            connection.close()
            raise


def _check_header(path: Path) -> None:
    """SQLite believes the header, and with a wrong one it would leave out or overwrite what is there."""
    with path.open("rb") as file:
        header = file.read(100)
    expected = all(header[at : at + len(value)] == value for at, value in _HEADER_CONSTANTS.items())
    if not header and wal_of(path).exists() and wal_of(path).stat().st_size:
        raise DamagedFileError("the file is empty beside its log")  # which SQLite would remove
    if header and not (header.startswith(_HEADER_MAGIC) and expected and header[18:20] in {b"\1\1", b"\2\2"}):
        raise DamagedFileError("the header is damaged")


def _prepare(connection: sqlite3.Connection, path: Path, recorder: str) -> str:
    connection.text_factory = _text
    connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
        connection.executescript(_SCHEMA)
        connection.execute(
            "INSERT INTO identity VALUES (?, ?, ?)", (recorder, VERSION, identity_crc(recorder, VERSION))
        )
        connection.execute("COMMIT")
    found = _identify(connection, path)
    _check_layout(connection)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # where fsync alone does not reach the disk
    connection.execute("PRAGMA cell_size_check = ON")
    if connection.execute("PRAGMA user_version").fetchone() != (VERSION,):  # for people and tools; `identity` decides
        connection.execute(f"PRAGMA user_version = {VERSION}")
    if (report := connection.execute("PRAGMA integrity_check(1)").fetchone()) != ("ok",):
        raise DamagedFileError(f"the file is damaged: {report}")
    return found


def _identify(connection: sqlite3.Connection, path: Path) -> str:
    rows = connection.execute("SELECT recorder, version, crc FROM identity").fetchall()
    if len(rows) != 1 or rows[0][2] != identity_crc(*rows[0][:2]):
        raise DamagedFileError("the identity is damaged")
    recorder, version, _ = rows[0]
    if version > VERSION:
        raise ConfigError([f"spool.path: {path} has version {version}, this release reads up to version {VERSION}"])
    return str(recorder)


def _check_layout(connection: sqlite3.Connection) -> None:
    """SQLite does as a damaged layout says: a column of another name is missing, one of another kind refuses rows."""
    found = dict(connection.execute(_LAYOUT).fetchall())
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(f"{_SCHEMA} COMMIT;")
        if "table notes" in found:
            model.execute(MAKE_NOTES)
        expected = dict(model.execute(_LAYOUT).fetchall())
    if not expected.items() <= found.items():
        raise DamagedFileError("the layout is damaged")


def _text(data: bytes) -> str:
    return data.decode(errors="replace")  # a damaged text is told by its row's checksum, not by an error of Python's
