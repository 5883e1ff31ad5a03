"""The database servers that tests talk to: real ones, made for this run or named by the environment."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from poller.errors import EmbeddedDatabaseError
from poller.storage.embedded import EmbeddedPostgres

# What these tests store is worth nothing after a power cut, and flushing would slow every CREATE DATABASE. A vacuum by
# itself would be among the transactions that a test counts, and hold locks that another one waits for.
VOLATILE: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
}
DURABLE: Mapping[str, str] = {}


@contextmanager
def throw_away_server(settings: Mapping[str, str]) -> Iterator[EmbeddedPostgres]:
    """Run an embedded server of its own, and forget it.

    pytest's own temporary directories would not do: each new run closes them again for the account that root runs the
    server as.
    """
    with (
        tempfile.TemporaryDirectory(prefix="poller-server-") as directory,
        EmbeddedPostgres(Path(directory), warn=lambda _: None, settings=settings) as server,
    ):
        yield server


def administrative(url: str) -> str:
    """Return the address of the database `postgres` beside that of `url`."""
    return url.rpartition("/")[0] + "/postgres"


@pytest.fixture(scope="session")
def plain_server() -> Iterator[str]:
    """The administrator's address of an embedded PostgreSQL; without one the run ends at once."""
    try:
        with throw_away_server(VOLATILE) as server:
            yield administrative(server.url)
    except EmbeddedDatabaseError as error:
        pytest.exit(f"no test can run without the embedded PostgreSQL: {error}", returncode=3)


@pytest.fixture
def durable_server() -> Iterator[EmbeddedPostgres]:
    """A server for one test alone, with full durability: it may be killed."""
    with throw_away_server(DURABLE) as server:
        yield server


@pytest.fixture(scope="session")
def embedded_directory() -> Iterator[Path]:
    """The directory of a durable embedded server that ran before and is stopped now; tests leave it so."""
    with tempfile.TemporaryDirectory(prefix="poller-server-") as directory:
        with EmbeddedPostgres(Path(directory), warn=lambda _: None):
            pass
        yield Path(directory)


@pytest.fixture
def embedded_copy(embedded_directory: Path) -> Iterator[Path]:
    """A copy of `embedded_directory` that a test may damage."""
    with tempfile.TemporaryDirectory(prefix="poller-server-") as parent:
        yield shutil.copytree(embedded_directory, Path(parent) / "postgres")


@pytest.fixture(scope="session")
def timescale_server() -> str:
    """The administrator's address of a PostgreSQL with TimescaleDB, from TEST_TIMESCALE_URL."""
    url = os.environ.get("TEST_TIMESCALE_URL", "")
    if not url:
        reason = 'no TimescaleDB: export TEST_TIMESCALE_URL="$(sudo tests/timescale/prepare)"'
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return url
