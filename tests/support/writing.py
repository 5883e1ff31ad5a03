"""A writer that runs as long as a test needs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from poller.writer import Writer

_PATIENCE_SECONDS = 120.0


@asynccontextmanager
async def running(writer: Writer) -> AsyncIterator[None]:
    """Let a writer run; its store is closed afterwards."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(writer.run())
        yield
        task.cancel()
    await writer._store.close()


async def drained(writer: Writer) -> None:
    """Run a writer until it has stored all that its spool holds."""
    async with running(writer), asyncio.timeout(_PATIENCE_SECONDS):
        await writer.drained.wait()
