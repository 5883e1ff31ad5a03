"""When the made-up history was polled, and what became of each tick."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from poller.observation import Environment, Market, Promise, RunStarted, RunStopped, Status
from tests.support.history.listing import BEGIN, END, at

RECORDER: Final = "spool-1"
RELEASE: Final = "0.1.0"

Series = tuple[str, Market]

_MAIN: Final = (("main", Market.USDM), ("main", Market.COINM))
_HEDGE: Final = ("hedge", Market.USDM)
_OLD: Final = ("old", Market.USDM)
_NEW: Final = (("new", Market.USDM), ("new", Market.COINM))
_COARSE: Final = 600
_FINE: Final = 60


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the daemon: what it polled, from when to when.

    Attributes:
        stopped_at: Its end in good order; None when it crashed or still runs.
        until: Since when it polled no more.
    """

    instance: str
    started_at: datetime
    stopped_at: datetime | None
    until: datetime
    intervals: Mapping[Series, int]

    def started(self) -> RunStarted:
        """Return what the run told of its beginning."""
        promises = tuple(
            Promise(account=account, market=market, interval_seconds=interval)
            for (account, market), interval in self.intervals.items()
        )
        return RunStarted(
            instance=self.instance,
            recorder=RECORDER,
            release=RELEASE,
            environment=Environment.SIMULATED,
            started_at=self.started_at,
            promises=promises,
        )

    def stopped(self) -> RunStopped | None:
        """Return what the run told of its end; None when it could not."""
        if self.stopped_at is None:
            return None
        return RunStopped(instance=self.instance, stopped_at=self.stopped_at, reason="SIGTERM")

    def ticks(self, series: Series) -> Iterator[datetime]:
        """Yield the instants at which the run polled a series."""
        if step := self.intervals.get(series):
            seconds = timedelta(seconds=step)
            time = BEGIN + -((BEGIN - self.started_at) // seconds) * seconds
            while time < self.until:
                yield time
                time += seconds


def _run(number: int, start: datetime, end: datetime, intervals: Mapping[Series, int], *, crash: bool = False) -> Run:
    return Run(f"run-{number}", start, None if crash else end, end, intervals)


_THREE: Final = dict.fromkeys((*_MAIN, _HEDGE), _COARSE)
_FINER: Final = dict.fromkeys((*_MAIN, _HEDGE), _FINE) | dict.fromkeys(_NEW, _COARSE)
_FOUR: Final = _THREE | dict.fromkeys(_NEW, _COARSE)

RUNS: Final = (
    _run(1, BEGIN - timedelta(seconds=10), at(27, "16:27"), _THREE | {_OLD: _COARSE}, crash=True),
    _run(2, at(27, "17:24"), at(28, "21:34"), _THREE | {_OLD: _COARSE}),
    _run(3, at(28, "22:08"), at(2, "08:58"), _THREE),
    _run(4, at(2, "08:59"), at(2, "11:58"), _FOUR),
    _run(5, at(2, "11:59"), at(2, "15:59"), _FINER),
    _run(6, at(2, "15:59") + timedelta(seconds=30), END, _FOUR, crash=True),
)
"""The last one still runs."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a tick is not ok."""

    status: Status
    message: str
    exchange_status: int | None = None
    error_code: int | None = None
    attempts: int = 1


_TIMEOUT: Final = Failure(Status.TIMEOUT, "no reply within 10 s", attempts=2)
_DISCONNECTED: Final = Failure(Status.DISCONNECTED, "no connection", attempts=0)
_LIMITED: Final = Failure(Status.RATE_LIMITED, "Too many requests.", 429, -1003)
_BANNED: Final = Failure(Status.BANNED, "Way too many requests; banned.", 418, -1003)
_PAUSED: Final = Failure(Status.PAUSED, "banned until 20:55:00", attempts=0)
_BUSY: Final = Failure(Status.EXCHANGE_ERROR, "Internal error; unable to process your request.", 503, -1001)
_LATE: Final = Failure(Status.SKIPPED, "the tick was noticed 312 s late", attempts=0)
_SKEW: Final = Failure(Status.CLOCK_SKEW, "Timestamp for this request is outside of the recvWindow.", 400, -1021)
_REFUSED: Final = Failure(Status.UNAUTHORIZED, "Invalid API-key, IP, or permissions for action.", 401, -2015)
MALFORMED: Final = Failure(Status.MALFORMED, "$.positions[1].notional: not a finite number", 200)


def failure(series: Series, time: datetime) -> Failure | None:
    """Return why a tick did not become an ok poll at first; None if it did."""
    if series == ("new", Market.COINM):
        return _REFUSED
    return _OF_ONE.get((*series, time)) or _OF_ALL.get(time)


def is_silent(time: datetime) -> bool:
    """Tell whether the process was suspended, so that a tick has no row at all."""
    return at(1, "02:00") <= time <= at(1, "02:20")


_OF_ALL: Final = {
    at(27, "12:10"): _LATE,
    at(27, "12:20"): _LATE,
    at(1, "14:00"): _DISCONNECTED,
    at(1, "14:10"): _DISCONNECTED,
    at(1, "14:20"): _DISCONNECTED,
    at(1, "20:10"): _LIMITED,
    at(1, "20:20"): _BANNED,
    at(1, "20:30"): _PAUSED,
    at(1, "20:40"): _PAUSED,
    at(1, "20:50"): _PAUSED,
}
_OF_ONE: Final = {
    ("main", Market.USDM, at(27, "05:10")): _TIMEOUT,
    ("main", Market.COINM, at(27, "22:00")): _SKEW,
    ("hedge", Market.USDM, at(28, "06:30")): MALFORMED,
    ("main", Market.USDM, at(28, "16:20")): _BUSY,
    ("main", Market.USDM, at(1, "05:30")): MALFORMED,
    ("hedge", Market.USDM, at(2, "13:17")): _TIMEOUT,
    ("hedge", Market.USDM, at(2, "13:18")): _TIMEOUT,
    ("hedge", Market.USDM, at(2, "14:01")): _TIMEOUT,
    ("main", Market.USDM, at(2, "14:01")): _TIMEOUT,
}

REPLACED: Final = {("main", Market.USDM, at(1, "05:30")): at(2, "08:30"), ("main", Market.USDM, at(2, "14:01")): None}
"""Ticks that became ok later: when their kept reply was understood, or at once by a second poller."""
