"""One poll against the simulated exchange on a real socket: every fault becomes its status."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from poller.codec import decompress
from poller.exchange.asking import Exchange
from poller.exchange.signing import Credentials, KeyKind, Signer
from poller.observation import AssetMode, AssetModeSource, Market, Observation, Status
from poller.poll import Target, deadline_seconds, poll, unanswered
from poller.simulator import SimulatedExchange
from poller.simulator.faults import (
    Delay,
    Drop,
    Duplicate,
    ErrorReply,
    Extra,
    Fault,
    HangUp,
    Late,
    Raw,
    Reset,
    Rewritten,
)
from tests.support.exchange import invalid_utf8, nested, oversized, truncated
from tests.support.way import Journey, journey_to, target

TIME = datetime(2026, 11, 21, 12, 0, 10, tzinfo=UTC)


@pytest.fixture(name="journey")
async def _journey(exchange: SimulatedExchange) -> AsyncIterator[Journey]:
    async with journey_to(exchange) as journey:
        await journey.connected()
        yield journey


@pytest.fixture(name="way")
async def _way(journey: Journey) -> Exchange:
    return journey.exchange


async def polled(way: Exchange, whom: Target, *, seconds: float = 60.0, time: datetime = TIME) -> Observation:
    deadline = asyncio.get_running_loop().time() + seconds
    return await poll(whom, time, exchange=way, deadline=deadline, instance="run-1")


def scripted(exchange: SimulatedExchange, market: Market, scripts: Iterable[tuple[Fault, ...]]) -> None:
    for faults in scripts:
        exchange.faults.next(market, *faults)


@pytest.mark.parametrize("market", Market)
async def test_a_good_reply_is_kept_as_received(exchange: SimulatedExchange, way: Exchange, market: Market) -> None:
    observation = await polled(way, target(exchange, market))
    body = decompress(observation.codec, observation.body)

    assert observation.status is None
    assert (observation.time, observation.account, observation.market) == (TIME, "main", market)
    assert (observation.attempts, observation.exchange_status, observation.error_code) == (1, 200, None)
    assert body.startswith(b'{"id":')
    assert b'"rateLimits"' in body
    assert observation.requested_at is not None
    assert observation.received_at is not None
    assert timedelta(0) <= observation.received_at - observation.requested_at < timedelta(seconds=60)
    assert observation.latency_ms is not None


async def test_the_weight_that_the_exchange_tells_is_kept(exchange: SimulatedExchange, way: Exchange) -> None:
    observation = await polled(way, target(exchange))
    told = json.loads(decompress(observation.codec, observation.body))["rateLimits"][0]

    assert observation.weight_used is not None
    assert 5 <= told["count"] <= observation.weight_used <= 20  # which may be that of two minutes where one turns
    assert observation.weight_limit == 2400


async def test_a_configured_asset_mode_travels_with_the_poll(exchange: SimulatedExchange, way: Exchange) -> None:
    observation = await polled(way, target(exchange, asset_mode=AssetMode.MULTI_ASSETS))

    assert observation.asset_mode is AssetMode.MULTI_ASSETS
    assert observation.asset_mode_source is AssetModeSource.CONFIG


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (ErrorReply(status=401, code=-2015, msg="Invalid API-key, IP, or permissions."), Status.UNAUTHORIZED, -2015),
        (ErrorReply(status=400, code=-1102, msg="Mandatory parameter"), Status.REJECTED, -1102),
        (ErrorReply(status=429, code=-1003, msg="Too many requests"), Status.RATE_LIMITED, -1003),
        (ErrorReply(status=418, code=-1003, msg="banned"), Status.BANNED, -1003),
        (ErrorReply(status=503, code=-1016, msg="shutting down"), Status.EXCHANGE_ERROR, -1016),
    ],
)
async def test_a_refusal_is_kept_with_its_code(
    exchange: SimulatedExchange, way: Exchange, fault: Fault, status: Status, code: int
) -> None:
    exchange.faults.next(Market.USDM, fault, times=None)
    observation = await polled(way, target(exchange))

    assert (observation.status, observation.error_code, observation.attempts) == (status, code, 1)
    assert observation.error_message
    assert observation.body == b""


@pytest.mark.parametrize(
    "scripts",
    [
        [(ErrorReply(status=500, code=-1000, msg="unknown"),)],
        [(ErrorReply(status=408, code=-1007, msg="backend"),), (ErrorReply(status=503, code=-1008, msg="busy"),)],
        [(HangUp(code=1001),)],
        [(Reset(),)],
        [(HangUp(code=1008),), (Reset(),)],
        [(ErrorReply(status=400, code=-1021, msg="outside of the recvWindow"),)],
    ],
    ids=["unknown error", "timeout, then overload", "hang-up", "reset", "hang-up, then reset", "clock"],
)
async def test_a_passing_fault_is_retried_within_the_tick(
    exchange: SimulatedExchange, way: Exchange, scripts: list[tuple[Fault, ...]]
) -> None:
    scripted(exchange, Market.USDM, scripts)
    observation = await polled(way, target(exchange), time=way.clock.now())

    assert observation.status is None
    assert observation.attempts == len(scripts) + 1


async def test_a_tick_of_a_wrong_clock_files_no_reply_and_the_next_succeeds(
    exchange: SimulatedExchange, way: Exchange
) -> None:
    exchange.clock_offset = 3600.0
    wrong = await polled(way, target(exchange), time=way.clock.now())
    right = await polled(way, target(exchange), time=way.clock.now())

    assert (wrong.status, wrong.attempts) == (Status.CLOCK_SKEW, 1)
    assert (right.status, right.attempts) == (None, 1)
    assert right.clock_offset_ms is not None
    assert abs(right.clock_offset_ms - 3_600_000) < 1000


async def test_a_clock_that_stays_wrong_is_retried_once(exchange: SimulatedExchange, way: Exchange) -> None:
    exchange.faults.next(Market.USDM, ErrorReply(status=400, code=-1021, msg="outside of the recvWindow"), times=None)
    observation = await polled(way, target(exchange), time=way.clock.now())

    assert (observation.status, observation.attempts) == (Status.CLOCK_SKEW, 2)


async def test_no_reply_before_the_deadline_is_a_timeout(exchange: SimulatedExchange, way: Exchange) -> None:
    exchange.faults.next(Market.USDM, Drop())
    observation = await polled(way, target(exchange), seconds=0.3)

    assert (observation.status, observation.attempts) == (Status.TIMEOUT, 1)
    assert observation.requested_at is not None
    assert observation.received_at is None


async def test_a_late_reply_is_never_taken_for_the_next_tick(exchange: SimulatedExchange, way: Exchange) -> None:
    other = exchange.add_account("other", hedge=True)
    assert other.api_secret is not None
    exchange.faults.next(Market.USDM, Late(), label="main")
    lost = await polled(way, target(exchange), seconds=0.3)
    found = await polled(way, target(exchange, label="other"))

    assert lost.status is Status.TIMEOUT
    assert found.status is None
    assert b'"LONG"' in decompress(found.codec, found.body)


async def test_without_a_socket_nothing_is_sent(exchange: SimulatedExchange, way: Exchange) -> None:
    await exchange.stop()
    while way.links[Market.USDM].connected:  # noqa: ASYNC110 - the link tells nobody
        await asyncio.sleep(0)
    observation = await polled(way, target(exchange), seconds=0.3)

    assert (observation.status, observation.attempts, observation.requested_at) == (Status.DISCONNECTED, 0, None)
    assert observation.error_message is not None
    assert "127.0.0.1" not in observation.error_message


@pytest.mark.parametrize(
    "faults",
    [
        (truncated,),
        (invalid_utf8,),
        (nested(100_000),),
        (Raw(b'{"id":<id>,"status":200,"result":NaN}'),),
        (Raw(b'{"id":<id>,"status":200}'),),
    ],
    ids=["truncated", "no UTF-8", "nested", "NaN", "no result"],
)
async def test_a_reply_that_cannot_be_read_is_kept_for_the_normaliser(
    exchange: SimulatedExchange, way: Exchange, faults: tuple[Fault, ...]
) -> None:
    exchange.faults.next(Market.USDM, *faults)
    observation = await polled(way, target(exchange))

    assert observation.status is None
    assert observation.attempts == 1
    assert decompress(observation.codec, observation.body)


async def test_a_frame_above_16_mib_is_malformed_without_bytes(exchange: SimulatedExchange, way: Exchange) -> None:
    exchange.faults.next(Market.USDM, oversized(17 * 1024 * 1024))
    huge = await polled(way, target(exchange), seconds=120)
    after = await polled(way, target(exchange))

    assert (huge.status, huge.body) == (Status.MALFORMED, b"")
    assert after.status is None


@pytest.mark.parametrize(
    "faults",
    [
        (Duplicate(),),
        (Extra(b'{"e":"ACCOUNT_UPDATE"}'),),
        (Extra(b'{"239999":"The system is under maintenance"}'),),
        (Extra(b'{"id":null,"status":401,"error":{"code":-2015,"msg":"x"}}'),),
        (Delay(0.05),),
    ],
    ids=["twice", "event", "foreign", "null id", "slow"],
)
async def test_odd_frames_around_a_reply_do_no_harm(
    exchange: SimulatedExchange, way: Exchange, faults: tuple[Fault, ...]
) -> None:
    exchange.faults.next(Market.USDM, *faults)

    assert [(await polled(way, target(exchange))).status for _ in range(2)] == [None, None]


async def test_a_tick_that_is_reached_after_its_deadline_is_skipped(exchange: SimulatedExchange, way: Exchange) -> None:
    observation = await polled(way, target(exchange), seconds=-0.1)

    assert (observation.status, observation.attempts) == (Status.SKIPPED, 0)


async def test_a_fault_of_our_own_costs_one_tick(exchange: SimulatedExchange, way: Exchange) -> None:
    def broken(_payload: bytes) -> str:
        raise RuntimeError("a bug")

    whom = target(exchange)
    observation = await polled(way, replace(whom, credentials=Credentials("key", Signer(KeyKind.HMAC, broken))))

    assert observation.status is Status.EXCHANGE_ERROR
    assert observation.error_message == "internal error: RuntimeError"
    assert (await polled(way, whom)).status is None


async def test_a_skipped_tick_says_why(exchange: SimulatedExchange, way: Exchange) -> None:
    observation = unanswered(target(exchange), TIME, Status.SKIPPED, "busy", exchange=way, instance="run-1")

    assert (observation.status, observation.error_message, observation.time) == (Status.SKIPPED, "busy", TIME)


@pytest.mark.parametrize(("interval", "deadline"), [(1, 0.8), (10, 8.0), (12, 9.6), (60, 10.0)])
def test_the_deadline_is_ten_seconds_or_most_of_the_interval(interval: int, deadline: float) -> None:
    assert deadline_seconds(interval) == pytest.approx(deadline)


async def test_absurd_numbers_around_a_reply_are_not_kept(exchange: SimulatedExchange, way: Exchange) -> None:
    limits = b'"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":2400,'
    exchange.faults.next(
        Market.USDM,
        Raw(
            b'{"id":<id>,"status":400,"error":{"code":-'
            + b"9" * 30
            + b',"msg":"x"},'
            + limits
            + b'"count":99999999999}]}'
        ),
    )
    observation = await polled(way, target(exchange))

    assert observation.status is Status.REJECTED
    assert (observation.exchange_status, observation.error_code) == (400, None)
    assert observation.weight_used in {5, 10, 15}


@pytest.mark.parametrize("told", [b"", b'"error":{"code":-1,"msg":""},'], ids=["without an error", "without a word"])
async def test_a_refusal_always_has_a_reason(exchange: SimulatedExchange, way: Exchange, told: bytes) -> None:
    exchange.faults.next(
        Market.USDM, Rewritten(lambda body: body.replace(b'"status":200,', b'"status":404,' + told, 1))
    )
    observation = await polled(way, target(exchange))

    assert (observation.status, observation.error_message) == (Status.REJECTED, "the exchange gave no reason")


async def test_a_connection_is_made_when_a_ban_is_over_though_the_machine_slept_through_it(journey: Journey) -> None:
    journey.wire.holds.restore(3600.0)
    connecting = asyncio.create_task(journey.wire.connect(Market.USDM, Counter()))
    await asyncio.sleep(0)  # it has looked at the ban

    journey.pass_time(3601.0)

    async with asyncio.timeout(120):
        connection = await connecting
    assert connection.is_open
    await connection.close()
