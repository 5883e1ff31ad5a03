"""How the database is reached: driver, timeouts and session settings. Nothing here knows a table."""

import json
from collections.abc import Callable
from typing import Any, Final

from psycopg import AsyncConnection
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from poller.errors import ConfigError, StoreUnavailableError
from poller.storage.tls import verification

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

# In a columnstore, each row that is changed is unpacked with 1,000 neighbours, for every position of a poll: the limit
# on that, which is there for mistakes, would refuse an account with a hundred. Other servers ignore the setting.
_UNPACKING: Final = {"timescaledb.max_tuples_decompressed_per_dml_transaction": "0"}

# A search path of the role or the database could put somebody's function before PostgreSQL's, and would make Alembic
# see our schema as the default one, without a name.
RECORDING: Final = {
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
_ADVICE: Final = (
    "(a database on another machine has to prove who it is, with a certificate for the host's name by an authority "
    "that is trusted here; sslrootcert= in the address names the file of another one, sslmode= says what is enough)"
)


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


# As statements, not as start-up options: a pooler refuses those. What the address itself gives as options stays.
# Nothing here is found by a search path.
_SET: Final = """
SELECT pg_catalog.pg_backend_pid(), (
    SELECT pg_catalog.count(pg_catalog.set_config(ours.key, ours.value, false))
    FROM pg_catalog.json_each_text(%(settings)s::pg_catalog.json) AS ours
    JOIN pg_catalog.pg_settings AS known ON known.name OPERATOR(pg_catalog.=) ours.key
    WHERE known.source OPERATOR(pg_catalog.<>) 'client' AND pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) %(pid)s
)
"""
_POOLED: Final = "pooled"


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
        connect_args=_arguments(parsed, "poller"),
    )

    def tell(connection: Any, _record: object) -> None:
        on_connect(connection.driver_connection)

    _set_up(engine.sync_engine, RECORDING)
    event.listen(engine.sync_engine, "connect", tell, insert=True)  # before that
    return engine


def migration_engine(url: str) -> Engine:
    """Make the engine for migrations and checks."""
    parsed = parse_url(url)
    engine = create_engine(
        parsed, poolclass=NullPool, hide_parameters=True, connect_args=_arguments(parsed, "poller migrate")
    )
    _set_up(engine, _MIGRATING)
    return engine


def is_pooled(connection: Connection) -> bool:
    """Tell whether a pooler is between: each transaction may then meet another session, with settings of its own."""
    return bool(connection.info[_POOLED])


def _arguments(url: URL, application: str) -> dict[str, Any]:
    """Return our arguments, except those that the address has itself."""
    ours = {**_CONNECTING, "application_name": application}
    return {name: value for name, value in ours.items() if name not in url.query} | verification(url)


def _set_up(engine: Engine, settings: dict[str, str]) -> None:
    """Give each new session its settings; behind a pooler, leave the session as it is, which others use too."""

    def begin(connection: Any, record: Any) -> None:
        driver = record.driver_connection
        told = driver.info.backend_pid  # by a pooler: made up
        cursor = connection.cursor()
        cursor.execute(_SET, {"settings": json.dumps(settings), "pid": told})
        record.info[_POOLED] = cursor.fetchone()[0] != told
        cursor.close()
        connection.commit()
        if record.info[_POOLED]:
            driver.prepare_threshold = None  # a prepared statement would be looked for in another session

    def explain(context: ExceptionContext) -> None:
        said = str(context.original_exception)
        if context.connection is None and ("SSL" in said or "certificate" in said):
            raise StoreUnavailableError(f"{' '.join(said.split())} {_ADVICE}") from context.original_exception

    event.listen(engine, "connect", begin, insert=True)  # before the dialect asks for its default schema
    event.listen(engine, "handle_error", explain)
