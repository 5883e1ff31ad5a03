"""One budget for one IP, and what happens beyond it."""

import pytest

from poller.simulator.refusal import Refusal, RefusedError
from poller.simulator.weight import WeightLimits, WeightPool

MINUTE = 60_000
START = 1_795_245_600_000


def refused(pool: WeightPool, at_ms: int) -> Refusal:
    with pytest.raises(RefusedError) as exc:
        pool.spend(5, at_ms)
    return exc.value.refusal


def test_the_budget_is_exact_and_begins_anew_with_each_minute_of_the_clock() -> None:
    pool = WeightPool("127.0.0.1", WeightLimits(weight=10))
    pool.spend(5, START + 1)
    pool.spend(5, START + MINUTE - 1)

    assert refused(pool, START + MINUTE - 1).retry_after_ms == START + MINUTE
    assert pool.count(START + MINUTE - 1) == 15
    pool.spend(5, START + MINUTE)
    assert pool.rate_limits(START + MINUTE) == [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 10, "count": 5}
    ]


def test_who_goes_on_asking_is_banned_and_longer_each_time() -> None:
    pool = WeightPool("127.0.0.1", WeightLimits(weight=0, tolerance=2, ban_seconds=120))

    statuses = [refused(pool, START).status for _ in range(3)]
    first = refused(pool, START + 119_999)
    after = [refused(pool, START + 120_000) for _ in range(3)]

    assert statuses == [429, 429, 418]
    assert first == Refusal(
        418,
        -1003,
        f"Way too many requests; IP(127.0.0.1) banned until {START + 120_000}. "
        "Please use the websocket for live updates to avoid bans.",
        START + 120_000,
    )
    assert [refusal.status for refusal in after] == [429, 429, 418]
    assert after[-1].retry_after_ms == START + 120_000 + 240_000


def test_a_ban_is_never_longer_than_three_days() -> None:
    pool = WeightPool("127.0.0.1", WeightLimits(weight=0, tolerance=0, ban_seconds=120))
    at_ms = START
    for _ in range(20):
        until = refused(pool, at_ms).retry_after_ms
        assert until is not None
        assert until - at_ms <= 3 * 86_400_000
        at_ms = until
