import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.errors import ClockUnavailableError
from poller.exchange.clock import ExchangeClock, Measurement, Sample, base_seconds, steady_seconds

EXCHANGE = 1_763_726_400.0
"""The exchange's time when the steady clock of these tests is at zero."""


class Host:
    """A host whose two clocks can be moved by hand, and the exchange's answers over a wire with a delay."""

    def __init__(self) -> None:
        self.steady_at = 500.0
        self.wall_off = -7.25
        self.trips: list[tuple[float, float] | None] = []
        self.asked = 0
        self.gate: asyncio.Event | None = None

    def steady(self) -> float:
        return self.steady_at

    def wall(self) -> float:
        return EXCHANGE + self.steady_at + self.wall_off

    async def sample(self) -> Sample:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        trip = self.trips.pop(0) if self.trips else (0.01, 0.01)
        if trip is None:
            raise ClockUnavailableError("nothing heard")
        before = self.steady_at
        server_ms = round((EXCHANGE + before + trip[0]) * 1000)
        self.steady_at += sum(trip)
        return Sample(before=before, after=self.steady_at, server_ms=server_ms)

    def clock(self, tolerance_ms: int = 1000) -> ExchangeClock:
        return ExchangeClock(self.sample, steady=self.steady, wall=self.wall, tolerance_ms=tolerance_ms)

    def exchange_now(self) -> datetime:
        return datetime.fromtimestamp(EXCHANGE + self.steady_at, UTC)


def _almost(left: datetime, right: datetime, milliseconds: float = 1.5) -> bool:
    return abs(left - right) <= timedelta(milliseconds=milliseconds)


def test_before_the_first_measurement_the_hosts_clock_is_believed() -> None:
    host = Host()
    clock = host.clock()

    assert clock.offset_ms is None
    assert clock.now() == datetime.fromtimestamp(host.wall(), UTC)
    assert clock.now().tzinfo is UTC
    host.wall_off += 3600
    assert clock.now() == datetime.fromtimestamp(host.wall(), UTC)
    assert clock.now_ms() == int(host.wall() * 1000)


async def test_after_it_the_exchanges_time_is_told() -> None:
    host = Host()
    clock = host.clock()

    measured = await clock.measure()

    assert _almost(clock.now(), host.exchange_now())
    assert clock.offset_ms == measured.offset_ms == 7250
    assert measured == Measurement(offset_ms=7250, round_trip_ms=20, host_clock_off=True)
    assert abs(clock.now_ms() - clock.now().timestamp() * 1000) <= 1


@pytest.mark.parametrize("step", [3600.0, -3600.0, 30 * 86400.0])
async def test_a_step_of_the_hosts_clock_moves_the_offset_and_not_the_time(step: float) -> None:
    host = Host()
    clock = host.clock()
    await clock.measure()

    host.wall_off += step
    host.steady_at += 10

    assert _almost(clock.now(), host.exchange_now())
    assert clock.offset_ms == 7250 - step * 1000


async def test_time_spent_asleep_counts() -> None:
    host = Host()
    clock = host.clock()
    await clock.measure()
    host.steady_at += 8 * 3600

    assert _almost(clock.now(), host.exchange_now())
    assert clock.steady() == host.steady_at


@pytest.mark.parametrize(("tolerance_ms", "off"), [(7249, True), (7251, False)])
async def test_a_host_clock_is_off_beyond_its_tolerance(tolerance_ms: int, off: bool) -> None:  # noqa: FBT001 - an example
    assert (await Host().clock(tolerance_ms).measure()).host_clock_off is off


async def test_slow_answers_do_not_count() -> None:
    host = Host()
    host.trips = [(2.0, 0.01), (0.01, 0.01), (0.0, 3.0), (0.01, 0.01), (0.9, 0.0)]
    clock = host.clock()

    assert (await clock.measure()).round_trip_ms == 20
    assert _almost(clock.now(), host.exchange_now())


async def test_two_answers_of_five_may_fail() -> None:
    host = Host()
    host.trips = [None, (0.01, 0.01), None, (0.01, 0.01), (0.01, 0.01)]
    clock = host.clock()

    assert (await clock.measure()).offset_ms == 7250


