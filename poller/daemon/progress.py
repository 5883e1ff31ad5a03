"""What must move while the daemon is well: a wedge shows in what stands still, never in a timer that still runs.

It reads plain counters of the parts and knows nothing else of them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from poller.daemon.recorder import Recorder
from poller.poll import Target, deadline_seconds
from poller.spool import Spool
from poller.ticks import LARGEST_CORRECTION
from poller.writer import Writer

_LONGEST_LOOK_SECONDS: Final = 5.0
_SPOOL_SECONDS: Final = 20.0
_WRITER_SECONDS: Final = 60.0
# A clock that is corrected backwards makes ticks wait until it has caught up, and that is no wedge.
_POLLS_SECONDS: Final = LARGEST_CORRECTION.total_seconds() + 30.0


@dataclass(slots=True, kw_only=True)
class Duty:
    """Something that has to go on.

    Attributes:
        name: As a person is told it.
        seconds: How long it may stand still while it has work.
        moved: Tells a count that grows with each thing done.
        has_work: Tells whether there is anything to do; what is idle is not stuck.
    """

    name: str
    seconds: float
    moved: Callable[[], int]
    has_work: Callable[[], bool]
    _seen: int | None = field(default=None, init=False)
    _still_seconds: float = field(default=0.0, init=False)

    def still_seconds(self, passed: float) -> float:
        """Look at it after `passed` seconds, and return for how long it has stood still with work to do."""
        moved = self.moved()
        self._still_seconds = 0.0 if moved != self._seen or not self.has_work() else self._still_seconds + passed
        self._seen = moved
        return self._still_seconds


class Progress:
    """Which of the duties is stuck, for those who look every few seconds.

    Time in which nobody looked does not count: a process that was stopped or starved had no chance to move either.

    Attributes:
        found: What `stuck` found last.
    """

    def __init__(self, duties: Sequence[Duty], *, steady: Callable[[], float] = time.monotonic) -> None:
        """Watch duties; one that others wait for comes before them."""
        self._duties = tuple(duties)
        self._steady = steady
        self._looked_at = steady()
        self.found: str | None = None

    def stuck(self) -> str | None:
        """Name what has stood still for too long, and for how long; None when all is well."""
        now = self._steady()
        passed, self._looked_at = min(now - self._looked_at, _LONGEST_LOOK_SECONDS), now
        still = [(duty, duty.still_seconds(passed)) for duty in self._duties]
        self.found = next((f"{duty.name}: no progress for {s:.0f} s" for duty, s in still if s > duty.seconds), None)
        return self.found


def duties_of(recorder: Recorder, *, targets: Sequence[Target], spool: Spool, writer: Writer) -> Iterator[Duty]:
    """Yield what a recording daemon has to go on with.

    A database that is down is no wedge: each retry is a move. A spool that refuses polls for lack of room is none
    either, for it has decided.
    """
    yield Duty(
        name="spool",
        seconds=_SPOOL_SECONDS,
        moved=lambda: recorder.intake.ended,
        has_work=lambda: recorder.intake.begun > recorder.intake.ended,
    )
    yield Duty(
        name="writer",
        seconds=_WRITER_SECONDS,
        moved=lambda: writer.entries + writer.retries,
        has_work=lambda: spool.depth > 0,
    )
    for target in targets:
        yield _polling(recorder, target)


def _polling(recorder: Recorder, target: Target) -> Duty:
    interval = target.interval_seconds
    return Duty(
        name=f"polls of {target.account} {target.market}",
        seconds=max(2 * interval + deadline_seconds(interval), _POLLS_SECONDS),
        moved=lambda: recorder.polled[target.account, target.market],
        has_work=lambda: True,
    )
