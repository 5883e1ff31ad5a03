"""The kept replies, understood as this release does: rows are made anew where they differ, and nothing is lost."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from poller.codec import decompress
from poller.config import Settings
from poller.daemon.database import open_database
from poller.daemon.exchange import Hide
from poller.entries import understand
from poller.errors import UnstorableError
from poller.observation import Status
from poller.records import Snapshot
from poller.storage.archive import Archive, Kept, Selection

MOST_REASONS: Final = 1000
"""Reasons that are counted one by one."""


@dataclass(slots=True, kw_only=True)
class Renormalized:
    """How far it is.

    Attributes:
        total: Replies that are kept of the polls asked for.
        unchanged: Polls whose rows are just what their reply says.
        changed: `ok` polls whose rows were made anew.
        now_ok: Polls that were malformed and are `ok` now.
        malformed: Why polls that were malformed stay so, with how many.
        kept: Why the reply of an `ok` poll is understood no more, with how many: their rows stay.
    """

    total: int
    unchanged: int = 0
    changed: int = 0
    now_ok: int = 0
    malformed: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)

    @property
    def seen(self) -> int:
        """Replies that are dealt with."""
        return self.unchanged + self.changed + self.now_ok + self.malformed.total() + self.kept.total()


async def renormalize(
    settings: Settings, selection: Selection, *, dry: bool, hide: Hide, report: Callable[[Renormalized], None]
) -> Renormalized:
    """Make the rows of the selected polls anew from their replies; `dry` undoes each. `report` is told how far it is.

    Raises:
        StoreUnavailableError: The database cannot be reached, or the role lacks a right; what was done stays.
        EmbeddedDatabaseError: The embedded database cannot be started.
    """
    async with open_database(settings, hide=hide) as database:
        archive = Archive(database.migration_url)
        await asyncio.to_thread(archive.check)
        statuses = (Status.OK, Status.MALFORMED)
        counts = [await asyncio.to_thread(archive.count, selection, status) for status in statuses]
        done = Renormalized(total=sum(counts))
        for status in statuses:
            report(done)
            last = None
            while batch := await asyncio.to_thread(archive.after, last, selection, status):
                await asyncio.to_thread(_renew, archive, batch, done, dry=dry)
                last = batch[-1].key
                report(done)
    return done


def _renew(archive: Archive, batch: Sequence[Kept], done: Renormalized, *, dry: bool) -> None:
    understood: list[Snapshot] = []
    status = batch[0].status
    for kept in batch:
        snapshot, reason = _understand(kept)
        if snapshot is not None:
            understood.append(snapshot)
        else:
            _count(done.kept if status is Status.OK else done.malformed, reason)
    differing = archive.differing(understood) if understood else []
    done.unchanged += len(understood) - len(differing)
    for snapshot in differing:
        try:
            changed = archive.rewrite(snapshot, status, dry=dry)
        except UnstorableError as exc:
            _count(done.kept if status is Status.OK else done.malformed, str(exc))
            continue
        done.unchanged += not changed
        done.changed += changed and status is Status.OK
        done.now_ok += changed and status is not Status.OK


def _understand(kept: Kept) -> tuple[Snapshot | None, str]:
    if not _is_whole(kept):
        return None, kept.reason or "the reply was not kept whole"
    snapshot = understand(kept.observation).snapshot
    if snapshot.poll.status is not Status.OK:
        return None, snapshot.poll.error_message or "unknown"
    if kept.mode_unknown and snapshot.totals is not None:
        totals = replace(snapshot.totals, asset_mode=None, asset_mode_source=None, totals_asset=None)
        snapshot = replace(snapshot, totals=totals)
    return snapshot, ""


def _is_whole(kept: Kept) -> bool:
    """Of a reply that was too large only the head is there, and of some not even that."""
    if kept.status is Status.OK:
        return True
    try:
        return len(decompress(kept.observation.codec, kept.observation.body)) == kept.body_bytes
    except ValueError:
        return False


def _count(reasons: Counter[str], reason: str) -> None:
    reasons[reason if reason in reasons or len(reasons) < MOST_REASONS else "other reasons"] += 1
