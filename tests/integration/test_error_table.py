"""Every row of the exchange's error table on a real socket: what the tick becomes, and what is left alone after it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import pytest

from poller.errors import ClockUnavailableError
from poller.observation import Market, Status
from poller.simulator import SimulatedExchange
from poller.simulator.faults import Drop, ErrorReply, Extra, HttpReply
from poller.simulator.scripts import Stage
from tests.support.exchange import SteppedClock
from tests.support.way import Journey, journey_to

# Holds last from a second on, and a busy machine may need that: time passes only where a test lets it.
pytestmark = pytest.mark.parametrize(
    "exchange", [partial(SimulatedExchange, clock=SteppedClock(1_795_245_630.0))], indirect=True, ids=["stepped"]
)

USDM, COINM = Market.USDM, Market.COINM
ACCOUNT, MARKET = (("main", USDM),), (("main", USDM), ("other", USDM))
ALL = (("main", USDM), ("other", USDM), ("main", COINM), ("other", COINM))


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        held: Which (account, market) are left alone afterwards.
        seconds: For how long at most.
    """

    status: int
    code: int
    becomes: Status
    held: tuple[tuple[str, Market], ...] = ()
    seconds: float = 0.0
    is_retried: bool = False
    message: str = "refused for 203.0.113.7"
    retry_after_seconds: int | None = None

    def __str__(self) -> str:
        return f"{self.status} {self.code}"


def refused(code: int, status: int = 401) -> Row:
    return Row(status, code, Status.UNAUTHORIZED, ACCOUNT, 300)


def passing(status: int, code: int) -> Row:
    return Row(status, code, Status.EXCHANGE_ERROR, is_retried=True)


TABLE = [
    Row(429, -1003, Status.RATE_LIMITED, ALL, 61),
    Row(429, -1003, Status.RATE_LIMITED, ALL, 31, retry_after_seconds=30),
    Row(418, -1003, Status.BANNED, ALL, 132),
    Row(418, -1003, Status.BANNED, ALL, 330, retry_after_seconds=300),
    *(refused(code) for code in (-2014, -2015, -1002, -1011, -1099, -2017, -4056, -4109)),
    refused(-1022, status=400),
    refused(-9999),
    Row(400, -1109, Status.EXCHANGE_ERROR, ACCOUNT, 300, is_retried=True),
    *(passing(400, code) for code in (-1000, -1001, -1006)),
    passing(408, -1007),
    passing(500, -9999),
    passing(503, -1000),
    Row(503, -1008, Status.EXCHANGE_ERROR, MARKET, 2, is_retried=True),
    Row(503, -1016, Status.EXCHANGE_ERROR, MARKET, 2),
    Row(403, -9999, Status.EXCHANGE_ERROR, MARKET, 2),
    *(Row(400, code, Status.REJECTED, ACCOUNT, 300) for code in (-1100, -1101, -1102, -1103, -1104, -1105, -1106)),
    Row(404, -5000, Status.REJECTED, ACCOUNT, 300),
    Row(400, -9999, Status.REJECTED, ACCOUNT, 300),
]


@pytest.fixture(name="journey")
async def _journey(exchange: SimulatedExchange) -> AsyncIterator[Journey]:
    exchange.add_account("other")
    async with journey_to(exchange, steady=lambda: 0.0) as journey:
        await journey.exchange.clock.measure()
        await journey.connected()
        yield journey


async def statuses(journey: Journey) -> dict[tuple[str, Market], Status | None]:
    return {(label, market): (await journey.poll(label, market)).status for label, market in ALL}


@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_an_error_ends_the_tick_as_its_row_says_and_holds_no_more_than_it_must(
    exchange: SimulatedExchange, journey: Journey, row: Row
) -> None:
    retry_after_ms = row.retry_after_seconds and exchange.server_ms() + row.retry_after_seconds * 1000
    error = ErrorReply(status=row.status, code=row.code, msg=row.message, retry_after_ms=retry_after_ms)
    exchange.faults.next(USDM, error, label="main", times=None)
    failed = await journey.poll()
    exchange.faults.clear()
    asked = len(exchange.journal.requests)
    after = await statuses(journey)

    assert (failed.status, failed.exchange_status, failed.error_code) == (row.becomes, row.status, row.code)
    assert (failed.attempts > 1) == row.is_retried
    assert failed.error_message == "refused for ***"
    assert after == {whom: Status.PAUSED if whom in row.held else None for whom in ALL}
    assert len(exchange.journal.requests) == asked + len(ALL) - len(row.held)

    journey.pass_time(row.seconds + 0.5)
    assert set((await statuses(journey)).values()) == {None}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Way too many requests; IP(203.0.113.7) banned until {}. Please use the websocket", 132),
        ("Way too much request weight used; IP banned until {}.", 132),
    ],
)
async def test_a_ban_ends_when_its_message_says(
    exchange: SimulatedExchange, journey: Journey, text: str, seconds: float
) -> None:
    msg = text.format(exchange.server_ms() + 120_000)
    exchange.faults.next(USDM, ErrorReply(status=418, code=-1003, msg=msg))
    await journey.poll()

    assert journey.exchange.holds.silent_seconds() == pytest.approx(seconds, abs=2)
    assert "203.0.113.7" not in journey.held[0].reason


