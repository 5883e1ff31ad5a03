"""Whether recording would work, found out without writing anything."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from poller.config import Settings
from poller.daemon.database import Database, open_database
from poller.daemon.exchange import Hide, open_exchange
from poller.daemon.once import poll_all
from poller.errors import EmbeddedDatabaseError, StoreUnavailableError
from poller.observation import Status
from poller.storage.report import DatabaseReport, report
from poller.storage.schema import check_revision
from poller.writer import understand


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the check."""

    subject: str
    good: bool
    text: str


async def check(settings: Settings, *, hide: Hide) -> AsyncIterator[Finding]:
    """Yield what was found, as it is found."""
    yield Finding(subject="config", good=True, text=f"{settings.environment}, {len(settings.accounts)} account(s)")
    for warning in settings.warnings():
        yield Finding(subject="config", good=True, text=f"warning: {warning}")
    async for finding in _database(settings, hide):
        yield finding
    async for finding in _exchange(settings, hide):
        yield finding


async def _database(settings: Settings, hide: Hide) -> AsyncIterator[Finding]:
    if settings.database_url is None and not settings.embedded_directory.exists():
        yield Finding(subject="database", good=True, text="embedded; `poller run` creates it")
        return
    try:
        async with open_database(settings, hide=hide) as database:
            for finding in await _schema(database):
                yield finding
    except (EmbeddedDatabaseError, StoreUnavailableError) as exc:
        yield Finding(subject="database", good=False, text=str(exc))


async def _schema(database: Database) -> list[Finding]:
    found = await report(database.url)
    server = f"{database.shown}: PostgreSQL {found.server_version}, tier {found.tier}"
    missing = ", ".join(found.missing_rights)
    return [
        Finding(subject="database", good=True, text=server),
        _revision(found, automatic=database.embedded is not None),
        Finding(
            subject="rights", good=not missing, text=f"missing: {missing}" if missing else "all that recording needs"
        ),
    ]


def _revision(found: DatabaseReport, *, automatic: bool) -> Finding:
    try:
        check_revision(found.current_revision)
    except StoreUnavailableError as exc:
        text = f"{exc}, or `poller run`, which does it for the embedded database" if automatic else str(exc)
        return Finding(subject="schema", good=automatic, text=text)
    return Finding(subject="schema", good=True, text=f"revision {found.current_revision} is current")


async def _exchange(settings: Settings, hide: Hide) -> AsyncIterator[Finding]:
    async with open_exchange(settings, hide=hide) as (exchange, targets):
        offset = exchange.clock.offset_ms
        yield Finding(
            subject="clock",
            good=offset is not None,
            text="the exchange does not tell its time" if offset is None else f"host clock off by {-offset} ms",
        )
        for observation in await poll_all(exchange, targets):
            poll = understand(observation).snapshot.poll
            words = f"{poll.status}: {poll.error_message}" if poll.error_message else f"{poll.status}"
            yield Finding(
                subject=f"account {poll.account} {poll.market}",
                good=poll.status is Status.OK,
                text="key accepted" if poll.status is Status.OK else words,
            )
