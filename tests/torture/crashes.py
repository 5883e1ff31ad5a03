"""Kills the daemon and its database at any moment, and looks for what was acknowledged.

Daemons of several accounts on both markets are killed with SIGKILL while they start, poll, store, make partitions and
end. PostgreSQL, with full durability, is killed as well: its postmaster, or one of its backends, which makes it recover
from a crash. First daemons and server are killed at the same time; then the server alone, under the load of a daemon
that lives on.

After each kill of a daemon its spool is copied and read. What was ever seen there was acknowledged; so was every tick
after which the same daemon asked for another. All of it must be in the database in the end, exactly once, with
the rows of one reply only: they are compared with what its own kept reply is normalised to.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier

from poller.observation import Entry
from poller.simulator import SimulatedExchange
from tests.support.database import execute
from tests.torture.gaps import account
from tests.torture.places import Place
from tests.torture.program import PATIENCE_SECONDS, terminate
from tests.torture.server import Server
from tests.torture.terms import Figure, Terms
from tests.torture.truth import History, decided_twice

NAME = "Kill the daemon and PostgreSQL at any moment"

_PARTITIONS: Final = (
    "SELECT c.oid::regclass::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
    " WHERE relkind = 'r' AND relnamespace = 'poller_parts'::regnamespace ORDER BY 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is killed, and at how many places at once.

    Attributes:
        servers: In all.
        servers_meanwhile: While daemons are killed, some seconds apart.
    """

    daemons: int
    places: int
    servers: int
    servers_meanwhile: int
    apart: tuple[float, float]


_SHORT: Final = Plan(daemons=11, places=2, servers=3, servers_meanwhile=1, apart=(1, 4))
_LONG: Final = Plan(daemons=499, places=3, servers=50, servers_meanwhile=10, apart=(5, 25))


async def torture(chance: random.Random, terms: Terms) -> AsyncIterator[Figure]:
    """Kill, look, and compare."""
    plan = _SHORT if terms.short else _LONG
    async with AsyncExitStack() as stack:
        # One for each place: each is an address of its own, and so many starts on one would use up its weight.
        exchanges = [SimulatedExchange(seed=chance.randrange(2**32)) for _ in range(plan.places)]
        for exchange in exchanges:
            await stack.enter_async_context(exchange)
        with Server(terms.server).used() as server:
            url = server.database()
            partitions = execute(url, _PARTITIONS)
            places = [
                Place.of(terms.folder / f"place{number}", exchange, url, (f"main{number}", f"second{number}"))
                for number, exchange in enumerate(exchanges)
            ]
            meanwhile = await _kill_all(chance, plan, places, server, url)
            recovered = await _kill_servers(chance, plan.servers - meanwhile, places[0], server, url)
            for place in places:
                await _finish(place)
            yield Figure(name="daemons killed", value=plan.daemons + 1, bound=f">= {plan.daemons + 1}")
            servers = meanwhile + len(recovered)
            yield Figure(name="servers or backends killed", value=servers, bound=f">= {plan.servers}")
            yield Figure(
                name="slowest first write after a server accepts (s)", value=max(recovered), bound=terms.within(5)
            )
            for figure in await asyncio.to_thread(_compare, url, places):
                yield figure
            yield Figure(
                name="partitions missing", value=len(set(partitions) - set(execute(url, _PARTITIONS))), bound="<= 0"
            )


