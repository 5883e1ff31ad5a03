"""Random stories of clocks that go wrong, in virtual time, on the whole recorder but its database.

The host's wall clock is stepped and slewed, the exchange's clock is stepped, and the host is suspended: then the clock
since the boot runs on and the event loop's stands still. Leap seconds are steps of one second, or a slew.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from poller.observation import Status
from poller.simulator import SimulatedExchange
from poller.ticks import LARGEST_CORRECTION, MOST_MISSED
from tests.support.host import Host, Kept, recorded
from tests.torture.terms import Figure, Terms

NAME = "steps: clocks are stepped, slewed and stopped; no burst, no hole, the next poll within two intervals"

_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR
_SECOND: Final = timedelta(seconds=1)
_STEPS: Final = (-30 * _DAY, -_DAY, -_HOUR, -1.0, -0.3, 0.3, 1.0, _HOUR, _DAY, 30 * _DAY)
_SLEEPS: Final = (0.4, 9.9, 75.0, _HOUR, _DAY, 30 * _DAY)
_RATES: Final = (0.9995, 0.99999, 1.0, 1.00001, 1.0005)
_STORY: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that happens to the clocks.

    Attributes:
        leap: By how many seconds exchange time leaps with it, as the recorder sees it.
        measured: Whether it sees that only in an answer of the exchange.
        small: Whether no answer shows it, and the clock has to be measured to see it.
    """

    leap: float = 0.0
    measured: bool = False
    small: bool = False

    @property
    def most_skipped(self) -> int:
        """How many rows of skipped ticks there may be: what was leapt over, and the ticks in which that was seen."""
        return (min(MOST_MISSED, int(self.leap)) + 1 if self.leap > 0 else 0) + self.measured

    @property
    def patience(self) -> float:
        """Seconds within which a poll has to follow: two intervals, and what a small leap backwards has to catch up."""
        back = -self.leap if -LARGEST_CORRECTION.total_seconds() <= self.leap < 0 else 0.0
        return 2.0 + back


@dataclass(slots=True)
class Tally:
    """What was seen of all acts.

    Attributes:
        impatient: The longest wait for a poll, in seconds beyond two intervals.
        crowd: Most polls within one interval.
        repeated: Ticks that are not later than the one before, for no reason.
        holes: Ticks that were neither polled nor recorded, for no reason.
        unaligned: Ticks that are not on a whole second.
        surplus: Skipped ticks that no sleep and no correction has caused.
    """

    acts: int = 0
    polls: int = 0
    impatient: float = float("-inf")
    crowd: int = 0
    repeated: int = 0
    holes: int = 0
    unaligned: int = 0
    surplus: int = 0

    def add(self, act: Act, began: float, last: Kept, kept: Sequence[Kept]) -> None:
        """Look at what was kept since an act, after `last`."""
        asked = [one.at for one in kept if one.status is None]
        self.acts += 1
        self.polls += len(asked)
        self.impatient = max(self.impatient, (asked[0] if asked else float("inf")) - began - act.patience)
        self.crowd = max(self.crowd, *(sum(at <= other < at + 1 for other in asked) for at in asked), 0)
        steps = [later.time - earlier.time for earlier, later in pairwise((last, *kept))]
        back, ahead = sum(step <= timedelta(0) for step in steps), sum(step > _SECOND for step in steps)
        self.repeated += max(0, back - (act.leap < -LARGEST_CORRECTION.total_seconds()))
        self.holes += max(0, ahead - (act.leap > MOST_MISSED))
        self.unaligned += sum(one.time.microsecond != 0 for one in kept)
        self.surplus += max(0, sum(one.status is Status.SKIPPED for one in kept) - act.most_skipped)

    def figures(self) -> Iterator[Figure]:
        """Yield what has to hold."""
        yield Figure(name="steps, slews and sleeps", value=self.acts, bound="")
        yield Figure(name="polls", value=self.polls, bound="")
        yield Figure(name="longest wait for a poll beyond two intervals, s", value=self.impatient, bound="<= 0")
        yield Figure(name="most polls within one interval", value=self.crowd, bound="<= 2")
        yield Figure(name="ticks repeated", value=self.repeated, bound="<= 0")
        yield Figure(name="ticks neither polled nor recorded", value=self.holes, bound="<= 0")
        yield Figure(name="ticks off the whole second", value=self.unaligned, bound="<= 0")
        yield Figure(name="ticks skipped for no reason", value=self.surplus, bound="<= 0")


async def torture(chance: random.Random, terms: Terms) -> AsyncIterator[Figure]:
    """Tell what many stories did to the ticks, and to the memory of this process."""
    tally = Tally()
    await asyncio.to_thread(_story, chance, terms.folder / "first", Tally())
    before = _reset_peak_mib()
    for number in range(2 if terms.short else 40):
        await asyncio.to_thread(_story, chance, terms.folder / str(number), tally)
    for figure in tally.figures():
        yield figure
    yield Figure(name="growth of memory at its peak, MiB", value=round(_peak_mib() - before, 1), bound="<= 20")


def _story(chance: random.Random, folder: Path, tally: Tally) -> None:
    host = Host(wall_stepped=chance.uniform(-1, 1))

    async def story() -> None:
        async with SimulatedExchange(seed=chance.randrange(2**32), clock=host.exchange) as exchange:
            exchange.add_account("main")
            async with recorded(host, exchange, folder) as history:
                await asyncio.sleep(chance.uniform(2, 3))
                for _ in range(_STORY):
                    last = history.kept[-1]
                    history.kept.clear()
                    began, act = host.now, _act(chance, host)
                    if act.small:
                        await history.journey.exchange.clock.measure()
                    await asyncio.sleep(act.patience + chance.uniform(2, 8))
                    tally.add(act, began, last, history.kept)

    host.run(story)


def _act(chance: random.Random, host: Host) -> Act:
    """Do something to the clocks."""
    match chance.choice(("step", "slew", "suspend", "exchange")):
        case "step":
            host.step(chance.choice(_STEPS))
            return Act()
        case "slew":
            host.slew(chance.choice(_RATES))
            return Act()
        case "suspend":
            slept = chance.choice(_SLEEPS)
            host.suspend(slept)
            return Act(leap=slept)
        case _:
            stepped = chance.choice(_STEPS)
            host.exchange_stepped += stepped
            return Act(leap=stepped, measured=True, small=abs(stepped) < _HOUR)


def _reset_peak_mib() -> float:
    """Begin to look for the peak anew, and return what is used now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _peak_mib()


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
