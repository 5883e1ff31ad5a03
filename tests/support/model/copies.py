"""What a database holds, taken out whole and put back: a backup, and a restore from it."""

from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier

_TABLES: Final = (
    "accounts", "account_modes", "runs", "schedules", "polls", "account_totals", "asset_balances", "positions",
    "raw_payloads", "rejected_payloads",
)  # fmt: skip

Copy = tuple[bytes, ...]
"""The rows of each table."""

EMPTY: Final[Copy] = (b"",) * len(_TABLES)


def take(connection: psycopg.Connection) -> Copy:
    """Return what the database holds at one moment, though a server may still be at work on what it was told."""
    taken = []
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for table in _TABLES:
            query = SQL("COPY (SELECT * FROM poller.{}) TO STDOUT").format(Identifier(table))
            with connection.cursor().copy(query) as copy:
                taken.append(b"".join(map(bytes, copy)))
    return tuple(taken)


def put_back(connection: psycopg.Connection, taken: Copy) -> None:
    """End all other connections, and let the database hold what it held then."""
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    with connection.transaction():
        tables = SQL(", ").join(Identifier("poller", table) for table in _TABLES)
        connection.execute(SQL("TRUNCATE {}").format(tables))
        for table, rows in zip(_TABLES, taken, strict=True):
            if rows:
                query = SQL("COPY {} FROM STDIN").format(Identifier("poller", table))
                with connection.cursor().copy(query) as copy:
                    copy.write(rows)