async def _kill_all(chance: random.Random, plan: Plan, places: Sequence[Place], server: Server, url: str) -> int:
    """Kill daemons at every place, and the server meanwhile; return how often the latter."""
    lives = [plan.daemons // plan.places + (number < plan.daemons % plan.places) for number in range(plan.places)]
    chances = [random.Random(chance.random()) for _ in (*places, server)]  # noqa: S311 - chooses what is done
    done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        killing = tasks.create_task(_kill_meanwhile(chances[-1], plan, server, done, url))
        async with asyncio.TaskGroup() as living:
            for own, place, number in zip(chances, places, lives, strict=False):
                living.create_task(_live(own, place, number))
        done.set()
    return killing.result()


async def _live(chance: random.Random, place: Place, lives: int) -> None:
    killed = 0
    while killed < lives:
        async with place.workplace.running() as program:
            if chance.random() < 0.25:
                await asyncio.sleep(chance.uniform(0, 2.5))
            else:
                await place.polls()
                await asyncio.sleep(chance.uniform(0, 1.5))
            if chance.random() < 0.1:
                terminate(program)
                await asyncio.sleep(chance.uniform(0, 0.1))
            killed += await program.kill() < 0
        await place.bury(program)


async def _kill_meanwhile(chance: random.Random, plan: Plan, server: Server, done: asyncio.Event, url: str) -> int:
    """Kill the server, leave it dead for a while, and take partitions away that daemons have to make again."""
    killed = 0
    while killed < plan.servers_meanwhile and not done.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(chance.uniform(*plan.apart)):
                await done.wait()
        server.kill()
        killed += 1
        await asyncio.sleep(chance.uniform(0, 3))
        await server.restart()
        async with await server.accepting(url):
            await asyncio.to_thread(_drop_last_partitions, url)
    return killed


def _drop_last_partitions(url: str) -> None:
    last = max(str(name)[-len("2026_11") :] for (name,) in execute(url, _PARTITIONS))
    for (name,) in execute(url, _PARTITIONS):
        if str(name).endswith(last):
            with suppress(psycopg.OperationalError):  # a deadlock with a daemon that just makes partitions
                execute(url, SQL("DROP TABLE {}").format(Identifier(*str(name).split("."))))


async def _kill_servers(chance: random.Random, kills: int, place: Place, server: Server, url: str) -> Sequence[float]:
    """Kill the server, or a backend, while a daemon polls; return after how many seconds it wrote again each time."""
    seconds = []
    async with place.workplace.running() as program:
        await program.says("poll stored")
        for number in range(kills):
            await asyncio.sleep(chance.uniform(0, 2))
            witness = await server.accepting(url)
            if number % 2 == 0 or not server.kill_backend():
                server.kill()
            await server.down(witness)
            await asyncio.sleep(chance.choice((0, 0, chance.uniform(0, 6))))
            await server.restart()
            async with await server.accepting(url) as connection, asyncio.timeout(PATIENCE_SECONDS):
                seconds.append(await server.seconds_until_written(connection))
        await program.kill()
    await place.bury(program)
    return seconds


async def _finish(place: Place) -> None:
    """Let a last life store what is left, and end in good order."""
    async with place.workplace.running() as program, asyncio.timeout(PATIENCE_SECONDS):
        await place.polls()
        await program.says("poll stored")
        while await asyncio.to_thread(place.witness.waiting):  # noqa: ASYNC110 - another process marks what is stored
            await asyncio.sleep(0.1)
        terminate(program)
        assert await program.ended() == 0, program.last_words()
    await place.bury(program)


def _compare(url: str, places: Sequence[Place]) -> list[Figure]:
    entries: list[Entry] = [entry for place in places for entry in place.witness.all()]
    # All had been stored when the last lives were told to end: only how they ended may wait for another life.
    marked = [entry for place in places for entry in place.witness.stored()]
    history = History.of(url)
    accounts = [account(url, place.witness.all()) for place in places]
    stored = {(time.isoformat(), name, market): status for (time, name, market), status in history.polls.items()}
    told = {key: status for place in places for key, status in place.told.items()}
    worse = sum(stored.get(key) not in {status, "ok"} for key, status in told.items())
    return [
        Figure(name="entries acknowledged", value=len(entries), bound=""),
        Figure(name="acknowledged entries lost", value=history.lost(marked), bound="<= 0"),
        Figure(
            name="entries that vanished from a spool",
            value=sum(place.witness.vanished() for place in places),
            bound="<= 0",
        ),
        Figure(
            name="ticks asked for, not the last, and not kept",
            value=sum(place.unkept for place in places),
            bound="<= 0",
        ),
        Figure(name="polls logged as stored and lost, or worse than logged", value=worse, bound="<= 0"),
        Figure(name="ticks decided twice", value=decided_twice(entries), bound="<= 0"),
        Figure(name="partial or mixed snapshots", value=history.mixed(entries), bound="<= 0"),
        *(
            Figure(name=f"polls with status {status}", value=number, bound="")
            for status, number in Counter(history.polls.values()).most_common()
        ),
        Figure(name="runs that did not end in good order", value=history.crashed, bound=""),
        Figure(name="ticks without a row", value=sum(found.missing for found in accounts), bound=""),
        Figure(name="of these, crashed", value=sum(found.crashed for found in accounts), bound=""),
        Figure(name="of these, not in poll_gaps", value=sum(found.unaccounted for found in accounts), bound="<= 0"),
        Figure(name="of these, with another cause", value=sum(found.wrong for found in accounts), bound="<= 0"),
    ]
