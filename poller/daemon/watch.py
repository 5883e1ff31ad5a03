"""Looks whether everything moves, and tells the log and the service manager."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from poller.daemon.progress import Progress
from poller.daemon.recorder import Recorder
from poller.daemon.systemd import Systemd

_LOOK_SECONDS: Final = 1.0
_STALL_SECONDS: Final = 10.0

_log = structlog.stdlib.get_logger()


def look_seconds(systemd: Systemd) -> float:
    """Return how often to look: several times while the manager is patient, so that one late look kills nobody."""
    return min(_LOOK_SECONDS, (systemd.watchdog_seconds or _LOOK_SECONDS) / 4)


def stall_seconds(systemd: Systemd) -> float:
    """Return how long the loop may stand still before that is logged: not later than the process would be killed."""
    return min(_STALL_SECONDS, (systemd.watchdog_seconds or _STALL_SECONDS) / 2)


@asynccontextmanager
async def watched(
    progress: Progress, systemd: Systemd, *, recorder: Recorder, stop: asyncio.Event
) -> AsyncIterator[None]:
    """Tell that recording has begun, that all is well as long as it is, and that it ends when `stop` is set.

    A process in which something is stuck stays as it is; a manager that hears nothing more from it kills it.
    """
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(_watch(progress, systemd, recorder, stop))
        try:
            yield
        finally:
            watching.cancel()


async def _watch(progress: Progress, systemd: Systemd, recorder: Recorder, stop: asyncio.Event) -> None:
    ready, well = False, True
    while not stop.is_set():
        if not ready and recorder.is_recording:
            ready = True
            systemd.tell("READY=1", "STATUS=recording")
        stuck = progress.stuck()
        if stuck is None:
            systemd.tell("WATCHDOG=1")
        if well and stuck is not None:
            _log.error("progress stopped", reason=stuck)
            systemd.tell(f"STATUS=stuck: {stuck}")
        elif not well and stuck is None:
            _log.warning("progress resumed")
            systemd.tell("STATUS=recording")
        well = stuck is None
        with suppress(TimeoutError):
            async with asyncio.timeout(look_seconds(systemd)):
                await stop.wait()
    systemd.tell("STOPPING=1", "STATUS=stopping")
