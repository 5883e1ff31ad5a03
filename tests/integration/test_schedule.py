"""The schedule on the real APScheduler and a real event loop, whose clocks belong to a simulated host.

The loop does not wait: when it has nothing to do, the host's clocks advance to its next timer. So hours pass in
moments, to the microsecond alike each time, and the wall clock can be stepped and slewed beside the steady one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from selectors import SelectorKey, SelectSelector

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from poller.schedule import CLOCK_STEP, CORRECTED, LATE, STILL_RUNNING, Schedule

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = 3600.0
DAY = 24 * HOUR

BEGINS = 3.3
"""Seconds after 12:00:00 of exchange time when a host begins."""

BOOTED = 5_003.7
"""What the steady clock says then."""


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def every(interval: int, first: int, last: int) -> list[datetime]:
    return [at(second) for second in range(first, last + 1, interval)]


@dataclass
class Host:
    """A computer whose clocks advance only when its event loop is idle, or when it stalls."""

    steady: float = BOOTED
    wall_stepped: float = -0.217
    wall_slew: float = 1.0
    measured: float = 0.0
    exchange_reads: int = 0
    traveller: time_machine.Traveller | None = None

    def exchange(self) -> datetime:
        self.exchange_reads += 1
        return at(BEGINS - BOOTED + self.steady + self.measured)

    def advance(self, seconds: float) -> None:
        """Pass time, without the event loop if called from it: a stall."""
        self.steady += seconds
        self._set_wall()

    def step(self, seconds: float) -> None:
        self.wall_stepped += seconds
        self._set_wall()

    def run(self, main: Callable[[], Coroutine[object, None, None]]) -> None:
        with time_machine.travel(NOON, tick=False) as self.traveller:
            self._set_wall()
            with asyncio.Runner(loop_factory=lambda: HostLoop(self)) as runner:
                runner.run(main())

    def _set_wall(self) -> None:
        assert self.traveller is not None
        self.traveller.move_to(at(BEGINS + (self.steady - BOOTED) * self.wall_slew + self.wall_stepped))


class HostLoop(asyncio.SelectorEventLoop):
    def __init__(self, host: Host) -> None:
        self._host = host
        super().__init__(IdleSelector(host))

    def time(self) -> float:
        return self._host.steady


class IdleSelector(SelectSelector):
    def __init__(self, host: Host) -> None:
        self._host = host
        super().__init__()

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout != 0:
            assert timeout is not None, "the event loop would wait for ever"
            self._host.advance(timeout)
        return events


@dataclass
class Journal:
    """What a schedule did on a host, in order."""

    host: Host
    duration: float = 0.0
    report_duration: float = 0.0
    polled: list[datetime] = field(default_factory=list)
    finished: list[datetime] = field(default_factory=list)
    skipped: list[tuple[datetime, str]] = field(default_factory=list)
    decided: list[datetime] = field(default_factory=list)
    late_seconds: list[float] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)

    async def tick(self, time: datetime) -> None:
        self.decided.append(time)
        self.polled.append(time)
        self.late_seconds.append((self.host.exchange() - time).total_seconds())
        await asyncio.sleep(self.duration)
        self.finished.append(time)

    async def skip(self, time: datetime, reason: str) -> None:
        self.decided.append(time)
        self.skipped.append((time, reason))
        await asyncio.sleep(self.report_duration)

    async def clock_stepped(self, seconds: float) -> None:
        self.steps.append(round(seconds, 3))

    def failed(self, key: str, error: BaseException) -> None:
        self.errors.append((key, repr(error)))

    def schedule(self, interval: int | None = 10, *, last: datetime | None = None) -> Schedule:
        schedule = Schedule(now=self.host.exchange, on_clock_step=self.clock_stepped, on_error=self.failed)
        if interval is not None:
            schedule.every(interval, key="main", tick=self.tick, skipped=self.skip, last=last)
        return schedule


def run(
    journal: Journal,
    *story: tuple[float, Callable[[], None]],
    until: float,
    schedule: Schedule | None = None,
) -> None:
    """Run the schedule until that second after 12:00:00 of the steady clock; the story's acts have seconds as well."""
    schedule = schedule or journal.schedule()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for second, act in story:
            loop.call_at(BOOTED - BEGINS + second, act)
        loop.call_at(BOOTED - BEGINS + until, stop.set)
        await schedule.run(stop)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not schedule._scheduler.running

    journal.host.run(main)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def journal(host: Host) -> Journal:
    return Journal(host)


