"""What happens at each tick of every (account, market), from the first to the orderly end."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import uuid4

import structlog

from poller import __version__
from poller.daemon.exchange import Way, measure_clock, report_clock
from poller.daemon.reference import Reference
from poller.errors import SpoolFullError
from poller.exchange.clock import Measurement
from poller.observation import Entry, Environment, Observation, Promise, RunStarted, RunStopped, Status
from poller.poll import Target, deadline_seconds, poll, unanswered
from poller.schedule import Schedule
from poller.spool import Spool
from poller.writer import Writer

_CLOCK_SECONDS: Final = 30.0
_CLOCK_MAX_AGE_SECONDS: Final = 600.0
_REFERENCE_FIRST_SECONDS: Final = 5.0
_REFERENCE_SECONDS: Final = 5.0
_PURGE_SECONDS: Final = 600.0
_DRAIN_SECONDS: Final = 5.0

_log = structlog.stdlib.get_logger()


class Recorder:
    """Polls on schedule and keeps what comes of it."""

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
        self._keep = timedelta(seconds=keep_seconds)
        self._instance = uuid4().hex
        self._measured_at = exchange.clock.steady()
        self._is_guess = exchange.clock.offset_ms is None
        self.schedule = Schedule(
            now=exchange.clock.now, on_clock_step=self._clock_stepped, on_error=self._housekeeping_failed
        )
        exchange.clock.on_measured = self._clock_measured

    async def record(self, stop: asyncio.Event, *, environment: Environment) -> None:
        """Poll until `stop` is set, then drain the spool for up to 5 s."""
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
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._writer.run())
            await self.schedule.run(stop)
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

    async def _skipped(self, target: Target, time: datetime, reason: str) -> None:
        await self._append(
            unanswered(target, time, Status.SKIPPED, reason, exchange=self._exchange, instance=self._instance)
        )

    async def _append(self, entry: Entry) -> None:
        try:
            await self._spool.append(entry)
        except SpoolFullError as exc:
            # What cannot be made durable is lost, loudly; polling goes on, for the room may come back.
            facts = {"account": entry.account, "time": entry.time.isoformat()} if isinstance(entry, Observation) else {}
            _log.error("poll refused", reason=str(exc), **facts)
        else:
            self._writer.wake()

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

    async def _refresh(self) -> None:
        await self._reference.refresh(self._append)

    async def _clock_stepped(self, seconds: float) -> None:
        _log.warning("host clock stepped", seconds=round(seconds, 3))
        self._measured_at = float("-inf")
        await self._measure_clock()

    async def _purge(self) -> None:
        await self._spool.purge(datetime.now(UTC) - self._keep)

    def _housekeeping_failed(self, key: str, error: BaseException) -> None:
        _log.error("housekeeping failed", job=key, exc_info=error)
