"""The states in which a daemon can be told to end, and how each is brought about."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from poller.simulator import SimulatedExchange
from poller.simulator.faults import Delay, Drop
from poller.simulator.scripts import Stage
from tests.torture.backlog import fill
from tests.torture.program import PATIENCE_SECONDS, Program, Workplace
from tests.torture.server import Server

_NOWHERE: Final = "postgresql://nobody@127.0.0.1:1/none"
_SMALL: Final = "1MiB"
_KILLED: Final = -signal.SIGTERM  # it had not yet begun to listen for signals


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A workplace with everything around it."""

    workplace: Workplace
    server: Server
    chance: random.Random
    backlog: int

    @property
    def exchange(self) -> SimulatedExchange:
        """The exchange of this workplace alone."""
        return self.workplace.exchange


Prepare = Callable[[Scene], Awaitable[object]]
Reach = Callable[[Scene, Program], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One state of the daemon.

    Attributes:
        prepare: What is done before it starts.
        reach: Waits until it is in this state.
        codes: The exit codes that are right.
        again: Whether a second signal follows, from which the time is counted.
    """

    prepare: Prepare
    reach: Reach
    codes: tuple[int, ...] = (0,)
    again: bool = False


async def _nothing(_scene: Scene) -> None:
    """Prepare nothing."""


async def _some_time(scene: Scene, _program: Program) -> None:
    await asyncio.sleep(scene.chance.uniform(0, 4))


async def _slow_handshakes(scene: Scene) -> None:
    scene.exchange.faults.next(None, Delay(30), stage=Stage.HANDSHAKE, times=None)


async def _silent(scene: Scene) -> None:
    scene.workplace.configure(interval="10s")
    scene.exchange.faults.next(None, Drop(), times=None)


async def _no_database(scene: Scene) -> None:
    scene.workplace.environ["DATABASE_URL"] = _NOWHERE


async def _no_schema(scene: Scene) -> None:
    scene.workplace.environ["DATABASE_URL"] = await asyncio.to_thread(scene.server.database, schema=False)


async def _stopped_exchange(scene: Scene) -> None:
    await scene.exchange.stop()


async def _full(scene: Scene) -> None:
    await _no_database(scene)
    scene.workplace.configure(max_size=_SMALL)
    await fill(scene.workplace, max_size=2**20, count=None)


async def _filled(scene: Scene) -> None:
    await fill(scene.workplace, max_size=2**30, count=scene.backlog)


async def _asked(scene: Scene, _program: Program) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await scene.exchange.journal.wait_until(lambda journal: sum(bool(r.connection) for r in journal.requests) > 1)


async def _banned(scene: Scene, program: Program) -> None:
    await program.says("poll stored")
    scene.exchange.ban(3600)
    await program.says("address banned")


async def _freeze_later(scene: Scene, program: Program) -> None:
    await program.says("poll stored")
    scene.server.freeze()
    await asyncio.sleep(scene.chance.uniform(0, 4))


def _says(phrase: str) -> Reach:
    async def reach(_scene: Scene, program: Program) -> None:
        await program.says(phrase)

    return reach


async def _freeze(scene: Scene) -> None:
    scene.server.freeze()


_STARTING: Final = State(prepare=_nothing, reach=_some_time, codes=(0, _KILLED))
SHARED: Final = {
    "just started": _STARTING,
    "polling": State(prepare=_nothing, reach=_says("poll stored")),
    "with a poll in flight": State(prepare=_silent, reach=_asked),
    "draining a backlog": State(prepare=_filled, reach=_says("poll stored")),
    "waiting for a handshake": State(prepare=_slow_handshakes, reach=_says("clock measured")),
    "without an exchange": State(prepare=_stopped_exchange, reach=_says("not connected")),
    "banned": State(prepare=_nothing, reach=_banned),
    "without a database": State(prepare=_no_database, reach=_says("not storing")),
    "with a full spool": State(prepare=_full, reach=_says("poll refused")),
    "without a schema": State(prepare=_no_schema, reach=_says("not storing")),
    "after a second signal": State(prepare=_silent, reach=_asked, codes=(128 + signal.SIGTERM,), again=True),
    **{f"just started, again ({number})": _STARTING for number in range(2, 7)},
}
ALONE: Final = {
    "with a database that froze": State(prepare=_nothing, reach=_freeze_later),
    "with a database frozen from the start": State(prepare=_freeze, reach=_asked),
    "with a database frozen, just started": replace(_STARTING, prepare=_freeze),
}
