"""A computer and an exchange in virtual time: days of recording in moments, on clocks that can be set.

Recording is whole but for the database: the real schedule, sockets, polls and spool. The spool's thread works in place,
for virtual time does not wait for threads.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import time_machine

from poller.daemon.recorder import Recorder
from poller.daemon.reference import Reference
from poller.observation import Environment, Market, Observation, Status
from poller.simulator import SimulatedExchange
from poller.spool import Spool
from poller.storage.store import Store
from poller.writer import Writer
from tests.support.virtual_time import run_in_virtual_time
from tests.support.way import Journey, journey_to, target

BEGINS: Final = datetime(2026, 11, 21, 12, 0, 3, 300_000, tzinfo=UTC)
NOWHERE: Final = "postgresql://nobody@127.0.0.1:1/nowhere"


@dataclass
class Host:
    """Clocks that pass virtual time, each in its own way; seconds.

    Attributes:
        now: The loop's time, which stands still while the host is suspended.
        suspended: How long it was.
        wall_stepped: What the wall clock is ahead of a true one.
        wall_slew: How fast it goes.
        exchange_stepped: What the exchange's clock is ahead.
        exchange_rate: How fast it goes as this host counts.
    """

    now: float = 0.0
    suspended: float = 0.0
    wall_stepped: float = -0.217
    wall_slew: float = 1.0
    exchange_stepped: float = 0.0
    exchange_rate: float = 1.0
    traveller: time_machine.Traveller | None = None

    def boot(self) -> float:
        """Tell the time since the boot, with what was slept."""
        return self.now + self.suspended

    def exchange(self) -> float:
        """Tell the exchange's time, since the epoch."""
        return BEGINS.timestamp() + self.boot() * self.exchange_rate + self.exchange_stepped

    def exchange_now(self) -> datetime:
        return datetime.fromtimestamp(self.exchange(), UTC)

    def set_wall(self) -> None:
        """Let the wall clock tell what it has to."""
        assert self.traveller is not None
        self.traveller.move_to(BEGINS.timestamp() + self.boot() * self.wall_slew + self.wall_stepped)

    def step(self, seconds: float) -> None:
        self.wall_stepped += seconds
        self.set_wall()

    def suspend(self, seconds: float) -> None:
        self.suspended += seconds
        self.set_wall()

    def slew(self, rate: float) -> None:
        """Go on at another rate from the same instant."""
        self.wall_stepped += self.boot() * (self.wall_slew - rate)
        self.wall_slew = rate

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run on a loop of its own; the wall clock of the whole process is this host's meanwhile."""

        def advance(now: float) -> None:
            self.now = now
            self.set_wall()

        async def begin() -> None:
            await main()

        with time_machine.travel(BEGINS, tick=False) as self.traveller:
            self.set_wall()
            run_in_virtual_time(begin(), on_advance=advance)


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a tick: `late_seconds` is how long after its instant it was asked for, by the true clocks."""

    time: datetime
    status: Status | None
    at: float
    late_seconds: float | None
    received_at: datetime | None
    clock_offset_ms: int | None


@dataclass
class History(Writer):
    """Takes from the spool what a writer would store."""

    host: Host
    spool: Spool
    journey: Journey
    kept: list[Kept] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(spool=self.spool, store=Store(NOWHERE))

    async def run(self) -> None:
        while True:
            self._work.clear()
            while pending := await self._spool.oldest(200):
                self.kept += [self._keep(item.entry) for item in pending if isinstance(item.entry, Observation)]
                await self._spool.done([item.id for item in pending])
            if not self._work.is_set():
                self.drained.set()
            await self._work.wait()

    def _keep(self, observation: Observation) -> Kept:
        late = None
        if observation.requested_at is not None:
            believed = self.journey.exchange.clock.now().timestamp()
            late = (observation.requested_at - observation.time).total_seconds() + self.host.exchange() - believed
        received_at, offset_ms = observation.received_at, observation.clock_offset_ms
        return Kept(observation.time, observation.status, self.host.now, late, received_at, offset_ms)


class InPlace(Executor):
    """Does at once what it is given."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001 - it belongs to whoever waits for it
            future.set_exception(exc)
        return future


@asynccontextmanager
async def recorded(
    host: Host,
    exchange: SimulatedExchange,
    folder: Path,
    accounts: Sequence[str] = ("main",),
    *,
    measured: bool = True,
) -> AsyncIterator[History]:
    """Poll each account every second as long as the context lasts, by a clock that was measured before or not."""
    thread: Any = InPlace()  # all that a spool needs of its thread
    spool = Spool(folder / "spool.sqlite", max_size=2**30, now=lambda: datetime.now(UTC), thread=thread)
    spool._file._database._connection.execute("PRAGMA synchronous = OFF")  # a disk takes its real time
    async with journey_to(exchange, steady=host.boot) as journey:
        weight = journey.wire.budget.weight
        weight._steady = weight._minute._steady = lambda: host.now  # by itself it asks this computer
        if measured:
            await journey.exchange.clock.measure()
        targets = [replace(target(exchange, Market.USDM, label), interval_seconds=1) for label in accounts]
        way = journey.way(*targets)
        history = History(host, spool, journey)
        reference = Reference(way, store=history._store)
        recorder = Recorder(way=way, reference=reference, spool=spool, writer=history, keep_seconds=60)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(recorder.record(stop, environment=Environment.SIMULATED))
            yield history
            stop.set()
    await spool.close()
