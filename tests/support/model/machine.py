"""Everything that may happen to two recorders and their database, in any order."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from poller.observation import Status
from tests.support.gate import Way, gate
from tests.support.model import copies
from tests.support.model.recorder import INTERVAL, Recorder
from tests.support.model.truth import Truth
from tests.support.model.words import FAILURES, OUTCOMES, PAIRS, REPLY, Pair
from tests.support.quick import QuickLoop

_START: Final = datetime(2026, 6, 1, 12, 0, 3, tzinfo=UTC)
_WHO: Final = st.integers(0, 1)
_STEPS: Final = [timedelta(**step) for step in (
    {"seconds": -3}, {"seconds": -40}, {"hours": -1}, {"hours": 1}, {"days": -1}, {"days": 1}, {"days": 30},
)]  # fmt: skip


class Machine(RuleBasedStateMachine):
    """Two recorders of the same accounts write into one database behind a gate.

    Attributes:
        url: The database, at the newest revision; nobody else uses it.
        figures: How often what was done, over all examples.
    """

    url: ClassVar[str]
    folder: ClassVar[Path]
    figures: ClassVar[dict[str, int]]

    def __init__(self) -> None:
        super().__init__()
        self.now = _START
        self.truth = Truth()
        self.copy = copies.EMPTY
        self.is_up = True
        self.runner = asyncio.Runner(loop_factory=QuickLoop)
        self.stack = AsyncExitStack()
        self.home = Path(tempfile.mkdtemp(dir=self.folder))
        self.direct = psycopg.connect(self.url, autocommit=True)
        copies.put_back(self.direct, copies.EMPTY)

    @initialize()
    def start(self) -> None:
        self.run(self._start())

    async def _start(self) -> None:
        self.recorders = []
        for name in ("one", "two"):
            door, url = await self.stack.enter_async_context(gate(self.url))
            self.recorders.append(Recorder(self.home / name / "0", url, door, self.truth))
            await self.recorders[-1].start(self.now)

    @rule(who=_WHO, replies=st.integers(1, len(PAIRS)), is_waited_for=st.booleans())
    def poll(self, who: int, replies: int, is_waited_for: bool) -> None:  # noqa: FBT001 - drawn by name
        self._tick(who, [REPLY] * replies)
        if is_waited_for and self.is_up:
            self._drain(None)

    @rule(who=_WHO, outcomes=st.lists(OUTCOMES, min_size=1, max_size=len(PAIRS)), intervals=st.integers(1, 3))
    def failed_poll(self, who: int, outcomes: list[str | Status], intervals: int) -> None:
        self._tick(who, outcomes, intervals)

    @rule(who=_WHO, pair=st.sampled_from(PAIRS), status=st.sampled_from(FAILURES), is_late=st.booleans())
    def late_reply(self, who: int, pair: Pair, status: Status, is_late: bool) -> None:  # noqa: FBT001 - drawn by name
        self.now += INTERVAL
        outcomes = (status, REPLY) if is_late else (REPLY, status)
        self.run(self.recorders[who].tick(self.now, pair, *outcomes))

    @rule(who=_WHO, which=st.integers(0, 1000), outcome=st.none() | OUTCOMES)
    def duplicate_reply(self, who: int, which: int, outcome: str | Status | None) -> None:
        if not self.truth.acknowledged:
            return
        known = list(self.truth.acknowledged)
        key = known[which % len(known)]
        same = self.truth.acknowledged[key][0]
        recorder = self.recorders[who]
        self.run(recorder.keep(same if outcome is None else recorder.another(key, outcome)))

    @rule(who=_WHO, outcomes=st.lists(OUTCOMES, max_size=len(PAIRS)), turns=st.integers(0, 40))
    def crash(self, who: int, outcomes: list[str | Status], turns: int) -> None:
        self.now += INTERVAL
        recorder = self.recorders[who]
        self.run(recorder.crash(self.now, list(zip(PAIRS, outcomes, strict=False)), turns))
        self.run(recorder.start(self.now))

    @rule(who=_WHO, is_in_good_order=st.booleans())
    def restart(self, who: int, is_in_good_order: bool) -> None:  # noqa: FBT001 - drawn by name
        self.now += INTERVAL
        recorder = self.recorders[who]
        if is_in_good_order and self.is_up:
            self._drain(None)
        self.run(recorder.stop(self.now))
        self.run(recorder.start(self.now))

    @precondition(lambda self: self.is_up)
    @rule(way=st.sampled_from([way for way in Way if way is not Way.OPEN]))
    def database_down(self, way: Way) -> None:
        self.is_up = False
        self._set(way)

    @precondition(lambda self: not self.is_up)
    @rule(is_waited_for=st.booleans())
    def database_up(self, is_waited_for: bool) -> None:  # noqa: FBT001 - drawn by name
        self.is_up = True
        self._set(Way.OPEN)
        if is_waited_for:
            self._drain(None)

    @rule()
    def back_up(self) -> None:
        self.copy = copies.take(self.direct)

    @rule(is_waited_for=st.booleans())
    def database_restored(self, is_waited_for: bool) -> None:  # noqa: FBT001 - drawn by name
        copies.put_back(self.direct, self.copy)
        for recorder in self.recorders:
            recorder.database_restored()
        if is_waited_for and self.is_up:
            self._drain(None)

    @rule(step=st.sampled_from(_STEPS))
    def clock_step(self, step: timedelta) -> None:
        self.now += step
        for recorder in self.recorders:
            recorder.clock_stepped(self.now)

    @precondition(lambda self: self.is_up)
    @rule(answers=st.none() | st.integers(0, 20))
    def drain(self, answers: int | None) -> None:
        self._drain(answers)

    def teardown(self) -> None:
        try:
            if hasattr(self, "recorders"):
                self.run(self._finish())
        finally:
            self.runner.close()
            self.direct.close()
            shutil.rmtree(self.home)

    async def _finish(self) -> None:
        try:
            self._set(Way.OPEN)
            for recorder in self.recorders:
                await recorder.offer_everything()
            self.truth.excused.clear()
            self.truth.excused_runs.clear()
            self.truth.check(self.direct)
        finally:
            for recorder in self.recorders:
                await recorder.end()
            await self.stack.aclose()
            self._count()

    def _set(self, way: Way) -> None:
        for recorder in self.recorders:
            recorder.gate.set(way)

    def run(self, work: Coroutine[Any, Any, object]) -> None:
        self.runner.run(work)

    def _tick(self, who: int, outcomes: list[str | Status], intervals: int = 1) -> None:
        self.now += intervals * INTERVAL
        recorder = self.recorders[who]
        self.run(_all(recorder.tick(self.now, pair, outcome) for pair, outcome in zip(PAIRS, outcomes, strict=False)))

    def _drain(self, answers: int | None) -> None:
        """Compare after all is stored; each recorder polls once, for one with nothing to store meets no database."""
        self.now += 2 * INTERVAL  # after a step back of the clock, a tick need not be due within one
        self.run(_all(recorder.tick(self.now, PAIRS[0], REPLY) for recorder in self.recorders))
        self.run(_all(recorder.drain(answers) for recorder in self.recorders))
        self.truth.check(self.direct)

    def _count(self) -> None:
        truth = self.truth
        for name, number in (
            ("examples", 1),
            ("comparisons", truth.checks),
            ("ticks acknowledged", len(truth.acknowledged)),
            ("observations acknowledged", sum(map(len, truth.acknowledged.values()))),
            ("runs", len(truth.runs)),
        ):
            self.figures[name] = self.figures.get(name, 0) + number


async def _all(works: Iterable[Coroutine[Any, Any, object]]) -> None:
    await asyncio.gather(*works)
