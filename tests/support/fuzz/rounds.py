"""Many accounts that are polled at once, with replies that are made up, on one way into a real database."""

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import psycopg

from poller.exchange.pacing import Pacing
from poller.observation import Market, Status
from poller.poll import Target, poll
from poller.simulator import SimulatedExchange
from poller.simulator.envelope import Answer
from poller.simulator.faults import Outcome
from poller.simulator.weight import WeightLimits
from poller.spool import Spool
from poller.storage.store import Store
from poller.writer import Writer
from tests.support.fuzz.comparing import Whose, compare
from tests.support.fuzz.mutations import LIMIT, Frames, mutated, padded, stuffed
from tests.support.way import Journey, journey_to, target

_ACCOUNTS: Final = 25
_GOOD_EVERY: Final = 8
_WEIGHT: Final = 5
_DEADLINE_SECONDS: Final = 1.5
_GOOD_SECONDS: Final = 60.0
_DRAIN_SECONDS: Final = 120.0
_INTERVAL: Final = timedelta(seconds=10)
_START: Final = datetime(2026, 6, 1, tzinfo=UTC)
_PACING: Final = Pacing(first=0.01, longest=0.05, spacing=0.0)
_SIZES: Final = (
    lambda reply: padded(reply, 17 * 1024 * 1024),
    lambda reply: padded(reply, LIMIT),
    lambda reply: padded(reply, LIMIT - 1000),
    lambda reply: stuffed(reply, LIMIT // 2),
    lambda reply: stuffed(reply, 17 * 1024 * 1024),
    lambda reply: padded(reply[:-1], 2 * 1024 * 1024),
)

Make = Callable[[bytes], Frames]


@dataclass(slots=True, kw_only=True)
class Fuzz:
    """One way to the simulated exchange and into the database, and what was found on it."""

    chance: random.Random
    simulator: SimulatedExchange
    journey: Journey
    spool: Spool
    writer: Writer
    connection: psycopg.Connection
    targets: tuple[Target, ...]
    make: dict[Whose, Make] = field(default_factory=dict)
    said: dict[Whose, list[bytes]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    mutated: int = 0
    good: int = 0
    good_failed: int = 0
    unhandled: int = 0
    growth: int = 0
    tick: int = 0

    async def run(self, polls: int) -> None:
        """Mutate at least so many replies; the first round has the largest, for memory is counted from there."""
        sizes = list(_SIZES)
        await self.journey.exchange.clock.measure()
        await self._round(lambda number: _only(sizes[number % len(sizes)]) if number < 2 * len(sizes) else None)
        warm = _resident_bytes()
        while self.mutated < polls:
            huge = self.chance.choice(_SIZES) if self.tick % _GOOD_EVERY == 1 else None
            first = _only(huge) if huge else self._mutate
            await self._round(partial(_after, first, self._mutate))
            self.growth = max(self.growth, _resident_bytes() - warm)
            if self.tick % _GOOD_EVERY == 0:
                await self._good_round()
        await self._good_round()

    def _mutate(self, reply: bytes) -> Frames:
        return mutated(self.chance, reply)

    async def _round(self, make: Callable[[int], Make | None]) -> None:
        """Ask for all at once; the first reply to each is made up, a second one within the tick is true."""
        made = {_whose(target): made for number, target in enumerate(self.targets) if (made := make(number))}
        self.make, self.mutated = dict(made), self.mutated + len(made)
        statuses = await self._poll_all(_DEADLINE_SECONDS)
        self.statuses.update(status for whose, status in statuses.items() if whose in made)

    async def _good_round(self) -> None:
        self.make = {}
        statuses = await self._poll_all(_GOOD_SECONDS)
        self.good += len(statuses)
        self.good_failed += sum(status is not Status.OK for status in statuses.values())

    async def _poll_all(self, seconds: float) -> dict[Whose, Status]:
        self._end_holds()
        self.tick, self.said = self.tick + 1, {}
        time = _START + self.tick * _INTERVAL
        await asyncio.gather(*(self._poll(whom, time, seconds) for whom in self.targets))
        self.writer.wake()
        async with asyncio.timeout(_DRAIN_SECONDS):
            await self.writer.drained.wait()
        statuses, wrong = compare(self.connection, time, self.said)
        self.wrong += wrong
        self.wrong += [f"{time} {_whose(whom)}: no poll" for whom in self.targets if _whose(whom) not in statuses]
        return statuses

    async def _poll(self, whom: Target, time: datetime, seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        await self.spool.append(
            await poll(whom, time, exchange=self.journey.exchange, deadline=deadline, instance="run-1")
        )

    def _end_holds(self) -> None:
        """Begin anew after whatever the replies asked for: silence, rest, or a budget that is used up."""
        exchange = self.journey.exchange
        for whom in self.targets:
            exchange.holds.succeeded(*_whose(whom))
        exchange.holds._address = None
        if not exchange.budget._has_room(_WEIGHT * len(self.targets)):
            self.journey.pass_time(60.05 - self.simulator.server_ms() / 1000 % 60)

    def say(self, whose: Whose, reply: bytes) -> Frames:
        """Return what is sent instead of a reply, and remember it."""
        make = self.make.pop(whose, None)
        frames = make(reply) if make else (reply,)
        self.said.setdefault(whose, []).extend(frames)
        return frames


@dataclass(frozen=True, slots=True)
class _Said:
    """The reply that the fuzzer makes of the true one."""

    fuzz: Fuzz
    whose: Whose

    def apply(self, outcome: Outcome, _answer: Answer | None, /) -> Outcome:
        return replace(outcome, frames=self.fuzz.say(self.whose, *outcome.frames))


@asynccontextmanager
async def fuzzing(chance: random.Random, url: str, folder: Path) -> AsyncIterator[Fuzz]:
    """Have everything from the simulated exchange to the database at `url` run as long as the context lasts."""
    simulator = SimulatedExchange(seed=chance.getrandbits(32), limits=WeightLimits(weight=500_000))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(simulator)
        for number in range(_ACCOUNTS):
            simulator.add_account(f"account-{number}", multi_assets=number % 3 == 1, hedge=number % 2 == 1)
        journey = await stack.enter_async_context(journey_to(simulator, pacing=_PACING))
        spool = await Spool.open(folder / "spool.sqlite", max_size=2**28)
        stack.push_async_callback(spool.close)
        store = Store(url)
        stack.push_async_callback(store.close)
        writer = Writer(spool=spool, store=store)
        whom = tuple(target(simulator, market, f"account-{n}") for n in range(_ACCOUNTS) for market in Market)
        fuzz = Fuzz(
            chance=chance, simulator=simulator, journey=journey, spool=spool, writer=writer, targets=whom,
            connection=stack.enter_context(psycopg.connect(url, autocommit=True)),
        )  # fmt: skip
        for one in whom:
            simulator.faults.next(one.market, _Said(fuzz, _whose(one)), label=one.account, times=None)
        asyncio.get_running_loop().set_exception_handler(lambda *_: _count(fuzz))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        writing = tasks.create_task(writer.run())
        stack.callback(writing.cancel)
        yield fuzz


def _count(fuzz: Fuzz) -> None:
    fuzz.unhandled += 1


def _only(change: Callable[[bytes], bytes]) -> Make:
    return lambda reply: (change(reply),)


def _after(first: Make, others: Make, number: int) -> Make:
    return others if number else first


def _whose(whom: Target) -> Whose:
    return whom.account, whom.market


def _resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
