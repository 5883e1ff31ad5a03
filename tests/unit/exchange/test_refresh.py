"""When modes and contracts are asked for again."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.exchange.refresh import KnownModes, ListedContracts, Modes, Refresh
from poller.observation import AssetMode, AssetModeSource, PositionMode

HOUR = 3600.0
SINGLE, MULTI = AssetMode.SINGLE_ASSET, AssetMode.MULTI_ASSETS
ONE_WAY, HEDGE = PositionMode.ONE_WAY, PositionMode.HEDGE


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def lowest(low: float, _high: float) -> float:
    return low


def told(modes: Modes, now: float, asset_mode: AssetMode | None = SINGLE) -> None:
    modes.refresh.begin(now)
    modes.tell(asset_mode, ONE_WAY, now)


def test_it_is_due_at_start_and_after_its_period() -> None:
    refresh = Refresh(every=HOUR, uniform=middle)

    assert refresh.is_due(1000)
    refresh.begin(1000)
    assert not refresh.is_due(1001)
    refresh.succeed(1001)
    assert not refresh.is_due(1000 + HOUR)
    assert refresh.is_due(1001 + HOUR)


@given(st.floats(0, 1))
def test_the_period_is_spread_by_a_tenth(share: float) -> None:
    refresh = Refresh(every=HOUR, uniform=lambda low, high: low + share * (high - low))
    refresh.succeed(0)

    assert not refresh.is_due(0.9 * HOUR - 1)
    assert refresh.is_due(1.1 * HOUR + 1)


def test_failures_are_waited_for_longer_and_longer_up_to_an_hour() -> None:
    refresh = Refresh(every=24 * HOUR, uniform=lowest)
    now, pauses = 0.0, []
    for _ in range(40):
        refresh.begin(now)
        refresh.fail(now)
        pause = next(seconds for seconds in range(1, 10_000) if refresh.is_due(now + seconds))
        pauses.append(pause)
        now += pause

    assert pauses[:8] == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert set(pauses[8:]) == {3600}
    refresh.succeed(now)
    refresh.fail(now)
    assert refresh.is_due(now + 60)


def test_a_pause_that_the_exchange_asks_for_is_kept_even_when_it_is_wanted() -> None:
    refresh = Refresh(every=HOUR, uniform=lowest)
    refresh.begin(0)
    refresh.fail(0, at_least=900)
    refresh.want(100, spacing=60)

    assert not refresh.is_due(899)
    assert refresh.is_due(900)


def test_an_attempt_that_is_never_heard_of_again_is_repeated() -> None:
    refresh = Refresh(every=HOUR)
    refresh.begin(0)

    assert not refresh.is_due(59)
    assert refresh.is_due(60)


def test_a_contradiction_is_looked_into_once_a_minute_at_most() -> None:
    modes = Modes(uniform=middle)
    told(modes, 0)

    modes.contradict(10)
    assert not modes.refresh.is_due(59)
    assert modes.refresh.is_due(60)
    told(modes, 60, MULTI)
    modes.contradict(200)
    assert modes.refresh.is_due(200)


def test_replies_that_contradict_for_ever_are_looked_into_less_and_less() -> None:
    modes = Modes(uniform=middle)
    asked = []
    for second in range(24 * 3600):
        modes.contradict(second)
        if modes.refresh.is_due(second):
            asked.append(second)
            told(modes, second)

    assert [later - earlier for earlier, later in pairwise(asked)][:7] == [
        60, 120, 240, 480, 960, 1920, 3600,
    ]  # fmt: skip
    assert len(asked) < 32
    told(modes, 24 * HOUR, MULTI)
    modes.contradict(24 * HOUR)
    assert modes.refresh.is_due(24 * HOUR + 60)


def test_nothing_is_known_before_it_is_told() -> None:
    assert Modes().known(0) == KnownModes()
    assert Modes().age(0) == math.inf


def test_what_the_exchange_told_is_known_for_hours() -> None:
    modes = Modes()
    told(modes, 100)

    known = KnownModes(asset_mode=SINGLE, asset_mode_source=AssetModeSource.EXCHANGE, position_mode=ONE_WAY)
    assert modes.age(400) == 300
    assert modes.known(100 + 3 * HOUR) == known
    assert modes.known(101 + 3 * HOUR) == KnownModes()


@pytest.mark.parametrize("asset_mode", [None, SINGLE, MULTI])
def test_a_configured_asset_mode_is_never_given_up_and_the_position_mode_is_asked_for(
    asset_mode: AssetMode | None,
) -> None:
    modes = Modes(MULTI)
    configured = KnownModes(asset_mode=MULTI, asset_mode_source=AssetModeSource.CONFIG)

    assert modes.known(0) == configured
    assert modes.refresh.is_due(0)
    modes.tell(asset_mode, HEDGE, 0)
    assert modes.known(0) == KnownModes(asset_mode=MULTI, asset_mode_source=AssetModeSource.CONFIG, position_mode=HEDGE)
    assert modes.known(4 * HOUR) == configured


def test_an_asset_mode_that_was_not_told_has_no_source() -> None:
    modes = Modes()
    modes.tell(None, HEDGE, 0)

    assert modes.known(0) == KnownModes(position_mode=HEDGE)


def test_contracts_are_listed_daily_and_at_most_hourly_for_a_symbol_that_is_new() -> None:
    contracts = ListedContracts(uniform=middle)
    contracts.refresh.begin(0)
    contracts.tell(["BTCUSDT", "ETHUSDT"], 0)

    contracts.hold(["BTCUSDT"], 7200)
    assert not contracts.refresh.is_due(23 * HOUR)
    assert contracts.refresh.is_due(24 * HOUR)
    contracts.hold(["BTCUSDT", "币安人生USDT"], 7200)
    assert contracts.refresh.is_due(7200)
    contracts.refresh.begin(7200)
    contracts.tell(["币安人生USDT"], 7200)
    contracts.hold(["BTCUSDT", "EOSUSD_210924"], 7300)
    assert not contracts.refresh.is_due(7200 + HOUR - 1)
    assert contracts.refresh.is_due(7200 + HOUR)