async def test_too_few_answers_leave_the_clock_as_it_was() -> None:
    host = Host()
    clock = host.clock()
    await clock.measure()
    told = clock.now()
    host.trips, host.asked = [None, (5.0, 0.0), None, None], 0

    with pytest.raises(ClockUnavailableError, match="nothing heard"):
        await clock.measure()

    assert host.asked == 4
    assert clock.now() == told + timedelta(seconds=5)


async def test_who_asks_while_a_measurement_runs_shares_it() -> None:
    host = Host()
    host.gate = asyncio.Event()
    clock = host.clock()
    async with asyncio.TaskGroup() as tasks:
        callers = [tasks.create_task(clock.measure()) for _ in range(20)]
        await asyncio.sleep(0)
        host.gate.set()

    assert host.asked == 5
    assert {task.result().offset_ms for task in callers} == {7250}
    await clock.measure()
    assert host.asked == 10


async def test_each_measurement_is_told_once_whoever_asked_and_a_failed_one_never() -> None:
    host = Host()
    host.gate = asyncio.Event()
    clock = host.clock()
    told: list[Measurement] = []
    clock.on_measured = told.append
    async with asyncio.TaskGroup() as tasks:
        callers = [tasks.create_task(clock.measure()) for _ in range(3)]
        await asyncio.sleep(0)
        host.gate.set()
    assert told == [callers[0].result()]

    host.trips = [None] * 3
    with pytest.raises(ClockUnavailableError):
        await clock.measure()
    assert len(told) == 1
    assert (await clock.measure()) == told[1]


async def test_who_shares_a_failed_measurement_shares_the_failure() -> None:
    host = Host()
    host.gate = asyncio.Event()
    host.trips = [None] * 3
    clock = host.clock()
    outcomes = asyncio.gather(*(clock.measure() for _ in range(20)), return_exceptions=True)
    await asyncio.sleep(0)
    host.gate.set()

    assert {type(outcome) for outcome in await outcomes} == {ClockUnavailableError}
    assert host.asked == 3


async def test_the_end_of_who_leads_ends_no_other_wait() -> None:
    host = Host()
    host.gate = asyncio.Event()
    clock = host.clock()
    async with asyncio.TaskGroup() as tasks:
        callers = [tasks.create_task(clock.measure()) for _ in range(4)]
        await asyncio.sleep(0)
        callers[0].cancel()
        callers[2].cancel()
        await asyncio.sleep(0)
        host.gate.set()

    assert [task.cancelled() for task in callers] == [True, False, True, False]
    assert callers[1].result() == callers[3].result()


TRIP = st.floats(min_value=0, max_value=5)


@given(
    trips=st.lists(st.tuples(TRIP, TRIP, st.floats(min_value=0, max_value=100)), min_size=1, max_size=9),
    base=st.floats(min_value=1e9, max_value=3e9),
)
def test_the_base_is_right_within_the_quickest_round_trip(trips: list[tuple[float, float, float]], base: float) -> None:
    samples: list[Sample] = []
    at = 0.0
    for there, back, pause in trips:
        server_ms = int((base + at + there) * 1000)
        samples.append(Sample(before=at, after=at + there + back, server_ms=server_ms))
        at += there + back + pause
    quickest = min(sample.round_trip for sample in samples)

    assert abs(base_seconds(samples) - base) <= quickest + 0.0025 + 0.0011


@given(st.lists(st.floats(min_value=0.02, max_value=0.04), min_size=1, max_size=9), st.data())
def test_one_answer_that_was_held_up_changes_nothing(trips: list[float], data: st.DataObject) -> None:
    samples = [Sample(before=n, after=n + trip, server_ms=1000 * n) for n, trip in enumerate(trips)]
    slow = Sample(before=50.0, after=50.0 + data.draw(st.floats(min_value=0.1, max_value=60)), server_ms=50_000)

    assert base_seconds([*samples, slow]) == base_seconds(samples)


def test_the_steady_clock_does_not_go_back() -> None:
    readings = [steady_seconds() for _ in range(1000)]

    assert readings == sorted(readings)