def test_in_an_hour_each_tick_is_polled_once_on_the_instant(journal: Journal) -> None:
    run(journal, until=HOUR + 5)

    assert journal.polled == every(10, 10, 3600)
    assert journal.skipped == []
    assert max(map(abs, journal.late_seconds)) < 0.001


@pytest.mark.parametrize("slew", [1.0005, 0.9995])
def test_a_slewed_wall_clock_does_not_move_the_ticks(journal: Journal, slew: float) -> None:
    journal.host.wall_slew = slew

    run(journal, until=2405, schedule=journal.schedule(600))

    assert journal.polled == every(600, 600, 2400)
    assert max(map(abs, journal.late_seconds)) < 0.003
    assert journal.steps == []


@pytest.mark.parametrize("step", [-30 * DAY, -DAY, -HOUR, -1, 1, HOUR, DAY, 30 * DAY])
@pytest.mark.parametrize("second", [25.0, 29.9, 30.0001])
def test_a_step_of_the_wall_clock_loses_and_doubles_no_tick(journal: Journal, step: float, second: float) -> None:
    run(journal, (second, lambda: journal.host.step(step)), until=65)

    assert journal.polled == every(10, 10, 60)
    assert journal.skipped == []
    assert max(map(abs, journal.late_seconds)) < 0.26
    assert journal.steps == [step]
    assert journal.host.exchange_reads < 200


