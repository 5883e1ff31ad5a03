"""Which instants are due, and where APScheduler is told to wake up."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.schedule import AlignedTrigger
from poller.ticks import EPOCH, MOST_MISSED, Ticks, aligned

TEN = timedelta(seconds=10)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

instants = st.datetimes(datetime(2019, 9, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # Hypothesis adds the zone
intervals = st.one_of(
    st.integers(1, 86_400).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(20, 999).map(lambda ms: timedelta(milliseconds=ms)),
)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def multiple(instant: datetime, interval: timedelta) -> bool:
    microsecond = timedelta(microseconds=1)
    return (instant - EPOCH) // microsecond % (interval // microsecond) == 0


def ticks_from(now: datetime, *, last: datetime = EPOCH, interval: timedelta = TEN) -> Ticks:
    ticks = Ticks(interval, last)
    ticks.restart(now)
    return ticks


@given(instants, intervals)
def test_the_aligned_instant_is_the_last_multiple_of_the_interval(now: datetime, interval: timedelta) -> None:
    instant = aligned(now, interval)

    assert instant <= now < instant + interval
    assert multiple(instant, interval)


@given(
    exchange=instants,
    interval=intervals,
    base=st.timedeltas(timedelta(days=-40), timedelta(days=40)),
    stale=st.timedeltas(timedelta(days=-40), timedelta(days=40)),
)
def test_the_trigger_aims_at_the_next_aligned_instant_of_exchange_time(
    exchange: datetime, interval: timedelta, base: timedelta, stale: timedelta
) -> None:
    wall = datetime.now(UTC) + timedelta(days=400) + base  # later than the real clock: then it is what APScheduler read

    fire = AlignedTrigger(lambda: exchange, interval).get_next_fire_time(wall + stale, wall)

    ahead = fire - wall
    assert timedelta(0) < ahead <= interval
    assert multiple(exchange + ahead, interval)


def test_the_trigger_aims_after_the_wall_clock_even_if_the_scheduler_read_it_a_while_ago() -> None:
    before = datetime.now(UTC)

    fire = AlignedTrigger(lambda: NOON, TEN).get_next_fire_time(None, before - timedelta(days=30))

    assert fire >= before + TEN


@pytest.mark.parametrize("days", [1, 30, 36_500])
def test_a_forward_jump_of_the_wall_clock_is_one_fire(days: int) -> None:
    """APScheduler asks for the next time until it is later than its clock; each answer must be."""
    trigger = AlignedTrigger(lambda: NOON, timedelta(seconds=1))
    now = datetime.now(UTC) + timedelta(days=days)

    assert trigger.get_next_fire_time(NOON, now) > now


def test_an_instant_is_due_once() -> None:
    ticks = ticks_from(at(3))

    assert list(ticks.due(at(9.999))) == []
    assert list(ticks.due(at(10))) == [at(10)]
    assert list(ticks.due(at(10))) == []
    assert list(ticks.due(at(19.999))) == []
    assert list(ticks.due(at(20.5))) == [at(20)]


def test_the_instant_of_the_start_is_not_due() -> None:
    ticks = ticks_from(at(10))

    assert list(ticks.due(at(10))) == []
    assert list(ticks.due(at(20))) == [at(20)]


def test_missed_instants_are_due_in_order() -> None:
    assert list(ticks_from(at(3)).due(at(47))) == [at(10), at(20), at(30), at(40)]


@pytest.mark.parametrize("stall", [timedelta(seconds=MOST_MISSED), timedelta(days=30), timedelta(days=36_500)])
def test_of_the_missed_instants_the_newest_thousand_are_due_before_the_current_one(stall: timedelta) -> None:
    second = timedelta(seconds=1)

    due = ticks_from(NOON, interval=second).due(NOON + second + stall)

    assert len(due) == 1001
    assert due[-1] == NOON + second + stall
    assert {later - earlier for earlier, later in pairwise(due)} == {second}


def test_what_was_missed_before_the_start_is_not_due() -> None:
    ticks = ticks_from(at(3), last=at(-3600))

    assert list(ticks.due(at(10))) == [at(10)]


@pytest.mark.parametrize("ahead", [10.001, 60, 3600, 30 * 86_400])
def test_a_last_tick_in_the_future_of_exchange_time_is_ignored(ahead: float) -> None:
    ticks = ticks_from(at(3), last=at(3 + ahead))

    assert list(ticks.due(at(10))) == [at(10)]


def test_a_last_tick_that_a_slow_clock_has_not_reached_yet_is_not_repeated() -> None:
    ticks = ticks_from(at(9.9), last=at(10))

    assert list(ticks.due(at(10))) == []
    assert list(ticks.due(at(20))) == [at(20)]


def test_a_last_tick_of_another_interval_keeps_the_next_ones_aligned() -> None:
    ticks = ticks_from(at(45), last=at(50), interval=timedelta(minutes=1))

    assert list(ticks.due(at(55))) == []
    assert list(ticks.due(at(60))) == [at(60)]


def test_a_small_correction_backwards_repeats_no_instant() -> None:
    ticks = ticks_from(at(3))

    assert list(ticks.due(at(30.001))) == [at(10), at(20), at(30)]
    assert list(ticks.due(at(29.998))) == []
    assert list(ticks.due(at(12))) == []
    assert list(ticks.due(at(30))) == []
    assert list(ticks.due(at(40))) == [at(40)]


def test_a_large_correction_backwards_does_not_stop_the_ticks() -> None:
    ticks = ticks_from(at(3))
    ticks.due(at(10))

    assert list(ticks.due(at(-3595))) == []
    assert list(ticks.due(at(-3590))) == [at(-3590)]


def test_a_reset_forgets_the_instants_that_a_forward_jump_left_out() -> None:
    ticks = ticks_from(at(3))

    ticks.reset(at(3605))

    assert list(ticks.due(at(3605))) == []
    assert list(ticks.due(at(3610))) == [at(3610)]


def test_a_reset_loses_no_instant_that_has_just_come() -> None:
    ticks = ticks_from(at(3))

    ticks.reset(at(10.001))

    assert list(ticks.due(at(10.001))) == [at(10)]


def test_a_reset_backwards_continues_within_two_intervals() -> None:
    ticks = ticks_from(at(3))
    ticks.due(at(10))

    ticks.reset(at(0.5))
    assert list(ticks.due(at(10))) == []
    assert list(ticks.due(at(20))) == [at(20)]

    ticks.reset(at(9.5))
    assert list(ticks.due(at(10))) == [at(10)]


def test_an_hourly_tick_is_not_repeated_after_a_correction_within_the_hour() -> None:
    ticks = ticks_from(at(-5), interval=timedelta(hours=1))

    assert list(ticks.due(at(0))) == [at(0)]
    assert list(ticks.due(at(-600))) == []
    assert list(ticks.due(at(0))) == []
    assert list(ticks.due(at(3600))) == [at(3600)]


@given(
    interval=intervals.filter(lambda interval: interval < timedelta(minutes=10)),
    steps=st.lists(st.integers(-5_000, 30_000), max_size=60),
)
def test_every_aligned_instant_is_due_exactly_once_however_the_clock_wanders(
    interval: timedelta, steps: list[int]
) -> None:
    ticks = ticks_from(NOON, interval=interval)
    now = latest = NOON
    due: list[datetime] = []
    for step in steps:
        now = max(now + timedelta(milliseconds=step), latest - timedelta(minutes=1))
        latest = max(latest, now)
        decided = list(ticks.due(now))
        assert len(decided) <= 1001
        if len(decided) < 1001:
            due += decided
        else:
            due = decided

    assert due == sorted(set(due))
    assert all(multiple(instant, interval) and instant <= latest for instant in due)
    if due:
        assert due[-1] == aligned(latest, interval)
        assert (due[-1] - due[0]) // interval + 1 == len(due)
    else:
        assert aligned(latest, interval) == aligned(NOON, interval)
