"""Databases for tests: a template for each kind of server, built by the migrations, and a copy of it for each test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import LiteralString

import psycopg
import pytest
from psycopg.sql import SQL, Composed, Identifier

from poller.storage.schema import upgrade
from poller.storage.store import Store


def execute(url: str, statement: LiteralString | Composed, *parameters: object) -> list[tuple[object, ...]]:
    """Run one statement on its own and return its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []


def has_columnstore(url: str) -> bool:
    """Tell whether a database keeps old history by columns."""
    return execute(url, "SELECT current_setting('timescaledb.license', true)") == [("timescale",)]


def compress(url: str) -> int:
    """Have a database that can keep all of its history by columns, as its policies do later; return how many chunks."""
    if not has_columnstore(url):
        return 0
    chunks = execute(
        url,
        "SELECT public.compress_chunk(format('%I.%I', chunk_schema, chunk_name)::regclass) "
        "FROM timescaledb_information.chunks JOIN timescaledb_information.hypertables "
        "USING (hypertable_schema, hypertable_name) WHERE hypertable_schema = 'poller' AND compression_enabled",
    )
    return len(chunks)


async def until_blocked(url: str) -> None:
    """Return as soon as a statement of a store waits for another transaction of its database."""
    waits = (
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'poller' AND datname = current_database() "
        "AND wait_event_type = 'Lock'"
    )
    while not execute(url, waits):  # noqa: ASYNC110 - nothing announces a wait for a lock
        await asyncio.sleep(0.01)


def end_stores(url: str) -> None:
    """End the connections of the stores of a database; tests beside this one have their own on the same server."""
    execute(
        url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = 'poller' AND datname = current_database()",
    )


@contextmanager
def new_database(server: str, *, extension: bool, template: str = "template0") -> Iterator[str]:
    """Have a database of a made-up name as long as the context lasts; `template` is a name, not an address."""
    name = f"test_{token_hex(8)}"
    url = f"{server.rpartition('/')[0]}/{name}"
    with psycopg.connect(server, autocommit=True) as administrator:
        _alone(administrator, SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
        try:
            if extension:
                execute(url, "CREATE EXTENSION timescaledb")
            yield url
        finally:
            _alone(administrator, SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def _alone(administrator: psycopg.Connection, statement: Composed) -> None:
    """Execute what needs a database for itself: the server ends others in it, and waits five seconds for their end."""
    while True:
        with suppress(psycopg.errors.ObjectInUse):
            administrator.execute(statement)
            return


def close_to_others(server: str, url: str) -> str:
    """Return the name of a database, after making sure that nobody is or gets connected to it: then it can be copied.

    TimescaleDB's background workers would otherwise be.
    """
    name = url.rpartition("/")[2]
    with psycopg.connect(server, autocommit=True) as administrator:
        administrator.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(Identifier(name)))
        administrator.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
    return name


@contextmanager
def _built(server: str, *, extension: bool) -> Iterator[str]:
    """Have a database that the migrations have built, to be copied; its name is given."""
    with new_database(server, extension=extension) as url:
        upgrade(url, lambda _: None)
        yield close_to_others(server, url)


@pytest.fixture(scope="session")
def plain_template(plain_server: str) -> Iterator[str]:
    """The name of a built database on plain PostgreSQL."""
    with _built(plain_server, extension=False) as name:
        yield name


@pytest.fixture(scope="session")
def timescale_template(timescale_server: str) -> Iterator[str]:
    """The name of a built database on TimescaleDB."""
    with _built(timescale_server, extension=True) as name:
        yield name


@pytest.fixture(name="kind", params=["plain", "timescale"])
def _kind(request: pytest.FixtureRequest) -> str:
    """Each kind of server in turn."""
    return str(request.param)


@pytest.fixture(name="server")
def _server(request: pytest.FixtureRequest, kind: str) -> str:
    """The administrator's address of a server, of each kind in turn."""
    return str(request.getfixturevalue(f"{kind}_server"))


@pytest.fixture(name="empty_database_url")
def _empty_database_url(server: str, kind: str) -> Iterator[str]:
    """A database that no migration has seen, on each kind of server in turn."""
    with new_database(server, extension=kind == "timescale") as url:
        yield url


@pytest.fixture(name="database_url")
def _database_url(request: pytest.FixtureRequest, server: str, kind: str) -> Iterator[str]:
    """A database at the newest revision, on each kind of server in turn."""
    template = request.getfixturevalue(f"{kind}_template")
    with new_database(server, extension=False, template=template) as url:
        yield url


@pytest.fixture(name="community_database_url")
def _community_database_url(timescale_server: str, timescale_template: str) -> Iterator[str]:
    """A database at the newest revision on TimescaleDB under its Community licence, which has a columnstore."""
    with new_database(timescale_server, extension=False, template=timescale_template) as url:
        if not has_columnstore(url):
            pytest.skip("the server of TEST_TIMESCALE_URL has TimescaleDB under its Apache licence: no columnstore")
        yield url


@pytest.fixture(name="plain_database_url")
def _plain_database_url(plain_server: str, plain_template: str) -> Iterator[str]:
    """A database at the newest revision on plain PostgreSQL, for tests to which its kind is the same."""
    with new_database(plain_server, extension=False, template=plain_template) as url:
        yield url


@pytest.fixture(name="store")
async def _store(database_url: str) -> AsyncIterator[Store]:
    """An open store, on each kind of server in turn; it waits for a busy machine, and for a test that holds a lock."""
    store = Store(f"{database_url}?options=-c%20lock_timeout%3D60s%20-c%20statement_timeout%3D60s", watchdog_seconds=90)
    await store.open()
    yield store
    await store.close()
