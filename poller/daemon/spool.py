"""The spool that the settings name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from poller.config import Settings
from poller.spool import Spool

_log = structlog.stdlib.get_logger()


@asynccontextmanager
async def open_spool(settings: Settings) -> AsyncIterator[Spool]:
    """Own the spool as long as the context lasts.

    Raises:
        SpoolLockedError: Another process owns it.
        SpoolFullError: It cannot be opened for lack of room.
    """
    spool = await Spool.open(settings.spool.path, max_size=settings.spool.max_size_bytes)
    if spool.recovered is not None:
        _log.error("spool was damaged", recovery=spool.recovered)
    if spool.depth:
        _log.info("spool holds polls to store", spooled=spool.depth)
    try:
        yield spool
    finally:
        await spool.close()
