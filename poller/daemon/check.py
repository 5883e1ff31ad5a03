"""Whether recording would work, found out without writing anything."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

from poller.config import Settings
from poller.daemon.database import Database, open_database
from poller.daemon.exchange import Hide, open_exchange
from poller.daemon.keys import able_to, read_only_accounts
from poller.daemon.once import poll_all
from poller.entries import understand
from poller.errors import EmbeddedDatabaseError, StoreUnavailableError
from poller.exchange.meanings import meaning
from poller.exchange.signing import KeyKind
from poller.observation import Status
from poller.records import AccountTotals, Snapshot
from poller.storage.report import DatabaseReport, report
from poller.storage.schema import check_revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the check."""

    subject: str
    good: bool
    text: str


_RETENTION: Final = Finding(
    subject="retention",
    good=True,
    text="warning: nothing is dropped, since the role lacks EXECUTE on poller.drop_history(text, timestamptz)",
)


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
            for finding in await _schema(database, retains=bool(settings.database.retention.limits())):
                yield finding
    except (EmbeddedDatabaseError, StoreUnavailableError) as exc:
        yield Finding(subject="database", good=False, text=str(exc))


async def _schema(database: Database, *, retains: bool) -> list[Finding]:
    found = await report(database.url)
    server = f"{database.shown}: PostgreSQL {found.server_version}, tier {found.tier}"
    missing = ", ".join(found.missing_rights)
    return [
        Finding(subject="database", good=True, text=server),
        _revision(found, automatic=database.embedded is not None),
        Finding(
            subject="rights", good=not missing, text=f"missing: {missing}" if missing else "all that recording needs"
        ),
        *([_RETENTION] if retains and not found.may_drop else []),
        *(Finding(subject="durability", good=True, text=f"warning: {weakness}") for weakness in found.weaknesses),
    ]


def _revision(found: DatabaseReport, *, automatic: bool) -> Finding:
    try:
        check_revision(found.current_revision)
    except StoreUnavailableError as exc:
        text = f"{exc}, or `poller run`, which does it for the embedded database" if automatic else str(exc)
        return Finding(subject="schema", good=automatic, text=text)
    return Finding(subject="schema", good=True, text=f"revision {found.current_revision} is current")


async def _exchange(settings: Settings, hide: Hide) -> AsyncIterator[Finding]:
    async with open_exchange(settings, hide=hide) as way:
        offset = way.exchange.clock.offset_ms
        yield Finding(
            subject="clock",
            good=offset is not None,
            text="the exchange does not tell its time" if offset is None else f"host clock off by {-offset} ms",
        )
        read_only = read_only_accounts(settings)
        for target, observation in zip(way.targets, await poll_all(way.exchange, way.targets), strict=True):
            snapshot = understand(observation).snapshot
            yield Finding(
                subject=f"account {target.account} {target.market}",
                good=snapshot.poll.status is Status.OK,
                text=opinion(snapshot, kind=target.credentials.kind, read_only=target.account in read_only),
            )


def opinion(snapshot: Snapshot, *, kind: KeyKind, read_only: bool) -> str:
    """Return what the exchange thinks of the key that a snapshot was asked for with.

    Args:
        snapshot: What came of it.
        kind: Of the key.
        read_only: Whether the key is known to be read-only.
    """
    poll, totals = snapshot.poll, snapshot.totals
    if totals is not None:
        return "; ".join([f"{kind} key accepted", *_rights(totals, read_only=read_only)])
    told = meaning(poll.status, exchange_status=poll.exchange_status, error_code=poll.error_code)
    code = f" {poll.error_code}" if poll.error_code is not None else ""
    words = f" ({poll.error_message})" if poll.error_message else ""
    match poll.status:
        case Status.UNAUTHORIZED:
            verdict = f"{kind} key refused"
        case Status.MALFORMED:
            verdict = f"{kind} key not refused"
        case _:
            verdict = f"{kind} key neither accepted nor refused, {poll.status}"
    return f"{verdict}{code}: {told}{words}"


def _rights(totals: AccountTotals, *, read_only: bool) -> Iterator[str]:
    """Yield what is known of the rights: of the account from the reply, of the key from the configuration alone."""
    if totals.can_trade is None and totals.can_withdraw is None:
        return  # a reply of USDⓈ-M does not say
    yield f"the account can {able_to(totals) or 'neither trade nor withdraw'}"
    yield "the key is known to be read-only" if read_only else "the key is not known to be read-only"
