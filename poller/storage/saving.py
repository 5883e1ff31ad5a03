"""Polls into an open connection, with what became of each."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from poller.observation import Status
from poller.records import Snapshot
from poller.storage.failures import without_data
from poller.storage.statements import RELEASE, SAVE, save_parameters


class Saved(StrEnum):
    """What became of a snapshot: `REPLACED` when it took the place of a poll that was not ok.

    `REFUSED` when no history is kept for its time.
    """

    NEW = "new"
    REPLACED = "replaced"
    EXISTING = "existing"
    REFUSED = "refused"


async def save_snapshots(connection: AsyncConnection, snapshots: Sequence[Snapshot]) -> Sequence[Saved]:
    """Store all of them in one transaction, or none; no two may be of one tick."""
    outcomes = (await connection.execute(SAVE, save_parameters(snapshots))).all()
    for snapshot, outcome in zip(snapshots, outcomes, strict=True):
        if outcome.replaced_status == Status.MALFORMED:
            await connection.execute(RELEASE, _release_parameters(snapshot))
    return [_saved(snapshot, outcome) for snapshot, outcome in zip(snapshots, outcomes, strict=True)]


async def ensure_partitions(connection: AsyncConnection, instant: datetime | None) -> int:
    """Create the partitions of an instant, or of this month and the next three; return how many were missing."""
    with without_data():
        return int((await connection.execute(select(func.poller.ensure_partitions(instant)))).scalar_one())


async def refresh_rollups(connection: AsyncConnection) -> int:
    """Make queued rollups anew for some seconds; return how many hours were finished."""
    with without_data():
        return int((await connection.execute(select(func.poller.refresh_rollups()))).scalar_one())


def _saved(snapshot: Snapshot, outcome: Row[Any]) -> Saved:
    if outcome.passed:
        return Saved.REPLACED if outcome.replaced_status else Saved.NEW
    if not outcome.storable and snapshot.rejected is None:
        return Saved.REFUSED
    return Saved.NEW if outcome.kept else Saved.EXISTING


def _release_parameters(snapshot: Snapshot) -> dict[str, object]:
    poll, environment = snapshot.poll, snapshot.environment
    return {"time": poll.time, "account": poll.account, "market": poll.market.value, "environment": environment.value}