async def test_a_refused_account_is_probed_less_often_while_it_lasts(
    exchange: SimulatedExchange, journey: Journey
) -> None:
    exchange.revoke("main")
    seen = []
    for seconds in (301, 301, 600, 901):
        seen.append((await journey.poll()).status)
        journey.pass_time(seconds)

    assert seen == [Status.UNAUTHORIZED, Status.UNAUTHORIZED, Status.PAUSED, Status.UNAUTHORIZED]


async def test_a_clock_that_is_refused_is_measured_and_the_tick_saved(
    exchange: SimulatedExchange, journey: Journey
) -> None:
    exchange.clock_offset -= 3
    found = await journey.poll()

    assert (found.status, found.attempts) == (None, 2)
    assert journey.exchange.clock.now_ms() == pytest.approx(exchange.server_ms(), abs=1)


async def test_a_clock_that_stays_refused_holds_nothing(exchange: SimulatedExchange, journey: Journey) -> None:
    exchange.faults.next(USDM, ErrorReply(status=400, code=-1021, msg="outside of the recvWindow"), times=2)
    refused_again = await journey.poll()

    assert (refused_again.status, refused_again.attempts) == (Status.CLOCK_SKEW, 2)
    assert set((await statuses(journey)).values()) == {None}


@pytest.mark.parametrize(
    ("frame", "held"),
    [
        (b'{"id":null,"status":429,"error":{"code":-1003,"msg":"x"}}', ALL),
        (b'{"id":null,"status":418,"error":{"code":-1003,"msg":"x"}}', ALL),
        (b'{"239999":"The system is under maintenance"}', MARKET),
        (b'{"id":null,"status":401,"error":{"code":-2015,"msg":"x"}}', ()),
        (b'{"error":{"code":3,"msg":"Invalid JSON"}}', ()),
        (b'{"e":"ACCOUNT_UPDATE"}', ()),
    ],
    ids=["429", "418", "maintenance", "somebody's key", "invalid", "event"],
)
async def test_a_frame_that_answers_nothing_holds_what_it_concerns(
    exchange: SimulatedExchange, journey: Journey, frame: bytes, held: tuple[tuple[str, Market], ...]
) -> None:
    # The true reply comes behind the frame, and only a good one to an account of the market lifts what it said.
    exchange.faults.next(USDM, Drop(), Extra(frame))
    await journey.poll(seconds=0.3)

    assert await statuses(journey) == {whom: Status.PAUSED if whom in held else None for whom in ALL}
    assert sum(journey.exchange.links[USDM].unexpected.values()) == 1


@pytest.mark.parametrize("status", [418, 429])
async def test_a_refused_handshake_silences_the_address_until_it_may_come_back(
    exchange: SimulatedExchange, journey: Journey, status: int
) -> None:
    await statuses(journey)
    exchange.faults.next(
        USDM, HttpReply(status=status, body=b"<html>", headers={"Retry-After": "100"}), stage=Stage.HANDSHAKE
    )
    await exchange.hang_up(USDM)
    while not journey.held:
        await journey.poll(seconds=0.05)
    seen = len(exchange.journal.handshakes), len(exchange.journal.requests)

    assert set((await statuses(journey)).values()) == {Status.PAUSED}
    assert (len(exchange.journal.handshakes), len(exchange.journal.requests)) == seen
    assert journey.exchange.holds.silent_seconds() == pytest.approx(100, abs=12)


@pytest.mark.parametrize("status", [418, 429])
async def test_a_refused_rest_request_silences_the_address(
    exchange: SimulatedExchange, journey: Journey, status: int
) -> None:
    body = b'{"code":-1003,"msg":"Way too much request weight used; IP banned until 1."}'
    exchange.faults.next(None, HttpReply(status=status, body=body, headers={"Retry-After": "50"}), stage=Stage.REST)
    with pytest.raises(ClockUnavailableError, match="silence"):
        await journey.exchange.clock.measure()

    assert set((await statuses(journey)).values()) == {Status.PAUSED}


@pytest.mark.parametrize("status", [403, 500, 502, 503])
async def test_a_handshake_that_fails_otherwise_is_tried_again(
    exchange: SimulatedExchange, journey: Journey, status: int
) -> None:
    await statuses(journey)
    exchange.faults.next(
        USDM, HttpReply(status=status, body=b"<html>", content_type="text/html"), stage=Stage.HANDSHAKE, times=3
    )
    await exchange.hang_up(USDM)

    assert (await journey.poll()).status is None
    assert not journey.held
