"""How the database is reached: driver, timeouts and session settings. Nothing here knows a table."""

from collections.abc import Callable
from typing import Any, Final

from psycopg import AsyncConnection
from sqlalchemy import URL, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from poller.errors import ConfigError

_DRIVER: Final = "postgresql+psycopg"
_SCHEMES: Final = frozenset({"postgresql", "postgres", _DRIVER})

# A peer that vanished without a word is noticed by the kernel in about 25 s; one whose machine answers while its
# process is frozen is not, which is why `Store` has a watchdog too.
_CONNECTING: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}

# In a columnstore, what a statement touches is unpacked with its neighbours, 1,000 rows for each position of a poll: the
# limit on that, which exists for mistakes, would refuse accounts with a hundred. Other servers ignore the setting.
_UNPACKING: Final = {"timescaledb.max_tuples_decompressed_per_dml_transaction": "0"}

# A search path of the role or the database could put somebody's function before PostgreSQL's, and would make Alembic
# see our schema as the default one, without a name.
_RECORDING: Final = {
    "search_path": "pg_catalog",
    "statement_timeout": "10s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "15s",
    **_UNPACKING,
}
_MIGRATING: Final = {
    "search_path": "pg_catalog",
    "statement_timeout": "60s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
    **_UNPACKING,
}


def parse_url(url: str) -> URL:
    """Return the address with the driver that we use; raises ConfigError, which does not repeat the password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(
            ["database.url: not an address of the form postgresql://user:password@host/database"]
        ) from None
    if parsed.drivername not in _SCHEMES:
        raise ConfigError([f"database.url: only postgresql:// is supported, not {parsed.drivername}://"])
    return parsed.set(drivername=_DRIVER)


def recording_engine(url: str, *, on_connect: Callable[[AsyncConnection], None]) -> AsyncEngine:
    """Make the engine for one writer: a single connection, on which each statement is a transaction of its own.

    Args:
        url: The database.
        on_connect: Is told each new connection before anything is asked through it.
    """
    parsed = parse_url(url)
    engine = create_async_engine(
        parsed,
        pool_size=1,
        max_overflow=0,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args=_arguments(parsed, "poller", _RECORDING),
    )

    def tell(connection: Any, _record: object) -> None:
        on_connect(connection.driver_connection)

    event.listen(engine.sync_engine, "connect", tell, insert=True)  # before the dialect's own questions
    return engine


def migration_engine(url: str) -> Engine:
    """Make the engine for migrations and checks."""
    parsed = parse_url(url)
    return create_engine(
        parsed, poolclass=NullPool, hide_parameters=True, connect_args=_arguments(parsed, "poller migrate", _MIGRATING)
    )


def _arguments(url: URL, application: str, session: dict[str, str]) -> dict[str, Any]:
    """Return our settings, after which those in the address win."""
    options = " ".join(f"-c {name}={value}" for name, value in session.items())
    given = url.query.get("options")
    ours = {**_CONNECTING, "application_name": application}
    return {name: value for name, value in ours.items() if name not in url.query} | {
        "options": f"{options} {given}" if isinstance(given, str) else options
    }
