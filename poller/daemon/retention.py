"""Drops what of the history is older than it is to be kept."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog

from poller.errors import HistoryInUseError, StoreUnavailableError
from poller.schedule import Schedule
from poller.storage.store import Store

LOOK_SECONDS: Final = 60.0
_DROP_SECONDS: Final = 3600.0

_log = structlog.stdlib.get_logger()


class Retention:
    """Asks the database every hour to drop what is old enough, as soon as it stores; recording never waits for it."""

    def __init__(self, store: Store, keep: Mapping[str, timedelta], *, now: Callable[[], datetime]) -> None:
        """Keep the rows of each table for as long as `keep` says, in the time of `now`, and others for ever."""
        self._store = store
        self._keep = keep
        self._now = now
        self._due = float("-inf")

    def register(self, schedule: Schedule) -> None:
        """Let a schedule call `drop_old`, unless all is kept for ever."""
        if self._keep:
            schedule.housekeeping(LOOK_SECONDS, self.drop_old, key="drop history")

    async def drop_old(self) -> None:
        """Drop what is due; what fails is logged and tried again an hour later."""
        now = asyncio.get_running_loop().time()
        if now < self._due or not self._store.is_open:
            return
        self._due = now + _DROP_SECONDS
        dropped = {history: await self._drop(history, keep) for history, keep in self._keep.items()}
        if any(dropped.values()):
            _log.info("history dropped", **{history: parts for history, parts in dropped.items() if parts})

    async def _drop(self, history: str, keep: timedelta) -> int:
        try:
            return await self._store.drop_history(history, keep=keep, now=self._now())
        except (HistoryInUseError, StoreUnavailableError) as exc:
            _log.error("history not dropped", table=history, reason=str(exc), retry_in_s=_DROP_SECONDS)
            return 0
