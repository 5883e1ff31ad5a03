"""How the weight of a minute is counted, from what was sent here and what the exchange tells."""

from poller.exchange.messages import RateLimit
from poller.exchange.weight import Weight

NOON_MS = 1_763_726_400_000


class Clock:
    def __init__(self) -> None:
        self.milliseconds = NOON_MS

    def __call__(self) -> int:
        return self.milliseconds


def new(clock: Clock) -> Weight:
    return Weight(clock, steady=lambda: clock.milliseconds / 1000)


def spend(weight: Weight, amount: int) -> None:
    weight.send(amount)
    weight.over(amount, counted=False)


def _told(count: int, *, kind: str = "REQUEST_WEIGHT", interval: str = "MINUTE", every: int = 1) -> tuple[RateLimit]:
    return (RateLimit(rate_limit_type=kind, interval=interval, interval_num=every, limit=6000, count=count),)


def test_what_was_spent_here_counts_until_the_exchange_tells_more() -> None:
    weight = new(Clock())
    spend(weight, 5)
    spend(weight, 5)
    assert (weight.used, weight.limit) == (10, 2400)

    weight.answer(_told(7), sent=NOON_MS / 1000)
    assert (weight.used, weight.limit) == (10, 6000)

    weight.answer(_told(90), sent=NOON_MS / 1000)
    weight.answer(_told(30), sent=NOON_MS / 1000)
    assert weight.used == 90


def test_a_new_minute_begins_with_nothing() -> None:
    clock = Clock()
    weight = new(clock)
    spend(weight, 5)
    weight.answer(_told(90), sent=NOON_MS / 1000)
    clock.milliseconds += 59_999
    assert weight.used == 90

    clock.milliseconds += 1
    assert weight.used == 0
    spend(weight, 5)
    assert weight.used == 5


def test_limits_of_another_kind_or_interval_are_passed_over() -> None:
    weight = new(Clock())
    weight.answer(_told(90, kind="ORDERS"), sent=NOON_MS / 1000)
    weight.answer(_told(90, interval="SECOND"), sent=NOON_MS / 1000)
    weight.answer(_told(90, every=5), sent=NOON_MS / 1000)

    assert (weight.used, weight.limit) == (0, 2400)


def test_the_count_of_a_reply_that_was_on_its_way_when_the_minute_turned_is_not_believed() -> None:
    clock = Clock()
    weight = new(clock)
    weight.answer(_told(2300), sent=(NOON_MS - 1) / 1000)
    assert weight.used == 0

    clock.milliseconds += 100
    weight.answer(_told(15), sent=(NOON_MS + 50) / 1000)
    assert weight.used == 15


def test_a_count_that_falls_is_of_a_new_minute_whatever_the_clock_says() -> None:
    clock = Clock()
    weight = new(clock)
    clock.milliseconds += 30_000
    weight.answer(_told(2390), sent=(NOON_MS + 29_900) / 1000)
    clock.milliseconds += 100
    weight.answer(_told(40), sent=(NOON_MS + 29_950) / 1000)
    assert weight.used == 2390  # asked before the other answer was there: it may have been overtaken

    weight.answer(_told(15), sent=(NOON_MS + 30_050) / 1000)
    assert weight.used == 15


def test_absurd_numbers_are_not_believed() -> None:
    weight = new(Clock())
    for limit, count in ((0, 1), (-1, 1), (10**9, 1), (2400, -1), (2400, 10**9)):
        told = RateLimit(rate_limit_type="REQUEST_WEIGHT", interval="MINUTE", interval_num=1, limit=limit, count=count)
        assert not weight.answer((told,), sent=NOON_MS / 1000)

    assert (weight.used, weight.limit) == (0, 2400)
