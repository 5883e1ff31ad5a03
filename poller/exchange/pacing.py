"""How patiently a lost market is reconnected."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """How patiently a market is reconnected; all in seconds.

    A handshake costs 5 of the 2400 weight that one IP has in a minute. With the defaults an exchange that turns every
    handshake away is asked about 10 times a minute by each market, and never more than 12 times: both together cost
    100 weight, less than the polls of two accounts on 10 s that are not sent meanwhile. In return an exchange that is
    back is seen within 10 s.

    Attributes:
        first: Upper bound of the first delay; it doubles with each failure up to `longest`.
        longest: For so long nothing may be seen of an exchange that is back.
        spacing: Least time between the beginnings of two handshakes.
        max_age: A socket this old is replaced; the exchange ends it after 24 hours.
        drain: How long a replaced socket may still answer.
        silence: A socket that leaves a request unanswered and says nothing else for so long is replaced.
    """

    first: float = 1.0
    longest: float = 10.0
    spacing: float = 5.0
    max_age: float = 23 * 3600.0
    drain: float = 10.0
    silence: float = 2.0


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

    def wait(self) -> None:
        """It failed, or its socket has to be replaced: put the next one off."""
        self._not_before = max(self._spaced, self._now() + next(self._delays))

    def reset(self) -> None:
        """The exchange serves again: let the delays begin anew."""
        self._delays = backoff(self._pacing.first, self._pacing.longest)

    @property
    def delay(self) -> float:
        """Seconds until the next handshake may begin."""
        return max(0.0, self._not_before - self._now())
