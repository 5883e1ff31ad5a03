"""What happens at each tick of every (account, market), from the first to the orderly end."""

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from secrets import token_hex
from typing import Final

import structlog

from poller import __version__
from poller.daemon.exchange import Way, measure_clock, report_clock
from poller.daemon.intake import AT_ONCE, Intake
from poller.daemon.reference import Reference
from poller.exchange.clock import Measurement
from poller.observation import Environment, Market, Promise, RunStarted, RunStopped, Status
from poller.poll import Target, deadline_seconds, poll, unanswered
from poller.schedule import Schedule
from poller.spool import Spool
from poller.writer import Writer

_CLOCK_SECONDS: Final = 30.0
_CLOCK_MAX_AGE_SECONDS: Final = 600.0
_REFERENCE_FIRST_SECONDS: Final = 2.0  # ticks are worth more than modes
_REFERENCE_SECONDS: Final = 5.0
_PURGE_SECONDS: Final = 600.0
_TELL_LOST_SECONDS: Final = 1.0
_POLLS_SECONDS: Final = 2.0
_DRAIN_SECONDS: Final = 1.0
_RECORDING_SECONDS: Final = 30.0

_log = structlog.stdlib.get_logger()


class Recorder:
    """Polls on schedule and keeps what comes of it.

    Attributes:
        is_recording: Whether a tick was decided, or the first is so far away that the schedule has fired without.
        polled: How many polls of each (account, market) have ended, with the entry in the spool or refused by it.
        intake: The way into the spool, with what was refused.
    """

    def __init__(
        self,
        *,
        way: Way,
        reference: Reference,
        spool: Spool,
        writer: Writer,
        keep_seconds: int,
    ) -> None:
        self._exchange = exchange = way.exchange
        self._targets = way.targets
        self._reference = reference
        self._spool = spool
        self._writer = writer
        intervals = {(target.account, target.market): target.interval_seconds for target in way.targets}
        self.intake = Intake(spool, intervals=intervals, appended=writer.wake)
        self._append = self.intake.append
        self._keep = timedelta(seconds=keep_seconds)
        self._instance = token_hex(6)
        self._measured_at = exchange.clock.steady()
        self._is_guess = exchange.clock.offset_ms is None
        self.schedule = Schedule(
            now=exchange.clock.now, on_clock_step=self._clock_stepped, on_error=self._housekeeping_failed
        )
        exchange.clock.on_measured = self._clock_measured
        self.is_recording = False
        self.polled: Counter[tuple[str, Market]] = Counter()

    async def record(self, stop: asyncio.Event, *, environment: Environment) -> None:
        """Poll until `stop` is set; then wait 2 s for the polls in flight, and drain the spool for up to 1 s."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_REFERENCE_FIRST_SECONDS):
                await self._refresh()
        await self._append(
            RunStarted(
                instance=self._instance,
                recorder=self._spool.recorder,
                release=__version__,
                environment=environment,
                started_at=self._exchange.clock.now(),
                promises=tuple(
                    Promise(account=target.account, market=target.market, interval_seconds=target.interval_seconds)
                    for target in self._targets
                ),
            )
        )
        last = await self._spool.last_ticks()
        for target in self._targets:
            self.schedule.every(
                target.interval_seconds,
                key=f"{target.account} {target.market}",
                tick=partial(self._tick, target),
                skipped=partial(self._skipped, target),
                last=last.get((target.account, target.market)),
            )
        self.schedule.housekeeping(_CLOCK_SECONDS, self._measure_clock, key="measure clock")
        self.schedule.housekeeping(_REFERENCE_SECONDS, self._refresh, key="refresh reference")
        self.schedule.housekeeping(_PURGE_SECONDS, self._purge, key="purge spool")
        self.schedule.housekeeping(_TELL_LOST_SECONDS, self._tell_lost, key="tell lost polls")
        self.schedule.housekeeping(_RECORDING_SECONDS, self._tell_recording, key="tell recording")
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._writer.run())
            polling = tasks.create_task(self.schedule.run(stop))
            await stop.wait()
            await asyncio.wait([polling], timeout=_POLLS_SECONDS)
            polling.cancel()  # the tick of a poll that takes longer counts as stopped, like those behind it
            await asyncio.wait([polling])
            with suppress(TimeoutError):
                async with asyncio.timeout(_TELL_LOST_SECONDS):
                    await self.intake.tell_lost()
            await self._append(
                RunStopped(instance=self._instance, stopped_at=self._exchange.clock.now(), reason="signal")
            )
            await self._drain()
            writing.cancel()

    async def _tick(self, target: Target, time: datetime) -> None:
        late = (self._exchange.clock.now() - time).total_seconds()
        deadline = asyncio.get_running_loop().time() + deadline_seconds(target.interval_seconds) - late
        target = self._reference.informed(target)
        observation = await poll(target, time, exchange=self._exchange, deadline=deadline, instance=self._instance)
        await self._append(observation)
        self.polled[target.account, target.market] += 1
        self.is_recording = True

    async def _skipped(self, target: Target, time: datetime, reason: str) -> None:
        await self._append(
            unanswered(target, time, Status.SKIPPED, reason, exchange=self._exchange, instance=self._instance)
        )

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._writer.drained.wait()
        except TimeoutError:
            _log.warning("stopped before the database had everything", spooled=self._spool.depth)

    async def _measure_clock(self) -> None:
        clock = self._exchange.clock
        if self._is_guess or clock.steady() - self._measured_at >= _CLOCK_MAX_AGE_SECONDS:
            await measure_clock(clock)

    def _clock_measured(self, measured: Measurement) -> None:
        """Aim anew, whoever measured; ticks between a guess and the truth were never missed."""
        report_clock(measured)
        self._measured_at = self._exchange.clock.steady()
        self.schedule.clock_changed(reset=self._is_guess)
        self._is_guess = False

    async def _tell_recording(self) -> None:
        self.is_recording = True

    async def _refresh(self) -> None:
        await self._reference.refresh(self._append)

    async def _clock_stepped(self, seconds: float) -> None:
        _log.warning("host clock stepped", seconds=round(seconds, 3))
        self._measured_at = float("-inf")
        await self._measure_clock()

    async def _tell_lost(self) -> None:
        if self._spool.depth < AT_ONCE:  # the backlog of an outage comes first
            await self.intake.tell_lost()

    async def _purge(self) -> None:
        await self._spool.purge(datetime.now(UTC) - self._keep)

    def _housekeeping_failed(self, key: str, error: BaseException) -> None:
        _log.error("housekeeping failed", job=key, exc_info=error)
