"""The writer never gives up, however long the database is away."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from structlog import DropEvent
from structlog.testing import capture_logs
from structlog.typing import EventDict

from poller.errors import StoreUnavailableError
from poller.spool import Spool
from poller.storage.store import Store
from poller.writer import Writer
from tests.support.virtual_time import run_in_virtual_time

WEEK = timedelta(days=7).total_seconds()
LONGEST_PAUSE = 5.0


class AwayForAWeek(Store):
    """A database that nobody reaches for a week; the times of all attempts are kept."""

    def __init__(self) -> None:
        super().__init__("postgresql://127.0.0.1:1/none")
        self.attempts: list[float] = []

    async def open(self) -> None:
        self.attempts.append(asyncio.get_running_loop().time())
        if self.attempts[-1] < WEEK:
            raise StoreUnavailableError("away")

    async def ensure_partitions(self) -> int:
        return 0


def test_a_database_that_is_away_for_a_week_is_still_tried_every_5_seconds(tmp_path: Path) -> None:
    told: list[float] = []

    def note(_logger: object, _method: str, event: EventDict) -> EventDict:
        if event["event"] == "not storing":
            told.append(event["retry_in_s"])
        raise DropEvent

    async def wait() -> list[float]:
        spool = await Spool.open(tmp_path / "spool.sqlite", max_size=2**24)
        store = AwayForAWeek()
        writer = Writer(spool=spool, store=store)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(writer.run())
            await writer.drained.wait()
            task.cancel()
        await spool.close()
        return store.attempts

    with capture_logs([note]):
        attempts = run_in_virtual_time(wait())
    pauses = [after - before for before, after in pairwise(attempts)]

    assert WEEK <= attempts[-1] <= WEEK + LONGEST_PAUSE
    assert max(pauses) <= LONGEST_PAUSE
    assert len(told) == len(attempts) - 1
