"""The database that the settings name, started first when it is the embedded one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import structlog

from poller.config import Settings
from poller.daemon.exchange import Hide
from poller.errors import StoreUnavailableError
from poller.observe.redaction import redact
from poller.storage.embedded import EmbeddedPostgres
from poller.storage.schema import upgrade

_PATIENCE_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 10.0

_log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where history is stored.

    Attributes:
        url: For recording.
        migration_url: For the owner of the schema.
        shown: As it may be printed: without a password, and for the embedded one yet usable as it is.
        embedded: The server, when it is ours.
    """

    url: str = field(repr=False)
    migration_url: str = field(repr=False)
    shown: str
    embedded: EmbeddedPostgres | None = None


@asynccontextmanager
async def open_database(settings: Settings, *, hide: Hide) -> AsyncIterator[Database]:
    """Have the database run as long as the context lasts, if it is the embedded one.

    Raises:
        EmbeddedDatabaseError: It cannot be started.
    """
    if settings.database_url is not None:
        url = settings.database_url
        yield Database(url=url, migration_url=settings.migration_url or url, shown=redact(url))
        return
    embedded = EmbeddedPostgres(settings.embedded_directory, warn=_warn)
    url = await asyncio.to_thread(embedded.start)
    hide(urlsplit(url).password or "")
    try:
        shown = _without_password(url, settings.embedded_directory / "pgpass")
        yield Database(url=url, migration_url=url, shown=shown, embedded=embedded)
    finally:
        await asyncio.to_thread(embedded.stop)


async def upgrade_schema(database: Database) -> bool:
    """Bring the schema to this release and tell whether that worked; the reason for a failure is logged."""
    try:
        await asyncio.to_thread(upgrade, database.migration_url, _report_revision)
    except StoreUnavailableError as exc:
        _log.error("schema not upgraded", reason=str(exc))
        return False
    return True


@asynccontextmanager
async def kept_upgraded(database: Database) -> AsyncIterator[None]:
    """Bring the schema to this release, and try again where that failed, as long as the context lasts.

    It is entered when that is done, has failed once or takes long: polls wait in the spool meanwhile.
    """
    tried = asyncio.Event()
    task = asyncio.create_task(_upgrade_until_done(database, tried))
    try:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await tried.wait()
        except TimeoutError:
            _log.warning("schema not upgraded yet", meanwhile="polls are spooled")
        yield
    finally:
        task.cancel()  # what a thread has begun goes on without it, at most to the end of the process
        with suppress(asyncio.CancelledError):
            await task


async def _upgrade_until_done(database: Database, tried: asyncio.Event) -> None:
    while True:
        done = await upgrade_schema(database)
        tried.set()
        if done:
            return
        await asyncio.sleep(_AGAIN_SECONDS)


def _without_password(url: str, passfile: Path) -> str:
    """Return an address that libpq's clients (psql, psycopg, DBeaver) can use as it is."""
    parts = urlsplit(url)
    netloc = f"{parts.username}@{parts.hostname}:{parts.port}"
    return parts._replace(netloc=netloc, query=f"passfile={quote(str(passfile))}").geturl()


def _warn(sentence: str) -> None:
    _log.warning("embedded database", warning=sentence)


def _report_revision(revision: str) -> None:
    _log.info("schema upgraded", revision=revision)
