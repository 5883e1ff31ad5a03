from poller.exchange.messages import RateLimit
from poller.exchange.weight import Weight

NOON_MS = 1_763_726_400_000


class Clock:
    def __init__(self) -> None:
        self.milliseconds = NOON_MS

    def __call__(self) -> int:
        return self.milliseconds


def _told(count: int, *, kind: str = "REQUEST_WEIGHT", interval: str = "MINUTE", every: int = 1) -> tuple[RateLimit]:
    return (RateLimit(rate_limit_type=kind, interval=interval, interval_num=every, limit=6000, count=count),)


def test_what_was_spent_here_counts_until_the_exchange_tells_more() -> None:
    weight = Weight(Clock())
    weight.spend(5)
    weight.spend(5)
    assert (weight.used, weight.limit) == (10, 2400)

    weight.observe(_told(7))
    assert (weight.used, weight.limit) == (10, 6000)

    weight.observe(_told(90))
    weight.observe(_told(30))
    assert weight.used == 90


def test_a_new_minute_begins_with_nothing() -> None:
    clock = Clock()
    weight = Weight(clock)
    weight.spend(5)
    weight.observe(_told(90))
    clock.milliseconds += 59_999
    assert weight.used == 90

    clock.milliseconds += 1
    assert weight.used == 0
    weight.spend(5)
    assert weight.used == 5


def test_limits_of_another_kind_or_interval_are_passed_over() -> None:
    weight = Weight(Clock())
    weight.observe(_told(90, kind="ORDERS"))
    weight.observe(_told(90, interval="SECOND"))
    weight.observe(_told(90, every=5))

    assert (weight.used, weight.limit) == (0, 2400)


def test_the_count_of_a_reply_that_was_on_its_way_when_the_minute_turned_is_not_believed() -> None:
    clock = Clock()
    weight = Weight(clock)
    weight.observe(_told(2300), sent_ms=NOON_MS - 1)
    assert weight.used == 0

    weight.observe(_told(15), sent_ms=NOON_MS)
    assert weight.used == 15