@pytest.fixture(params=["AAA0BBB,J325/12:30,J350", "AAA0BBB,J1/0,J325/13:30"], ids=["spring", "autumn"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A zone of this computer whose clocks are changed half an hour after noon: forward, or backward."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_a_change_to_or_from_summer_time_is_nothing_to_the_ticks(journal: Journal) -> None:
    assert at(0).astimezone().utcoffset() != at(2400).astimezone().utcoffset()

    run(journal, until=5405, schedule=journal.schedule(600))

    assert journal.polled == every(600, 600, 5400)
    assert journal.skipped == []
    assert journal.steps == []


@pytest.mark.parametrize("second", [29.0, 29.9999, 30.0001])
def test_a_leap_second_of_host_and_exchange_doubles_no_tick_and_skips_none(journal: Journal, second: float) -> None:
    schedule = journal.schedule(1)

    def leap() -> None:
        journal.host.step(-1)
        journal.host.measured -= 1
        schedule.clock_changed(reset=False)

    run(journal, (second, leap), until=41.5, schedule=schedule)

    assert journal.polled == every(1, 4, 40)
    assert journal.skipped == []


def test_two_opposite_steps_of_the_wall_clock_lose_and_double_no_tick(journal: Journal) -> None:
    run(
        journal,
        (29.9, lambda: journal.host.step(HOUR)),
        (30.5, lambda: journal.host.step(-HOUR)),
        until=65,
    )

    assert journal.polled == every(10, 10, 60)
    assert journal.steps == [HOUR, -HOUR]


def test_clock_steps_are_told_one_after_the_other(journal: Journal) -> None:
    running: list[float] = []

    async def measure(seconds: float) -> None:
        assert running == []
        running.append(seconds)
        await asyncio.sleep(3)
        running.clear()
        await journal.clock_stepped(seconds)

    schedule = Schedule(now=journal.host.exchange, on_clock_step=measure, on_error=journal.failed)
    story = [(second, lambda: journal.host.step(-5)) for second in (10.0, 11.0, 12.0, 20.0)]

    run(journal, *story, until=25, schedule=schedule)

    assert journal.steps == [-5, -10, -5]
    assert journal.errors == []


def test_a_failing_clock_step_callback_is_reported_and_called_again(journal: Journal) -> None:
    async def measure(seconds: float) -> None:
        raise LookupError(round(seconds))

    schedule = Schedule(now=journal.host.exchange, on_clock_step=measure, on_error=journal.failed)
    run(
        journal,
        (10, lambda: journal.host.step(60)),
        (20, lambda: journal.host.step(-60)),
        until=25,
        schedule=schedule,
    )

    assert journal.errors == [(CLOCK_STEP, "LookupError(60)"), (CLOCK_STEP, "LookupError(-60)")]


def test_ticks_missed_in_a_stall_are_skipped_in_order_before_the_current_one_is_polled(journal: Journal) -> None:
    run(journal, (15, lambda: journal.host.advance(38)), until=65)

    assert journal.decided == every(10, 10, 60)
    assert journal.skipped == [(at(20), LATE), (at(30), LATE), (at(40), LATE)]


def test_of_a_long_stall_the_newest_thousand_ticks_are_skipped(journal: Journal) -> None:
    run(journal, (4.5, lambda: journal.host.advance(5000)), until=5005.5, schedule=journal.schedule(1))

    assert journal.skipped == [(instant, LATE) for instant in every(1, 4004, 5003)]
    assert journal.polled == [at(4), at(5004), at(5005)]


def test_a_tick_during_a_running_poll_is_skipped(journal: Journal) -> None:
    journal.duration = 22

    run(journal, until=85)

    assert journal.polled == [at(10), at(40), at(70)]
    assert journal.skipped == [(at(second), STILL_RUNNING) for second in (20, 30, 50, 60, 80)]
    assert journal.finished == journal.polled


def test_a_stall_during_a_running_poll_skips_the_missed_ticks_too(journal: Journal) -> None:
    journal.duration = 60

    run(journal, (15, lambda: journal.host.advance(30)), until=45.5)

    assert journal.polled == [at(10)]
    assert journal.skipped == [(at(20), LATE), (at(30), LATE), (at(40), STILL_RUNNING)]


def test_slow_reports_lose_no_tick_and_keep_the_order(journal: Journal) -> None:
    journal.report_duration = 7

    run(journal, (15, lambda: journal.host.advance(48)), until=205)

    assert journal.decided == every(10, 10, 200)
    assert journal.polled[-1] == at(200)


def test_stop_awaits_the_running_poll_and_begins_no_other(journal: Journal) -> None:
    journal.duration = 25

    run(journal, until=12)

    assert journal.decided == [at(10)]
    assert journal.finished == [at(10)]


def test_an_instant_that_comes_while_the_run_begins_is_polled(journal: Journal) -> None:
    def passing_time() -> datetime:
        journal.host.advance(0.001)
        return journal.host.exchange()

    schedule = Schedule(now=passing_time, on_clock_step=journal.clock_stepped, on_error=journal.failed)
    schedule.every(10, key="main", tick=journal.tick, skipped=journal.skip, last=None)
    journal.host.measured = 10 - BEGINS - 0.0015

    run(journal, until=4, schedule=schedule)

    assert journal.decided == [at(10)]


def test_a_stop_before_the_first_tick_ends_without_one(journal: Journal) -> None:
    run(journal, until=9.99)

    assert journal.decided == []


def test_an_error_of_a_tick_ends_the_run_after_the_other_polls(journal: Journal) -> None:
    journal.duration = 5

    async def broken(time: datetime) -> None:
        raise LookupError(time.second)

    schedule = journal.schedule()
    schedule.every(10, key="broken", tick=broken, skipped=journal.skip, last=None)
    schedule.every(10, key="broken too", tick=broken, skipped=journal.skip, last=None)

    with pytest.raises(LookupError, match="10"):
        run(journal, until=65, schedule=schedule)

    assert journal.finished == [at(10)]
    assert journal.errors == [("broken too", "LookupError(10)")]


def test_an_error_of_a_report_ends_the_run(journal: Journal) -> None:
    async def broken(_time: datetime, reason: str) -> None:
        raise LookupError(reason)

    schedule = journal.schedule(None)
    schedule.every(10, key="main", tick=journal.tick, skipped=broken, last=None)

    with pytest.raises(LookupError, match=LATE):
        run(journal, (15, lambda: journal.host.advance(20)), until=65, schedule=schedule)


def test_an_error_after_stop_still_ends_the_run(journal: Journal) -> None:
    async def broken(_time: datetime) -> None:
        await asyncio.sleep(5)
        raise LookupError

    schedule = journal.schedule(None)
    schedule.every(10, key="broken", tick=broken, skipped=journal.skip, last=None)

    with pytest.raises(LookupError):
        run(journal, until=12, schedule=schedule)


def test_cancelling_the_run_cancels_the_polls(journal: Journal) -> None:
    journal.duration = HOUR
    schedule = journal.schedule()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await schedule.run(asyncio.Event())
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await asyncio.sleep(60)

    journal.host.run(main)

    assert journal.polled == [at(10)]
    assert journal.finished == []


def test_ticks_between_the_last_of_an_earlier_run_and_the_start_are_not_skipped(journal: Journal) -> None:
    run(journal, until=25, schedule=journal.schedule(last=at(-HOUR)))

    assert journal.decided == [at(10), at(20)]
    assert journal.skipped == []


def test_the_last_tick_of_an_earlier_run_is_not_repeated(journal: Journal) -> None:
    run(journal, until=35, schedule=journal.schedule(last=at(10)))

    assert journal.decided == [at(20), at(30)]


def test_a_last_tick_in_the_future_is_ignored(journal: Journal) -> None:
    run(journal, until=25, schedule=journal.schedule(last=at(HOUR)))

    assert journal.decided == [at(10), at(20)]


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("correction", [-0.003, 0.003])
@pytest.mark.parametrize("second", [29.995, 29.999, 30.0, 30.0001, 30.002, 30.005])
def test_a_small_correction_around_the_instant_neither_loses_nor_doubles_the_tick(
    journal: Journal, second: float, correction: float, *, reset: bool, told: bool
) -> None:
    schedule = journal.schedule()

    def correct() -> None:
        journal.host.measured += correction
        if told:
            schedule.clock_changed(reset=reset)

    run(journal, (second, correct), until=65, schedule=schedule)

    assert journal.decided == every(10, 10, 60)
    assert journal.skipped == []


@pytest.mark.parametrize("correction", [-30 * DAY, -HOUR, HOUR, 30 * DAY])
def test_the_first_measurement_of_a_wrong_clock_moves_the_ticks_at_once(journal: Journal, correction: float) -> None:
    schedule = journal.schedule()

    def measure() -> None:
        journal.host.measured += correction + 4
        schedule.clock_changed(reset=True)

    run(journal, (25, measure), until=45, schedule=schedule)

    assert journal.decided == [at(10), at(20), at(correction + 30), at(correction + 40)]
    assert journal.skipped == []
    assert max(map(abs, journal.late_seconds)) < 0.001


def test_a_large_correction_backwards_does_not_stop_the_ticks_even_without_a_reset(journal: Journal) -> None:
    schedule = journal.schedule()

    def measure() -> None:
        journal.host.measured -= HOUR
        schedule.clock_changed(reset=False)

    run(journal, (25, measure), until=45, schedule=schedule)

    assert journal.decided == [at(10), at(20), at(30 - HOUR), at(40 - HOUR)]


def test_ticks_left_out_by_a_forward_correction_are_skipped(journal: Journal) -> None:
    schedule = journal.schedule()

    def measure() -> None:
        journal.host.measured += 38
        schedule.clock_changed(reset=False)

    run(journal, (15, measure), until=35, schedule=schedule)

    assert journal.skipped == [(at(20), CORRECTED), (at(30), CORRECTED), (at(40), CORRECTED)]
    assert journal.polled == [at(10), at(50), at(60), at(70)]


def test_many_keys_tick_at_the_same_instants(journal: Journal) -> None:
    schedule = journal.schedule(None)
    journals = [Journal(journal.host) for _ in range(50)]
    for number, one in enumerate(journals):
        schedule.every(10, key=f"account {number}", tick=one.tick, skipped=one.skip, last=None)

    run(journal, until=65, schedule=schedule)

    assert [one.decided for one in journals] == [every(10, 10, 60)] * 50


@pytest.mark.parametrize("reset", [True, False])
def test_a_clock_change_before_the_run_or_after_stop_fires_nothing(journal: Journal, *, reset: bool) -> None:
    schedule = journal.schedule(None)
    schedule.housekeeping(10, lambda: journal.skip(NOON, "housekeeping"), key="purge")

    async def tick(time: datetime) -> None:
        await journal.tick(time)
        journal.host.measured += 60
        schedule.clock_changed(reset=reset)

    journal.duration = 20
    schedule.every(10, key="main", tick=tick, skipped=journal.skip, last=None)
    schedule.clock_changed(reset=reset)

    run(journal, until=12, schedule=schedule)

    assert journal.decided == [at(10)]


def housekeeping(journal: Journal, job: Callable[[], Awaitable[None]]) -> Schedule:
    schedule = journal.schedule(None)
    schedule.housekeeping(10, job, key="purge")
    return schedule


def test_housekeeping_runs_at_its_intervals_from_the_start_whatever_the_clocks_do(journal: Journal) -> None:
    runs: list[float] = []

    async def job() -> None:
        runs.append(round(journal.host.steady - BOOTED, 1))

    story = [(second + 0.4, lambda: journal.host.step(-HOUR)) for second in range(20, 60, 7)]
    schedule = housekeeping(journal, job)
    correct = [(second + 0.7, lambda: schedule.clock_changed(reset=True)) for second in range(20, 60, 3)]

    run(journal, *story, *correct, (33.5, lambda: journal.host.step(DAY)), until=75, schedule=schedule)

    assert runs == [10, 20, 30, 40, 50, 60, 70]


def test_housekeeping_never_overlaps(journal: Journal) -> None:
    runs: list[float] = []
    running = 0

    async def job() -> None:
        nonlocal running
        assert running == 0
        running += 1
        runs.append(round(journal.host.steady - BOOTED))
        await asyncio.sleep(15)
        running -= 1

    run(journal, until=75, schedule=housekeeping(journal, job))

    assert runs == [10, 30, 50, 70]
    assert journal.errors == []


def test_a_failing_housekeeping_job_is_reported_and_runs_again(journal: Journal) -> None:
    async def job() -> None:
        raise LookupError

    run(journal, until=25, schedule=housekeeping(journal, job))

    assert journal.errors == [("purge", "LookupError()")] * 2


def test_stop_cancels_housekeeping(journal: Journal) -> None:
    ended: list[str] = []

    async def job() -> None:
        try:
            await asyncio.sleep(HOUR)
        finally:
            ended.append("cancelled")

    run(journal, until=25, schedule=housekeeping(journal, job))

    assert ended == ["cancelled"]
    assert journal.host.steady < BOOTED + 30


WALL_STEPS = [-DAY, -HOUR, -1.5, -0.05, 0.05, 1.5, HOUR, 30 * DAY]
ACTS = st.one_of(
    st.tuples(st.just("step"), st.sampled_from(WALL_STEPS)),
    st.tuples(st.just("stall"), st.sampled_from([0.001, 0.4, 9.99, 35.0])),
    st.tuples(st.just("measure"), st.sampled_from([-0.5, -0.003, -0.000001, 0.000001, 0.003, 0.5])),
    st.tuples(st.just("unnoticed"), st.sampled_from([-0.003, 0.003])),
)
SECONDS = st.one_of(
    st.floats(3.1, 90),
    st.tuples(
        st.sampled_from([10.0, 20.0, 30.0]), st.sampled_from([-0.2, -0.004, -0.000001, 0.0, 0.000001, 0.004])
    ).map(sum),
)


@settings(max_examples=100, deadline=None)
@given(story=st.lists(st.tuples(SECONDS, ACTS), max_size=6), interval=st.sampled_from([1, 10]), busy=st.booleans())
def test_every_instant_is_decided_exactly_once_in_order_whatever_happens(
    story: list[tuple[float, tuple[str, float]]], interval: int, *, busy: bool
) -> None:
    host = Host()
    journal = Journal(host, duration=1.3 * interval if busy else 0.0)
    schedule = journal.schedule(interval)

    def act(kind: str, seconds: float) -> None:
        if kind == "step":
            host.step(seconds)
        elif kind == "stall":
            host.advance(seconds)
        else:
            host.measured += seconds
            if kind == "measure":
                schedule.clock_changed(reset=False)

    acts = [(second, lambda kind=kind, seconds=seconds: act(kind, seconds)) for second, (kind, seconds) in story]
    end = 120.35 + sum(seconds for _, (kind, seconds) in story if kind == "stall")

    run(journal, *acts, until=end, schedule=schedule)

    last = int(end + host.measured) // interval * interval
    assert journal.decided == every(interval, 10 if interval == 10 else 4, last)
    assert journal.finished == journal.polled
    assert journal.errors == []


async def test_on_the_clocks_of_this_computer_ticks_come_each_second() -> None:
    ticks: list[datetime] = []
    stop = asyncio.Event()

    async def tick(time: datetime) -> None:
        assert time <= datetime.now(UTC)
        ticks.append(time)
        if len(ticks) >= 3:
            stop.set()

    async def skipped(time: datetime, _reason: str) -> None:
        ticks.append(time)

    async def stepped(_seconds: float) -> None:
        """Nothing to measure."""

    schedule = Schedule(now=lambda: datetime.now(UTC), on_clock_step=stepped, on_error=lambda *_: None)
    schedule.every(1, key="main", tick=tick, skipped=skipped, last=None)
    await schedule.run(stop)

    assert ticks == [ticks[0] + timedelta(seconds=n) for n in range(len(ticks))]
    assert {time.microsecond for time in ticks} == {0}
