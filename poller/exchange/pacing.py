"""How patiently a lost market is reconnected."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """How patiently a market is reconnected; all in seconds but `silent_rounds`.

    Attributes:
        first: Upper bound of the first delay; it doubles with each failure up to `longest`.
        spacing: Least time between the beginnings of two handshakes: each costs weight.
        refused: Least time to stay away after HTTP 429 or 418; the exchange may ask for more.
        max_age: A socket this old is replaced; the exchange ends it after 24 hours.
        drain: How long a replaced socket may still answer.
        silent_rounds: Rounds of unanswered requests after which a socket counts as dead.
    """

    first: float = 1.0
    longest: float = 60.0
    spacing: float = 5.0
    refused: float = 60.0
    max_age: float = 23 * 3600.0
    drain: float = 10.0
    silent_rounds: int = 3


DEFAULT_PACING = Pacing()


def backoff(first: float, longest: float, uniform: Callable[[float, float], float] = random.uniform) -> Iterator[float]:
    """Yield delays without an end: anything between 0 and a bound that doubles from `first` up to `longest`.

    The whole range is random, so that clients which lost the same server do not come back together.
    """
    bound = first
    while True:
        yield uniform(0.0, bound)
        bound = min(longest, bound * 2)


class Pace:
    """When the next handshake may begin, by the clock `now`, which cannot be set."""

    def __init__(self, pacing: Pacing, now: Callable[[], float]) -> None:
        self._pacing = pacing
        self._delays = backoff(pacing.first, pacing.longest)
        self._spaced = self._not_before = float("-inf")
        self._now = now

    def begin(self) -> None:
        """A handshake begins."""
        self._spaced = self._now() + self._pacing.spacing

    def wait(self, at_least: float = 0.0) -> None:
        """It failed, or its socket has to be replaced: put the next one off."""
        self._not_before = max(self._spaced, self._now() + max(at_least, next(self._delays)))

    def reset(self) -> None:
        """The exchange serves again: let the delays begin anew."""
        self._delays = backoff(self._pacing.first, self._pacing.longest)

    @property
    def delay(self) -> float:
        """Seconds until the next handshake may begin."""
        return max(0.0, self._not_before - self._now())
