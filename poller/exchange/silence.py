"""For how long the exchange wants silence: pure, from what it said and the times at which it said it."""

import re
from dataclasses import dataclass
from typing import Final

from poller.exchange.messages import RemoteError

LONGEST_BAN_SECONDS: Final = 3 * 86_400.0
"""The exchange's documents know no longer one."""

MOST_MARGIN_SECONDS: Final = 30.0

_LONGEST_PAUSE_SECONDS: Final = 600.0
_SHORTEST_BAN_SECONDS: Final = 120.0
_SHARE_OF_BAN: Final = 0.1
_LEAST_MARGIN_SECONDS: Final = 2.0
_MINUTE_MS: Final = 60_000
_LONGEST_MS: Final = 10**12
_BANNED_UNTIL: Final = re.compile(r"banned until (\d{13})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came with a refusal.

    Attributes:
        error: The exchange's words.
        retry_after_seconds: HTTP's `Retry-After`, which needs no clock and so is believed first.
        now_ms: Exchange time at that moment.
        is_guess: Whether that is the time of a host that may be wrong.
    """

    error: RemoteError | None = None
    retry_after_seconds: int | None = None
    now_ms: int
    is_guess: bool = False


def pause_seconds(told: Told) -> float:
    """Return the rest of a pause: as told, else to the end of the minute, when the exchange counts anew."""
    told_ms = _told_ms(told)
    rest_ms = _MINUTE_MS - told.now_ms % _MINUTE_MS if told_ms is None else told_ms
    return min(max(rest_ms / 1000, 0.0), _LONGEST_PAUSE_SECONDS)


def ban_seconds(told: Told) -> float:
    """Return the rest of a ban and a margin: a tenth of it, but from 2 s to 30 s.

    Coming back too early makes the next ban longer, so one whose end is told in a time that cannot be compared counts
    as no shorter than the exchange's shortest.
    """
    told_ms = _told_ms(told)
    seconds = _SHORTEST_BAN_SECONDS if told_ms is None else min(max(told_ms / 1000, 0.0), LONGEST_BAN_SECONDS)
    if told.is_guess and not _is_relative(told):
        seconds = max(seconds, _SHORTEST_BAN_SECONDS)
    return seconds + min(max(_SHARE_OF_BAN * seconds, _LEAST_MARGIN_SECONDS), MOST_MARGIN_SECONDS)


def _is_relative(told: Told) -> bool:
    data = told.error.data if told.error else None
    return told.retry_after_seconds is not None or bool(data and data.server_time)


def _told_ms(told: Told) -> int | None:
    """Return what is left of the silence that was told, by the exchange's own clock where it came with the error."""
    if told.retry_after_seconds is not None:
        return min(told.retry_after_seconds, _LONGEST_MS) * 1000
    if told.error is None:
        return None
    data, named = told.error.data, _BANNED_UNTIL.search(told.error.msg)
    until_ms = data.retry_after if data and data.retry_after else int(named[1]) if named else None
    if until_ms is None:
        return None
    rest_ms = until_ms - (data.server_time if data and data.server_time else told.now_ms)
    return min(max(rest_ms, -_LONGEST_MS), _LONGEST_MS)  # no float holds every integer that JSON can
