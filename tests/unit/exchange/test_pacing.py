import itertools
from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from poller.exchange.pacing import Pace, Pacing, backoff

SECONDS = st.floats(min_value=0.001, max_value=1000)


@given(first=SECONDS, longest=SECONDS)
def test_a_delay_lies_between_zero_and_a_bound_that_doubles_up_to_the_longest(first: float, longest: float) -> None:
    bounds = list(itertools.islice(backoff(first, longest, lambda low, high: low + high), 20))

    assert bounds == [first, *(min(longest, first * 2**n) for n in range(1, 20))]


def test_the_delay_is_drawn_from_the_whole_range() -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    assert list(itertools.islice(backoff(1, 60, uniform), 8)) == [0] * 8
    assert drawn == [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (0, 32), (0, 60), (0, 60)]


def test_the_delays_never_end_and_never_overflow() -> None:
    *_, last = itertools.islice(backoff(1, 60), 10_000)

    assert 0 <= last <= 60


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_the_first_handshake_begins_at_once() -> None:
    assert Pace(Pacing(), Clock()).delay == 0


def test_two_handshakes_are_never_closer_than_the_spacing() -> None:
    clock = Clock()
    pace = Pace(Pacing(first=0, longest=0, spacing=5), clock)
    pace.begin()
    clock.seconds += 2
    pace.wait()

    assert pace.delay == 3


def test_a_socket_that_lived_long_is_replaced_after_the_first_delay() -> None:
    clock = Clock()
    pace = Pace(Pacing(first=1, longest=60, spacing=5), clock)
    pace.begin()
    clock.seconds += 24 * 3600
    pace.wait()

    assert 0 <= pace.delay <= 1


def test_delays_grow_until_the_exchange_serves_again() -> None:
    clock = Clock()
    pace = Pace(Pacing(first=1, longest=1024, spacing=0), clock)
    grown = []
    for _ in range(200):
        pace.wait()
        grown.append(pace.delay)
    pace.reset()
    pace.wait()

    assert max(grown) > 100
    assert pace.delay <= 1


def test_an_exchange_that_turns_every_handshake_away_is_asked_for_little_of_its_weight_and_seen_again_soon() -> None:
    clock = Clock()
    pace = Pace(Pacing(), clock)
    begun = []
    while clock.seconds < 100_000:
        begun.append(clock.seconds)
        pace.begin()
        pace.wait()
        clock.seconds += pace.delay
    pauses = [later - earlier for earlier, later in itertools.pairwise(begun)]
    in_a_minute = max(bisect_left(begun, start + 60) - n for n, start in enumerate(begun))

    assert max(pauses) <= 10
    assert in_a_minute * 5 <= 60
    assert len(begun) * 5 * 60 / 100_000 < 50
