"""The kinds of outages: what is done to the database or to the way there, and what ends it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, LiteralString

from psycopg.sql import SQL, Identifier

from poller.storage.embedded import EmbeddedPostgres
from tests.support.database import execute
from tests.support.frozen import frozen
from tests.support.passage import Passage
from tests.support.servers import administrative

_FULL: Final = """
CREATE FUNCTION poller.full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON poller.polls FOR EACH ROW EXECUTE FUNCTION poller.full_disk();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A database, by its own address, and the passage that leads there."""

    url: str
    way: Passage


@asynccontextmanager
async def _closed(close: Callable[[Passage], None], at: Place) -> AsyncIterator[None]:
    close(at.way)
    try:
        yield
    finally:
        await at.way.open()


@asynccontextmanager
async def _stopped(at: Place) -> AsyncIterator[None]:
    with frozen(at.url):
        yield


@asynccontextmanager
async def _changed(begin: LiteralString, end: LiteralString, at: Place) -> AsyncIterator[None]:
    _change(begin, at)
    try:
        yield
    finally:
        _change(end, at)


def _change(statement: LiteralString, at: Place) -> None:
    name = Identifier(at.url.rpartition("/")[2])
    execute(administrative(at.url) if "{name}" in statement else at.url, SQL(statement).format(name=name))
    execute(
        administrative(at.url),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'poller'",
    )


@asynccontextmanager
async def _shut_down(at: Place) -> AsyncIterator[None]:
    [(data,)] = execute(at.url, "SHOW data_directory")
    folder = Path(str(data))
    server = EmbeddedPostgres(folder.parent, warn=lambda _: None)
    await asyncio.to_thread(server.start)
    os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
    try:
        yield
    finally:
        await asyncio.to_thread(server.ensure_running)
        await asyncio.to_thread(server.stop)


KINDS: Final[Mapping[str, Callable[[Place], AbstractAsyncContextManager[None]]]] = {
    "refused": partial(_closed, Passage.refuse),
    "reset": partial(_closed, Passage.reset),
    "swallowed": partial(_closed, Passage.swallow),
    "frozen way": partial(_closed, Passage.freeze),
    "frozen answers": partial(_closed, partial(Passage.freeze, answers_only=True)),
    "frozen server": _stopped,
    "read-only": partial(
        _changed,
        "ALTER DATABASE {name} SET default_transaction_read_only = on",
        "ALTER DATABASE {name} RESET default_transaction_read_only",
    ),
    "disk full": partial(_changed, _FULL, "DROP FUNCTION poller.full_disk CASCADE"),
    "schema behind": partial(
        _changed,
        "ALTER TABLE poller.raw_payloads RENAME TO elsewhere",
        "ALTER TABLE poller.elsewhere RENAME TO raw_payloads",
    ),
    "restarted": _shut_down,
}
FROZEN: Final = ("swallowed", "frozen way", "frozen answers", "frozen server")
"""Those that nobody tells: they have to be noticed."""
