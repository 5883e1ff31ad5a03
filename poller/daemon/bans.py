"""The end of a ban in the spool: a restart must not come back too early, for that makes the next ban longer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from poller.errors import SpoolFullError
from poller.exchange.holds import Hold
from poller.exchange.verdict import Action
from poller.spool import Spool

_NOTE: Final = "ban"
_LONGEST: Final = timedelta(days=3, hours=1)
"""The exchange's longest, and what may be added to it."""

_log = structlog.stdlib.get_logger()


@asynccontextmanager
async def noting_bans(spool: Spool) -> AsyncIterator[Callable[[Hold], None]]:
    """Give what is to be told of holds; each ban among them is in the spool when the context ends, or soon."""
    ends: asyncio.Queue[datetime] = asyncio.Queue()

    def hear(hold: Hold) -> None:
        if hold.action is Action.BAN:
            ends.put_nowait(datetime.now(UTC) + timedelta(seconds=hold.seconds))

    async def note() -> None:
        while True:
            await note_ban(spool, await ends.get())
            ends.task_done()

    async with asyncio.TaskGroup() as tasks:
        noting = tasks.create_task(note())
        try:
            yield hear
            await ends.join()
        finally:
            noting.cancel()


async def note_ban(spool: Spool, until: datetime) -> None:
    """Keep until when this address is banned, by the host's clock: it is the one that the next run begins with.

    A spool that cannot take it is logged: the ban then holds for this process alone.
    """
    try:
        await spool.remember(_NOTE, until.isoformat().encode())
    except SpoolFullError as exc:
        _log.error("ban not kept", reason=str(exc))


async def noted_ban_seconds(spool: Spool) -> float:
    """Return for how long the address is still banned, as an earlier run was told; 0 when it is not.

    A note that cannot be read, or that is further ahead than any ban lasts, is logged and as good as none.
    """
    try:
        note = (await spool.notes()).get(_NOTE)
        if note is None:
            return 0.0
        rest = datetime.fromisoformat(note.decode()) - datetime.now(UTC)
    except (SpoolFullError, ValueError, TypeError, OverflowError) as exc:
        _log.warning("ban not known", reason=str(exc))
        return 0.0
    if rest > _LONGEST:
        _log.warning("ban not known", reason=f"it would last {rest.days} days")
        return 0.0
    return max(0.0, rest.total_seconds())
