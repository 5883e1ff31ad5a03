"""Keeps the rollups up to date."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from poller.errors import StoreUnavailableError
from poller.schedule import Schedule
from poller.storage.store import Store

REFRESH_SECONDS: Final = 60.0
_AT_ONCE_SECONDS: Final = 50.0
_MANY_HOURS: Final = 100

_log = structlog.stdlib.get_logger()


class Rollups:
    """Asks the database every minute to make anew what saves have touched.

    The store is one of its own: over the writer's connection, a backlog of rollups would keep polls waiting.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def refresh(self) -> None:
        """Work the queue off, or as much of it as a minute allows; what fails is tried again a minute later."""
        now = asyncio.get_running_loop().time
        until, hours = now() + _AT_ONCE_SECONDS, 0
        try:
            if not self._store.is_open:
                await self._store.open()
            while now() < until and (finished := await self._store.refresh_rollups()):
                hours += finished
        except StoreUnavailableError as exc:
            _log.warning("rollups not refreshed", reason=str(exc), retry_in_s=REFRESH_SECONDS)
        if hours >= _MANY_HOURS:
            _log.info("rollups catching up", hours=hours)


@asynccontextmanager
async def refreshing_rollups(url: str, schedule: Schedule) -> AsyncIterator[Store]:
    """Let a schedule refresh the rollups of the database at `url`; the store that does it is given."""
    store = Store(url)
    schedule.housekeeping(REFRESH_SECONDS, Rollups(store).refresh, key="refresh rollups")
    try:
        yield store
    finally:
        await store.close()
