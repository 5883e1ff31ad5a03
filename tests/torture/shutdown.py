"""Sends SIGTERM to the daemon in every state that it can be in, and measures how long it takes to end.

The states: just started, at a random moment; waiting for a handshake; with a poll in flight that will not be answered
for long; without a database; with one that is frozen, from the start or suddenly, so that it accepts and never answers;
without an exchange; with one that is silent; banned; with a full spool; with a long backlog that is just being stored;
with a database whose schema is not there. Then two signals, one after the other.

Afterwards what its spool calls stored is in the database, and the rest still waits in the spool.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from poller.simulator import SimulatedExchange, WeightLimits
from tests.torture.program import Workplace, terminate
from tests.torture.server import Server
from tests.torture.states import ALONE, SHARED, Scene, State
from tests.torture.terms import Figure, Terms
from tests.torture.truth import History, Witness

NAME = "End in good order in any state"

_ENOUGH: Final = WeightLimits(weight=10_000_000)
_AT_ONCE: Final = 3


_SHORT: Final = frozenset({
    "just started", "with a poll in flight", "draining a backlog", "with a full spool", "with a database that froze",
    "after a second signal",
})  # fmt: skip


async def torture(chance: random.Random, terms: Terms) -> AsyncIterator[Figure]:
    """Bring about each state, and end it."""
    with Server(terms.server).used() as server:
        url = server.database()
        at_once = asyncio.Semaphore(_AT_ONCE)
        backlog = 3_000 if terms.short else 20_000

        async def end(name: str, state: State, own: random.Random) -> tuple[Figure, int]:
            async with at_once, SimulatedExchange(seed=own.randrange(2**32), limits=_ENOUGH) as exchange:
                folder = terms.folder / name.replace(" ", "-")
                workplace = Workplace(folder, exchange, url, (f"a{own.getrandbits(64):x}",))
                scene = Scene(workplace=workplace, server=server, chance=own, backlog=backlog)
                seconds = await _seconds(name, state, scene)
                bound = terms.within(1 if state.again else 5)
                lost = await asyncio.to_thread(_lost, workplace.spool, url)
                return Figure(name=f"until it has ended (s): {name}", value=seconds, bound=bound), lost

        chosen = {name: random.Random(chance.random()) for name in (*SHARED, *ALONE)}  # noqa: S311 - chooses what is done
        chosen = {name: own for name, own in chosen.items() if name in _SHORT or not terms.short}
        async with asyncio.TaskGroup() as tasks:
            ends = [tasks.create_task(end(name, SHARED[name], own)) for name, own in chosen.items() if name in SHARED]
        ended = [task.result() for task in ends]
        for figure, _ in ended:
            yield figure
        for name, own in chosen.items():
            if name in ALONE:
                ended.append(await end(name, ALONE[name], own))
                yield ended[-1][0]
        yield Figure(
            name="acknowledged entries lost, in all states", value=sum(lost for _, lost in ended), bound="<= 0"
        )


async def _seconds(name: str, state: State, scene: Scene) -> float:
    """Bring about a state, send the signal, and return how long the end takes."""
    await state.prepare(scene)
    async with scene.workplace.running() as program:
        await state.reach(scene, program)
        terminate(program)
        if state.again:
            await program.says("stopping")
            terminate(program)
        seconds = await asyncio.to_thread(_until_gone, program.process.pid)
        code = await program.ended()
    scene.server.thaw()
    assert code in state.codes, f"{name}: exit code {code}\n{program.last_words()}"
    return seconds


def _until_gone(pid: int) -> float:
    """Wait in a thread, which nothing else in this process delays, and leave the exit code to whoever asks for it."""
    began = time.monotonic()
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return time.monotonic() - began


def _lost(spool: Path, url: str) -> int:
    """Count what is marked as stored and is not; the rest still waits in the spool."""
    return History.of(url).lost(Witness(spool).stored())
