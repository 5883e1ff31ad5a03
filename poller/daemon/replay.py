"""What the database has lost, out of the spool: stored entries are stored once more, beside a daemon or without one.

The spool is only read, and the gate makes a no-op of what the database still has; so recording goes on meanwhile.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from poller.config import Settings
from poller.daemon.database import open_database
from poller.daemon.exchange import Hide
from poller.entries import save_entry
from poller.errors import EnvironmentMismatchError, UnstorableError
from poller.observation import Entry, ModesMeasured, Observation, RunStarted, RunStopped
from poller.spool.reader import Place, SpoolReader
from poller.storage.store import Saved, Store

_BATCH: Final = 200

_log = structlog.stdlib.get_logger()


@dataclass(slots=True, kw_only=True)
class Replayed:
    """How far a replay is.

    Attributes:
        total: Entries that the spool keeps of the time asked for.
        seen: Those of them that are dealt with.
        new: Polls that the database did not have, or not as `ok`.
        existing: Polls that it had.
        other: Runs and modes, of which the database does not tell whether it had them.
        refused: Entries that the database refuses.
        passed_over: Entries of other accounts.
        unreadable: Rows of the spool that cannot be read.
    """

    total: int
    seen: int = 0
    new: int = 0
    existing: int = 0
    other: int = 0
    refused: int = 0
    passed_over: int = 0
    unreadable: int = 0


async def replay(
    settings: Settings,
    *,
    since: datetime,
    until: datetime,
    account: str | None,
    hide: Hide,
    report: Callable[[Replayed], None],
) -> Replayed:
    """Store again what was stored from `since` until before `until`, by this host's clock.

    `report` is told how far it is, first and last of all too.

    Raises:
        ConfigError: There is no spool.
        SpoolFullError: The spool cannot be read now.
        StoreUnavailableError: The database takes nothing now; what is stored already stays.
        EmbeddedDatabaseError: The embedded database cannot be started.
    """
    reader = SpoolReader(settings.spool.path, since=since, until=until)
    replayed = Replayed(total=await asyncio.to_thread(reader.count))
    async with open_database(settings, hide=hide) as database:
        store = Store(database.url)
        try:
            await store.open()
            last: Place | None = reader.first
            while last is not None:
                report(replayed)
                batch = await asyncio.to_thread(reader.after, last, limit=_BATCH)
                await _store(store, [pending.entry for pending in batch.entries], account, replayed)
                replayed.unreadable += batch.unreadable
                replayed.seen += len(batch.entries) + batch.unreadable
                last = batch.last
        finally:
            await store.close()
    return replayed


async def _store(store: Store, entries: Sequence[Entry], account: str | None, replayed: Replayed) -> None:
    for entry in entries:
        if not _concerns(entry, account):
            replayed.passed_over += 1
            continue
        try:
            _, saved = await save_entry(store, entry)
        except (UnstorableError, EnvironmentMismatchError) as exc:
            _log.error("entry refused by the database", reason=str(exc), kind=type(entry).__name__)
            replayed.refused += 1
            continue
        match saved:
            case None:
                replayed.other += 1
            case Saved.EXISTING:
                replayed.existing += 1
            case Saved.NEW | Saved.REPLACED:
                replayed.new += 1
            case Saved.REFUSED:
                replayed.refused += 1


def _concerns(entry: Entry, account: str | None) -> bool:
    """Runs concern every account: without them nobody knows what was promised to be polled."""
    match entry:
        case Observation() | ModesMeasured():
            return account is None or entry.account == account
        case RunStarted() | RunStopped():
            return True
