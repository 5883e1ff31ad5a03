"""Databases that hold the made-up history, one for each kind of server: tests that use them write nothing into it."""

from collections.abc import Iterator

import pytest

from tests.support.database import new_database
from tests.support.history.loading import load


@pytest.fixture(scope="session")
def plain_history(plain_server: str, plain_template: str) -> Iterator[str]:
    """The history on plain PostgreSQL."""
    with new_database(plain_server, extension=False, template=plain_template) as url:
        load(url)
        yield url


@pytest.fixture(scope="session")
def timescale_history(timescale_server: str, timescale_template: str) -> Iterator[str]:
    """The history on TimescaleDB."""
    with new_database(timescale_server, extension=False, template=timescale_template) as url:
        load(url)
        yield url


@pytest.fixture(name="history_url")
def _history_url(request: pytest.FixtureRequest, kind: str) -> str:
    """A database that holds the history, on each kind of server in turn."""
    return str(request.getfixturevalue(f"{kind}_history"))
