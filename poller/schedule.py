"""Fires every poll at aligned instants of exchange time, and the housekeeping; nothing else imports APScheduler.

Three clocks meet here. Ticks are instants of *exchange* time, which is immune to steps of the host's clock but moves
when it is measured anew. APScheduler waits on the host's *wall* clock, which may step. The *steady* clock of the event
loop tells when the wall clock did. So a fire is only a hint to look at exchange time, which alone decides: the aligned
instants later than the last tick are due. Whatever makes a fire early, late, doubled or spurious can then neither lose
nor double a tick, and every aiming at the next instant is followed by such a look, in case one passed meanwhile.

It knows neither accounts nor requests: what a tick does, and what becomes of a skipped one, is passed in.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.base import STATE_RUNNING
from apscheduler.triggers.base import BaseTrigger

from poller.ticks import EPOCH, Ticks, aligned

Clock = Callable[[], datetime]
Tick = Callable[[datetime], Awaitable[None]]
Skipped = Callable[[datetime, str], Awaitable[None]]

GUARD_SECONDS = 0.25
DRIFT_SECONDS = 0.001
STEP_SECONDS = 0.1

STILL_RUNNING = "the previous poll was still running"
LATE = "the process was busy or asleep"
CORRECTED = "the clock was behind and has been corrected"

CLOCK_STEP = "clock step"
"""The key under which a failing `on_clock_step` is reported."""


class AlignedTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Aims at the wall-clock instant of the next multiple of `interval` in the time of `clock`."""

    def __init__(self, clock: Clock, interval: timedelta) -> None:
        self._clock = clock
        self._interval = interval

    def get_next_fire_time(self, _previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return an instant strictly after `now`, whatever was fired before.

        APScheduler asks again until the answer is later than the `now` it gave: after a forward step, millions of
        times if the answer followed from the previous one, and after a backward step since it read its clock, for
        ever if the answer did not also respect `now`.
        """
        instant = self._clock()
        return max(now, datetime.now(UTC)) + (aligned(instant, self._interval) + self._interval - instant)


@dataclass(slots=True)
class Series:
    """What happens at the ticks of one key."""

    clock: Clock
    ticks: Ticks
    tick: Tick
    skipped: Skipped
    _polling: bool = field(default=False, init=False)
    _reporting: bool = field(default=False, init=False)

    async def fire(self, why_missed: str) -> None:
        """Look at the clock, report the ticks that were missed, and poll the current one if it has not been yet."""
        if self._reporting:
            return  # The reports take long: the next fire finds this tick among the missed, in order.
        due = self.ticks.due(self.clock())
        if not due:
            return
        missed, current = due[:-1], due[-1]
        if self._polling:
            await self._report([*((instant, why_missed) for instant in missed), (current, STILL_RUNNING)])
            return
        self._polling = True
        try:
            await self._report([(instant, why_missed) for instant in missed])
            await self.tick(current)
        finally:
            self._polling = False

    async def _report(self, lost: Sequence[tuple[datetime, str]]) -> None:
        self._reporting = True
        try:
            for instant, reason in lost:
                await self.skipped(instant, reason)
        finally:
            self._reporting = False


class Schedule:
    """Polls at aligned instants and housekeeping jobs, fired until `run` is told to stop.

    Everything is registered before `run`, which can be called once.

    Args:
        now: Exchange time, aware; it may jump if `clock_changed` is called after that.
        on_clock_step: Awaited with the seconds by which the host's clock stepped; never twice at once.
        on_error: Told the key and the error of a failed housekeeping job, which is run again at its next time.
    """

    def __init__(
        self,
        *,
        now: Clock,
        on_clock_step: Callable[[float], Awaitable[None]],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self._now = now
        self._on_clock_step = on_clock_step
        self._on_error = on_error
        # The executor that runs a job in place. AsyncIOExecutor would own the polls: it silences their errors and
        # cancels them at shutdown. Here a job only starts a task, and the tasks are this object's.
        self._scheduler: Any = AsyncIOScheduler(timezone=UTC, executors={"default": DebugExecutor()})
        self._series: list[Series] = []
        self._fires: list[Callable[[str], None]] = []
        self._polls: set[asyncio.Task[None]] = set()
        self._chores: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._started = 0.0
        self._stepped = 0.0

    def every(self, interval_seconds: int, *, key: str, tick: Tick, skipped: Skipped, last: datetime | None) -> None:
        """Call `tick` with every instant of exchange time that is a multiple of `interval_seconds`, from `run` on.

        Args:
            interval_seconds: Whole seconds; all series of one interval tick at the same instants.
            key: Unique.
            tick: Polls; while it runs, the ticks that come are skipped. Its error ends `run`.
            skipped: Told the instants that were not polled, in order, and why. Its error ends `run`.
            last: The last tick of an earlier run, which is not repeated; None if there was none. More than one interval
                ahead of exchange time it is ignored: it was filed under a wrong clock.
        """
        ticks = Ticks(timedelta(seconds=interval_seconds), last or EPOCH)
        series = Series(self._now, ticks, tick, skipped)
        self._add(series, key, partial(self._fire, key, series, self._polls, self._fail))

    def housekeeping(self, seconds: float, job: Callable[[], Awaitable[None]], *, key: str) -> None:
        """Await `job` every `seconds` of the steady clock after `run`, never twice at once; errors go to `on_error`."""

        async def tick(_instant: datetime) -> None:
            await job()

        async def skipped(_instant: datetime, _reason: str) -> None:
            """Leave it at the next time."""

        series = Series(self._steady, Ticks(timedelta(seconds=seconds)), tick, skipped)
        self._add(series, key, partial(self._fire, key, series, self._chores, self._on_error))

    def clock_changed(self, *, reset: bool) -> None:
        """Aim all ticks anew after exchange time was measured.

        Args:
            reset: Exchange time was a guess until now, so the ticks between then and now were not missed. Otherwise
                ticks that a forward jump left out are skipped ones, and a small backward one repeats none.
        """
        if reset and self._scheduler.running:
            for series in self._series:
                series.ticks.reset(series.clock())
        self._aim(CORRECTED)

    async def run(self, stop: asyncio.Event) -> None:
        """Fire until `stop` is set or a tick has failed, and return when the polls in flight have ended.

        Housekeeping jobs in flight are cancelled then; cancelling `run` cancels all.

        Raises:
            BaseException: The first error of a tick; further ones go to `on_error`.
        """
        self._started = asyncio.get_running_loop().time()
        for series in self._series:
            series.ticks.restart(series.clock())
        self._scheduler.start()
        try:
            self._fire_all(LATE)
            await self._until(stop)
            self._scheduler.pause()
            while self._polls:
                await asyncio.wait(self._polls)
        finally:
            await self._shut_down()
            if self._failure is not None:
                raise self._failure

    def _add(self, series: Series, key: str, fire: Callable[[str], None]) -> None:
        self._series.append(series)
        self._fires.append(fire)
        trigger = AlignedTrigger(series.clock, series.ticks.interval)
        self._scheduler.add_job(fire, trigger, [LATE], id=key, name=key, misfire_grace_time=None)

    def _fire(
        self,
        key: str,
        series: Series,
        tasks: set[asyncio.Task[None]],
        failed: Callable[[str, BaseException], None],
        why_missed: str,
    ) -> None:
        self._start(key, series.fire(why_missed), tasks, failed)

    def _start(
        self,
        key: str,
        work: Coroutine[object, None, None],
        tasks: set[asyncio.Task[None]],
        failed: Callable[[str, BaseException], None],
    ) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                failed(key, error)

        task = asyncio.create_task(work, name=key)
        tasks.add(task)
        task.add_done_callback(ended)

    def _fail(self, key: str, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        else:
            self._on_error(key, error)

    def _fire_all(self, why_missed: str) -> None:
        for fire in self._fires:
            fire(why_missed)

    def _aim(self, why_missed: str) -> None:
        if self._scheduler.state == STATE_RUNNING:
            for job in self._scheduler.get_jobs():
                job.reschedule(job.trigger)
            self._fire_all(why_missed)

    async def _until(self, stop: asyncio.Event) -> None:
        apart = self._wall_minus_steady()
        while self._failure is None and not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(GUARD_SECONDS):
                    await stop.wait()
            apart = self._guard(apart)

    def _guard(self, apart: float) -> float:
        """Aim anew when the wall clock is stepped or slewed; without it, APScheduler sits out a backward step."""
        moved = self._wall_minus_steady() - apart
        if abs(moved) >= DRIFT_SECONDS:
            self._aim(LATE)
            apart += moved
        if abs(moved) >= STEP_SECONDS:
            self._stepped += moved
        if self._stepped and CLOCK_STEP not in {task.get_name() for task in self._chores}:
            self._start(CLOCK_STEP, self._tell_step(), self._chores, self._on_error)
        return apart

    async def _tell_step(self) -> None:
        seconds, self._stepped = self._stepped, 0.0
        await self._on_clock_step(seconds)

    async def _shut_down(self) -> None:
        self._scheduler.pause()
        self._scheduler.shutdown()
        await asyncio.sleep(0)  # AsyncIOScheduler shuts down in the next round of the loop.
        tasks = self._polls | self._chores
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _steady(self) -> datetime:
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time() - self._started)

    @staticmethod
    def _wall_minus_steady() -> float:
        return time.time() - asyncio.get_running_loop().time()
