"""Pings, lifetimes and every scripted fault, as a client sees them on its socket."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
import pytest

from poller.observation import Market
from poller.simulator import ConnectionRules, SimulatedExchange
from poller.simulator.faults import (
    Delay,
    Drop,
    Duplicate,
    ErrorReply,
    Extra,
    Freeze,
    HangUp,
    HttpReply,
    Late,
    Raw,
    Reset,
)
from poller.simulator.scripts import Stage
from tests.support.exchange import invalid_utf8, oversized, request_frame
from tests.support.secrecy import confide
from tests.support.virtual_time import run_in_virtual_time

Socket = aiohttp.ClientWebSocketResponse
USDM = Market.USDM


def with_rules(**rules: float) -> pytest.MarkDecorator:
    build = partial(SimulatedExchange, rules=ConnectionRules(**rules))
    return pytest.mark.parametrize("exchange", [build], indirect=True, ids=["rules"])


@pytest.fixture(name="session")
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(name="socket")
async def _socket(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> AsyncIterator[Socket]:
    async with session.ws_connect(exchange.ws_url(USDM), autoping=False, max_msg_size=2**20) as socket:
        yield socket


@asynccontextmanager
async def connected(**rules: float) -> AsyncIterator[tuple[SimulatedExchange, Socket]]:
    """Have a connection to an exchange with these rules, on the loop that runs now: one of virtual time."""
    async with (
        SimulatedExchange(rules=ConnectionRules(**rules)) as exchange,
        aiohttp.ClientSession() as session,
        session.ws_connect(exchange.ws_url(USDM), autoping=False) as socket,
    ):
        key = exchange.add_account("main")
        confide(key.api_key, key.api_secret)
        yield exchange, socket


async def send(exchange: SimulatedExchange, socket: Socket, request_id: str = "1") -> None:
    frame = request_frame(
        exchange.key("main"), "v2/account.status", request_id=request_id, timestamp=exchange.server_ms()
    )
    await socket.send_str(frame)


async def replied_id(socket: Socket) -> object:
    return json.loads(await socket.receive_str())["id"]


def test_a_client_that_answers_pings_stays_connected() -> None:
    async def main() -> None:
        # Thirty pings take longer than the timeout.
        async with connected(ping_interval=0.05, pong_timeout=1) as (exchange, socket):
            for _ in range(30):
                ping = await socket.receive()
                assert ping.type is aiohttp.WSMsgType.PING
                await socket.pong(ping.data)
            await exchange.journal.wait_until(lambda journal: journal.pongs[USDM] == 30)

            assert len(exchange.connections) == 1

    run_in_virtual_time(main())


@pytest.mark.parametrize("answers", [False, True], ids=["silent", "wrong payload"])
def test_a_client_that_does_not_answer_pings_is_hung_up_on(answers: bool) -> None:  # noqa: FBT001 - parametrized
    async def main() -> None:
        async with connected(ping_interval=0.01, pong_timeout=0.1) as (exchange, socket):
            while (message := await socket.receive()).type is aiohttp.WSMsgType.PING:
                if answers:
                    await socket.pong(b"unsolicited")

            assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 1008, "Pong timeout")
            assert not exchange.journal.pongs

    run_in_virtual_time(main())


def test_an_old_connection_is_announced_to_end_and_ends() -> None:
    async def main() -> None:
        async with connected(lifetime=100, shutdown_notice=50) as (exchange, socket):
            event = json.loads(await socket.receive_str())
            announced = asyncio.get_running_loop().time()
            close = await socket.receive()

            assert event["event"]["e"] == "serverShutdown"
            assert abs(event["event"]["E"] - exchange.server_ms()) < 60_000
            assert (close.type, close.data) == (aiohttp.WSMsgType.CLOSE, 1001)
            assert (round(announced), round(asyncio.get_running_loop().time())) == (50, 100)

    run_in_virtual_time(main())


def test_without_notice_an_old_connection_just_ends() -> None:
    async def main() -> None:
        async with connected(lifetime=100) as (exchange, socket):
            close = await socket.receive()

            assert (close.type, close.data) == (aiohttp.WSMsgType.CLOSE, 1001)
            assert exchange.journal.handshake_count[USDM] == 1

    run_in_virtual_time(main())


async def test_a_clients_ping_is_answered_with_its_payload(exchange: SimulatedExchange, socket: Socket) -> None:
    await socket.ping(b"here")
    pong = await socket.receive()

    assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"here")
    assert not exchange.journal.requests


def test_a_delayed_reply_lets_others_pass() -> None:
    async def main() -> None:
        async with connected() as (exchange, socket):
            exchange.faults.next(USDM, Delay(0.1))
            await send(exchange, socket, "slow")
            await send(exchange, socket, "quick")

            assert [await replied_id(socket) for _ in range(2)] == ["quick", "slow"]

    run_in_virtual_time(main())


async def test_a_late_reply_follows_the_next_one(exchange: SimulatedExchange, socket: Socket) -> None:
    exchange.faults.next(USDM, Late())
    for request_id in ("late", "next", "third", "fourth"):
        await send(exchange, socket, request_id)

    assert [await replied_id(socket) for _ in range(4)] == ["next", "late", "third", "fourth"]


async def test_a_dropped_request_is_never_answered(exchange: SimulatedExchange, socket: Socket) -> None:
    exchange.faults.next(USDM, Drop())
    await send(exchange, socket, "dropped")
    await exchange.journal.wait_until(lambda journal: journal.request_count[USDM] == 1)
    await send(exchange, socket, "served")

    assert await replied_id(socket) == "served"
    assert [seen.status for seen in exchange.journal.requests] == [200, 200]


async def test_a_reply_may_come_twice_and_after_another_frame(exchange: SimulatedExchange, socket: Socket) -> None:
    exchange.faults.next(USDM, Duplicate(), Extra(b'{"239999":"The system is under maintenance"}'))
    await send(exchange, socket)

    assert json.loads(await socket.receive_str()) == {"239999": "The system is under maintenance"}
    assert [await replied_id(socket) for _ in range(2)] == ["1", "1"]


async def test_any_error_can_be_replied(exchange: SimulatedExchange, socket: Socket) -> None:
    exchange.faults.next(USDM, ErrorReply(status=503, code=-1008, msg="overloaded"), label="main")
    await send(exchange, socket)
    reply = json.loads(await socket.receive_str())

    assert (reply["id"], reply["status"], reply["error"]) == ("1", 503, {"code": -1008, "msg": "overloaded"})


async def test_any_bytes_can_be_replied(exchange: SimulatedExchange, socket: Socket) -> None:
    exchange.faults.next(USDM, Raw(b'{"id":<id>,'))
    exchange.faults.next(USDM, invalid_utf8)
    await send(exchange, socket)
    assert await socket.receive_str() == '{"id":"1",'
    await send(exchange, socket)
    broken = await socket.receive()

    assert broken.type is aiohttp.WSMsgType.ERROR
    assert socket.close_code == aiohttp.WSCloseCode.INVALID_TEXT


async def test_a_frame_can_be_too_big(exchange: SimulatedExchange, socket: Socket) -> None:
    exchange.faults.next(USDM, oversized(2**20 + 1))
    await send(exchange, socket)
    message = await socket.receive()

    assert message.type is aiohttp.WSMsgType.ERROR
    assert socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


@pytest.mark.parametrize("after_reply", [False, True])
async def test_it_hangs_up_instead_of_the_reply_or_after_it(
    exchange: SimulatedExchange,
    socket: Socket,
    after_reply: bool,  # noqa: FBT001 - parametrized
) -> None:
    exchange.faults.next(USDM, HangUp(code=1012, reason=b"restart", after_reply=after_reply))
    await send(exchange, socket)
    if after_reply:
        assert await replied_id(socket) == "1"
    close = await socket.receive()

    assert (close.type, close.data, close.extra) == (aiohttp.WSMsgType.CLOSE, 1012, "restart")


async def test_it_resets_the_connection(exchange: SimulatedExchange) -> None:
    # The raw socket tells a reset from an orderly end, which the library reports alike.
    reader, writer = await asyncio.open_connection("127.0.0.1", exchange.port)
    exchange.faults.next(USDM, Reset(), stage=Stage.HANDSHAKE)
    writer.write(b"GET /ws-fapi/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionResetError):
        await writer.wait_closed()


async def test_a_reset_ends_a_conversation(exchange: SimulatedExchange, socket: Socket) -> None:
    exchange.faults.next(USDM, Reset())
    await send(exchange, socket)
    message = await socket.receive()

    assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
    assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


def test_a_frozen_connection_stays_open_and_silent() -> None:
    async def main() -> None:
        async with connected(ping_interval=180, pong_timeout=600, lifetime=3600) as (exchange, socket):
            exchange.faults.next(USDM, Freeze())
            await send(exchange, socket, "frozen")
            await exchange.journal.wait_until(lambda journal: bool(journal.requests))
            await send(exchange, socket, "ignored")
            await socket.ping()
            with pytest.raises(TimeoutError):
                await socket.receive(timeout=2 * 3600)
            assert not socket.closed
            assert len(exchange.connections) == 1
            assert exchange.journal.request_count[USDM] == 1

    run_in_virtual_time(main())


async def test_a_frozen_connection_is_forgotten_when_its_client_gives_up(
    exchange: SimulatedExchange, session: aiohttp.ClientSession
) -> None:
    exchange.faults.next(USDM, Freeze())
    async with session.ws_connect(exchange.ws_url(USDM), timeout=aiohttp.ClientWSTimeout(ws_close=0.01)) as socket:
        await send(exchange, socket)
        await exchange.journal.wait_until(lambda journal: bool(journal.requests))

    async with asyncio.timeout(120):
        while exchange.connections:  # noqa: ASYNC110 - nothing but the loop tells when the server noticed
            await asyncio.sleep(0)


@pytest.mark.parametrize("stage", [Stage.HANDSHAKE, Stage.REST])
async def test_http_can_be_answered_with_anything(
    exchange: SimulatedExchange, session: aiohttp.ClientSession, stage: Stage
) -> None:
    reply = HttpReply(status=403, body=b"<html>", content_type="text/html", headers={"Retry-After": "7"})
    exchange.faults.next(USDM, Delay(0.01), reply, stage=stage)
    path = {Stage.HANDSHAKE: "/ws-fapi/v1", Stage.REST: "/fapi/v1/time"}[stage]
    async with session.get(exchange.rest_url(USDM) + path) as response:
        assert (response.status, await response.read()) == (403, b"<html>")
        assert (response.content_type, response.headers["Retry-After"]) == ("text/html", "7")
    if stage is Stage.HANDSHAKE:
        assert [seen.status for seen in exchange.journal.handshakes] == [403]


async def test_a_market_can_be_hung_up_on_alone(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
    async with (
        session.ws_connect(exchange.ws_url(USDM)) as usdm,
        session.ws_connect(exchange.ws_url(Market.COINM)),
    ):
        await exchange.hang_up(USDM, code=1012)
        close = await usdm.receive()
        assert (close.type, close.data) == (aiohttp.WSMsgType.CLOSE, 1012)
        assert [connection.peer.market for connection in exchange.connections] == [Market.COINM]


@with_rules(latency=3600)
async def test_a_distant_exchange_has_seen_a_request_long_before_its_reply(
    exchange: SimulatedExchange, socket: Socket
) -> None:
    await send(exchange, socket)
    await exchange.journal.wait_until(lambda journal: journal.request_count[USDM] == 1)
    await asyncio.gather(exchange.hang_up(), socket.receive())

    assert socket.closed
