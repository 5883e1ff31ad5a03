"""What is left alone, for how long, and what the others may do meanwhile."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from poller.exchange.clock import ExchangeClock, Sample
from poller.exchange.holds import Hold, Holds
from poller.exchange.messages import ErrorData, RemoteError
from poller.exchange.verdict import Action, Verdict, assess
from poller.observation import Market

USDM, COINM = Market.USDM, Market.COINM
START = datetime(2026, 11, 21, 12, 0, 10, tzinfo=UTC)
BAN = assess(status=418, code=-1003)
LIMIT = assess(status=429, code=-1003)
REFUSAL = assess(status=401, code=-2015)
DOWN = assess(status=503, code=-1016)
BUSY = assess(status=503, code=-1008)
REJECTION = assess(status=400, code=-1102)


@dataclass
class World:
    """A host whose clocks are set by hand, and the holds of its address."""

    steady: float = 0.0
    off_seconds: float = 0.0
    seen: list[Hold] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = ExchangeClock(self._sample, steady=lambda: self.steady, wall=self._wall)
        self.holds = Holds(self.clock, self.seen.append, uniform=lambda _low, high: high)

    def _true(self) -> float:
        return START.timestamp() + self.steady

    def _wall(self) -> float:
        return self._true() + self.off_seconds

    async def _sample(self) -> Sample:
        return Sample(before=self.steady, after=self.steady, server_ms=round(self._true() * 1000))

    def true_ms(self, seconds: float) -> int:
        return round((self._true() + seconds) * 1000)

    def is_held(self, account: str = "main", market: Market = USDM) -> bool:
        return self.holds.reason(account, market) is not None

    def held_seconds(self, account: str = "main", market: Market = USDM) -> float:
        begin = self.steady
        while self.is_held(account, market):
            self.steady += 1.0
        return self.steady - begin


@pytest.fixture(name="world")
async def _world() -> World:
    world = World()
    await world.clock.measure()
    return world


def told(world: World, seconds: float) -> RemoteError:
    return RemoteError(-1003, f"Way too many requests; IP(203.0.113.7) banned until {world.true_ms(seconds)}. Please…")


def test_at_first_nothing_is_held(world: World) -> None:
    assert not world.is_held()
    assert world.holds.silent_seconds() == 0


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RemoteError(-1003, "slow down"), 50 + 1),
        (RemoteError(-1003, "banned until 1795262430000."), 20 + 1),
        (RemoteError(-1003, "slow down", ErrorData(retry_after=1795262425000)), 15 + 1),
        (RemoteError(-1003, "slow down", ErrorData(retry_after=1)), 1),
        (RemoteError(-1003, "slow down", ErrorData(retry_after=10**400)), 600 + 1),
    ],
    ids=["next minute", "message", "retryAfter", "past", "absurd"],
)
def test_a_limit_pauses_both_markets_as_long_as_it_says(world: World, error: RemoteError, seconds: float) -> None:
    world.holds.apply(LIMIT, USDM, reason="no", account="main", error=error)

    assert world.holds.silent_seconds() == pytest.approx(seconds)
    assert world.is_held("other", COINM)
    assert world.held_seconds("other", COINM) == pytest.approx(seconds, abs=1)


@pytest.mark.parametrize(
    ("seconds", "margin"), [(5.0, 2.0), (120.0, 12.0), (3600.0, 30.0), (259_200.0, 30.0), (1e9, 30.0 + 259_200 - 1e9)]
)
def test_a_ban_lasts_with_a_margin_to_its_end(world: World, seconds: float, margin: float) -> None:
    world.holds.apply(BAN, USDM, reason="no", error=told(world, seconds))

    assert world.holds.silent_seconds() == pytest.approx(seconds + margin)
    assert world.seen[0].action is Action.BAN


def test_a_ban_without_an_end_lasts_as_the_shortest_that_the_exchange_knows(world: World) -> None:
    world.holds.apply(BAN, USDM, reason="no", error=RemoteError(-1003, "banned"))

    assert world.holds.silent_seconds() == pytest.approx(132)


def test_http_says_how_long_without_a_clock() -> None:
    world = World(off_seconds=-3600)
    world.holds.apply(BAN, USDM, reason="no", retry_after_seconds=60)

    assert world.holds.silent_seconds() == pytest.approx(66)


def test_the_end_of_a_ban_is_not_believed_too_early_before_the_clock_was_measured() -> None:
    world = World(off_seconds=3600)
    world.holds.apply(BAN, USDM, reason="no", error=told(world, 300))

    assert world.holds.silent_seconds() == pytest.approx(132)


def test_an_error_that_tells_the_time_needs_no_clock() -> None:
    world = World(off_seconds=3600)
    data = ErrorData(server_time=world.true_ms(0), retry_after=world.true_ms(300))
    world.holds.apply(BAN, USDM, reason="no", error=RemoteError(-1003, "banned", data))

    assert world.holds.silent_seconds() == pytest.approx(330)


async def test_a_correction_of_the_clock_moves_no_hold() -> None:
    world = World(off_seconds=3600)
    world.holds.apply(LIMIT, USDM, reason="no", error=RemoteError(-1003, "slow down"))
    world.holds.apply(REFUSAL, COINM, reason="no", account="main")
    await world.clock.measure()

    assert world.holds.silent_seconds() == pytest.approx(51)
    assert world.held_seconds("main", COINM) == pytest.approx(300, abs=1)


def test_a_shorter_silence_does_not_end_a_longer_one(world: World) -> None:
    world.holds.apply(BAN, USDM, reason="no", error=told(world, 600))
    world.holds.apply(LIMIT, COINM, reason="no", error=RemoteError(-1003, "slow down"))

    assert world.holds.silent_seconds() == pytest.approx(630)
    assert [hold.action for hold in world.seen] == [Action.BAN]


def test_a_ban_that_another_run_was_told_of_goes_on(world: World) -> None:
    world.holds.restore(90)
    assert world.holds.silent_seconds() == pytest.approx(90)

    world.holds.restore(-5)
    assert world.holds.silent_seconds() == pytest.approx(90)


@pytest.mark.parametrize("verdict", [REFUSAL, REJECTION])
def test_a_refused_account_is_asked_for_rarely_and_the_others_go_on(world: World, verdict: Verdict) -> None:
    rests = []
    for _ in range(3):
        world.holds.apply(verdict, USDM, reason="no", account="main")
        assert not world.is_held("other", USDM)
        assert not world.is_held("main", COINM)
        rests.append(world.held_seconds())

    assert rests == [pytest.approx(300, abs=1), pytest.approx(900, abs=1), pytest.approx(900, abs=1)]


def test_a_good_reply_ends_what_spoke_against_an_account(world: World) -> None:
    world.holds.apply(REFUSAL, USDM, reason="no", account="main")
    world.holds.succeeded("main", USDM)
    assert not world.is_held()

    world.holds.apply(REFUSAL, USDM, reason="no", account="main")
    assert world.held_seconds() == pytest.approx(300, abs=1)


def test_a_refusal_of_nobody_in_particular_holds_nobody(world: World) -> None:
    world.holds.apply(REFUSAL, USDM, reason="no")

    assert not world.is_held()


def test_a_market_that_is_down_is_left_alone_longer_each_time(world: World) -> None:
    rests = []
    for _ in range(8):
        world.holds.apply(DOWN, USDM, reason="no", account="main")
        world.holds.apply(DOWN, USDM, reason="no", account="other")
        assert not world.is_held("main", COINM)
        rests.append(world.held_seconds("other", USDM))

    assert rests == [pytest.approx(seconds, abs=1) for seconds in (2, 4, 8, 16, 32, 60, 60, 60)]


def test_overload_holds_the_market_only_when_it_lasts_for_the_whole_tick(world: World) -> None:
    world.holds.apply(BUSY, USDM, reason="no", account="main")
    assert not world.is_held()

    world.holds.apply(BUSY.consequence, USDM, reason="no", account="main")
    assert world.is_held()


def test_a_frame_without_a_request_can_ban_the_address(world: World) -> None:
    text = f'{{"id":null,"status":418,"error":{{"code":-1003,"msg":"IP banned until {world.true_ms(60)}."}}}}'
    world.holds.overhear(USDM, text.encode())

    assert world.holds.silent_seconds() == pytest.approx(66)
    assert world.seen[0].reason == "code -1003"


def test_a_hold_says_what_it_is_and_when_it_ends(world: World) -> None:
    world.holds.apply(REFUSAL, USDM, reason="no", account="main")

    reason = world.holds.reason("main", USDM)
    assert reason is not None
    assert "2026-11-21 12:05:10 UTC" in reason
    assert reason.endswith(": no")
    assert world.seen == [
        Hold(
            action=Action.REFUSE,
            until=START + timedelta(seconds=300),
            seconds=300.0,
            reason="no",
            account="main",
            market=USDM,
        )
    ]
