"""Whether the daemon lives, and whether its polls reach the database. Pure."""

from collections.abc import Iterator
from typing import Final

from poller.observe.readings import Readings, Series
from poller.observe.wording import length

_MISSED_INTERVALS: Final = 2


def liveness(readings: Readings) -> tuple[str, ...]:
    """Say what is stuck; nothing when everything moves. A database that is down is no reason to be started anew."""
    return () if readings.stuck is None else (readings.stuck,)


def readiness(readings: Readings) -> tuple[str, ...]:
    """Say why polls do not reach the database; nothing when they do, failed ones and skipped ones included."""
    return (*liveness(readings), *_late(readings), *_lost(readings))


def _late(readings: Readings) -> Iterator[str]:
    for series in readings.series:
        if not series.has_stored or series.age_seconds >= _MISSED_INTERVALS * series.interval_seconds:
            due = f"one is due every {length(series.interval_seconds)}"
            yield f"{series.account} {series.market}: {_since(series)}, {due}"


def _since(series: Series) -> str:
    if series.has_stored:
        return f"the newest poll in the database is {length(series.age_seconds)} old"
    return f"no poll has reached the database since the start, {length(series.age_seconds)} ago"


def _lost(readings: Readings) -> Iterator[str]:
    if readings.spool_refuses:
        yield f"the spool has no room: {readings.polls_refused} polls are lost"
