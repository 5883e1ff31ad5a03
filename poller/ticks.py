"""The instants of polling, as arithmetic: aligned to the epoch, each once, strictly increasing. Knows no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_MISSED = 1000
LARGEST_CORRECTION = timedelta(minutes=1)


def aligned(instant: datetime, interval: timedelta) -> datetime:
    """Return the last multiple of `interval` since the epoch that is not after `instant`."""
    return instant - (instant - EPOCH) % interval


@dataclass(slots=True)
class Ticks:
    """Which aligned instants are due: each of them once, strictly increasing."""

    interval: timedelta
    last: datetime = EPOCH

    def restart(self, now: datetime) -> None:
        """Begin with the first instant after `now`.

        A last tick up to one interval ahead stays, for a clock that is a little slow must not repeat it. Farther
        ahead it was filed under a wrong clock, and waiting for it would stop polling for as long.
        """
        current = aligned(now, self.interval)
        if not current < self.last <= now + self.interval:
            self.last = current

    def reset(self, now: datetime) -> None:
        """Forget the instants that a jump of the clock to `now` left out, unless it is one that has just come."""
        if not aligned(now, self.interval) - self.interval <= self.last <= now + self.interval:
            self.restart(now)

    def due(self, now: datetime) -> Sequence[datetime]:
        """Return the instants since the last call, the newest last; of those that were missed, the newest 1,000."""
        # A clock that is measured anew moves back by ms, and no tick is repeated. One that moves back by more than a
        # minute had been wrong: being as strict then would stop polling until it has caught up.
        if self.last > now + LARGEST_CORRECTION:
            self.restart(now)
        current = aligned(now, self.interval)
        if current <= self.last:
            return ()
        first = max(aligned(self.last, self.interval) + self.interval, current - MOST_MISSED * self.interval)
        self.last = current
        return [first + n * self.interval for n in range((current - first) // self.interval + 1)]
