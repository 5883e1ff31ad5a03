"""The exchange's time, kept on a clock that cannot be set.

Signatures and schedules follow the exchange's clock, not the host's, which may be wrong, stepped by an operator or
stopped by a suspended laptop. So the exchange's time is measured against a steady clock, and the host's wall clock is
believed only until the first measurement.
"""

import asyncio
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from poller.errors import ClockUnavailableError

_SAMPLES = 5
_NEEDED = 3
_TOLERANCE_MS = 1000
_JITTER_SECONDS = 0.005


def steady_seconds() -> float:
    """Tell the seconds since some fixed moment: nobody can set this clock, and it counts while the host sleeps.

    Where there is no such clock it stops during sleep, like `time.monotonic`.
    """
    boot_time: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer to the question what time it is.

    Attributes:
        before: When it was asked, by the steady clock.
        after: When the answer was there, by the steady clock.
        server_ms: The answer: ms since the epoch.
    """

    before: float
    after: float
    server_ms: int

    @property
    def round_trip(self) -> float:
        """How long the answer took, in seconds."""
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a measurement found.

    Attributes:
        offset_ms: The exchange's time minus the host's.
        round_trip_ms: Of the quickest sample; half of it bounds the error.
        host_clock_off: Whether the host's clock is wrong by more than the tolerance.
    """

    offset_ms: int
    round_trip_ms: int
    host_clock_off: bool


def base_seconds(samples: Sequence[Sample]) -> float:
    """Return the exchange's time at the zero of the steady clock: the median over the samples that were not slow.

    A sample is right within half of its round trip. One that took more than twice the quickest (and 5 ms) tells
    nothing but that something was in the way, so it does not count.
    """
    quickest = min(sample.round_trip for sample in samples)
    return statistics.median(
        sample.server_ms / 1000 - (sample.before + sample.after) / 2
        for sample in samples
        if sample.round_trip <= 2 * quickest + _JITTER_SECONDS
    )


class ExchangeClock:
    """Tells the exchange's time: the host's until it was measured, and after that whatever the host's clock does.

    Attributes:
        on_measured: Is told each measurement once, whoever asked for it.
    """

    def __init__(
        self,
        sample: Callable[[], Awaitable[Sample]],
        *,
        steady: Callable[[], float] = steady_seconds,
        wall: Callable[[], float] = time.time,
        tolerance_ms: int = _TOLERANCE_MS,
    ) -> None:
        """Follow the host's clock for now.

        Args:
            sample: Asks the exchange for its time, by the same steady clock; raises `ClockUnavailableError`.
            steady: Seconds that nobody can set.
            wall: The host's clock, seconds since the epoch.
            tolerance_ms: How wrong the host's clock may be before a measurement says so.
        """
        self.on_measured: Callable[[Measurement], None] | None = None
        self._sample = sample
        self._steady = steady
        self._wall = wall
        self._tolerance_ms = tolerance_ms
        self._base: float | None = None
        self._measuring: asyncio.Future[Measurement | ClockUnavailableError | None] | None = None

    def now(self) -> datetime:
        """Tell the exchange's time, in UTC."""
        return datetime.fromtimestamp(self._seconds(), UTC)

    def now_ms(self) -> int:
        """Tell the exchange's time in whole ms since the epoch."""
        return math.floor(self._seconds() * 1000)

    def steady(self) -> float:
        """Tell the seconds on the steady clock that this clock is kept on."""
        return self._steady()

    @property
    def offset_ms(self) -> int | None:
        """The exchange's time minus the host's at this moment; None before the first measurement."""
        return None if self._base is None else self._off_by_ms()

    @property
    def host_clock_off(self) -> bool:
        """Whether the host's clock is known to be wrong by more than the tolerance."""
        return self._base is not None and abs(self._off_by_ms()) > self._tolerance_ms

    async def measure(self) -> Measurement:
        """Ask the exchange for its time, several times, and follow it from then on; at most one at a time is asking.

        Raises:
            ClockUnavailableError: It did not tell often enough; the clock goes on as before.
        """
        while (running := self._measuring) is not None:
            # Shielded, or the first of those who wait here to give up would end the wait of all.
            outcome = await asyncio.shield(running)
            if isinstance(outcome, Measurement):
                return outcome
            if outcome is not None:
                raise ClockUnavailableError(str(outcome)) from outcome
        return await self._lead()

    async def _lead(self) -> Measurement:
        running = self._measuring = asyncio.get_running_loop().create_future()
        outcome: Measurement | ClockUnavailableError | None = None  # stays None when it is cancelled: another one leads
        try:
            measured = outcome = self._adopt(await self._samples())
        except ClockUnavailableError as exc:
            outcome = exc
            raise
        finally:
            self._measuring = None
            running.set_result(outcome)
        if self.on_measured is not None:
            self.on_measured(measured)
        return measured

    async def _samples(self) -> list[Sample]:
        samples: list[Sample] = []
        for remaining in reversed(range(_SAMPLES)):
            try:
                samples.append(await self._sample())
            except ClockUnavailableError:
                if len(samples) + remaining < _NEEDED:
                    raise
        return samples

    def _adopt(self, samples: Sequence[Sample]) -> Measurement:
        self._base = base_seconds(samples)
        offset_ms = self._off_by_ms()
        return Measurement(
            offset_ms=offset_ms,
            round_trip_ms=round(min(sample.round_trip for sample in samples) * 1000),
            host_clock_off=abs(offset_ms) > self._tolerance_ms,
        )

    def _off_by_ms(self) -> int:
        return round((self._seconds() - self._wall()) * 1000)

    def _seconds(self) -> float:
        return self._wall() if self._base is None else self._steady() + self._base
