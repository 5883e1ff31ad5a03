"""The simulated exchange speaks the documented protocol on a real socket."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import aiohttp
import pytest

from poller.errors import ConfigError
from poller.observation import Market
from poller.simulator import IssuedKey, SimulatedExchange, WeightLimits, serve
from tests.support.exchange import METHODS, SteppedClock, request_frame

Socket = aiohttp.ClientWebSocketResponse
Reply = dict[str, Any]  # replies of every kind are looked into

NOW = 1_795_245_600.0
NOW_MS = int(NOW * 1000)
stepped = partial(SimulatedExchange, clock=SteppedClock(NOW))
at_a_fixed_time = pytest.mark.parametrize("exchange", [stepped], indirect=True, ids=["fixed"])


@pytest.fixture(name="session")
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(socket: Socket, frame: str) -> Reply:
    await socket.send_str(frame)
    reply: Reply = await socket.receive_json()
    return reply


def status_request(exchange: SimulatedExchange, market: Market, **params: object) -> str:
    return request_frame(exchange.key("main"), METHODS[market], timestamp=exchange.server_ms(), **params)


@at_a_fixed_time
@pytest.mark.parametrize("market", Market)
async def test_an_account_is_told_what_it_holds(
    exchange: SimulatedExchange, session: aiohttp.ClientSession, market: Market
) -> None:
    async with session.ws_connect(exchange.ws_url(market)) as socket:
        reply = await ask(socket, status_request(exchange, market))

    assert reply == {
        "id": "1",
        "status": 200,
        "result": exchange.result("main", market, NOW_MS),
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400, "count": 10}
        ],
    }


@at_a_fixed_time
async def test_one_socket_serves_many_accounts(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
    keys: dict[str, IssuedKey] = {
        "main": exchange.key("main"),
        "hedged": exchange.add_account("hedged", key_type="rsa", hedge=True),
        "shared": exchange.add_account("shared", key_type="ed25519", multi_assets=True),
    }
    async with session.ws_connect(exchange.ws_url(Market.USDM)) as socket:
        for label, key in keys.items():
            await socket.send_str(request_frame(key, "v2/account.status", request_id=label, timestamp=NOW_MS))
        replies = [await socket.receive_json() for _ in keys]

    assert {reply["id"]: reply["result"] for reply in replies} == {
        label: exchange.result(label, Market.USDM) for label in keys
    }
    assert {seen.label for seen in exchange.journal.requests} == set(keys)


@pytest.mark.parametrize(
    ("frame", "request_id", "code"),
    [
        ("{", None, -1135),
        ('{"id":7,"method":"v9/account.status","params":{}}', 7, -5000),
        ('{"id":"x","method":"v2/account.status"}', "x", -5000),
        ('{"id":"x","method":"account.status","params":{"timestamp":1}}', "x", -1102),
    ],
)
async def test_a_bad_frame_gets_an_error_envelope_and_the_socket_lives_on(
    exchange: SimulatedExchange, session: aiohttp.ClientSession, frame: str, request_id: object, code: int
) -> None:
    async with session.ws_connect(exchange.ws_url(Market.COINM)) as socket:
        refused = await ask(socket, frame)
        served = await ask(socket, status_request(exchange, Market.COINM))

    assert (refused["id"], refused["status"], refused["error"]["code"]) == (request_id, 400, code)
    assert served["status"] == 200


async def test_a_binary_frame_is_refused(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(exchange.ws_url(Market.COINM)) as socket:
        await socket.send_bytes(b"{}")
        reply = await socket.receive_json()

    assert reply["error"]["code"] == -1135


async def test_the_exchange_judges_by_its_own_clock(
    exchange: SimulatedExchange, session: aiohttp.ClientSession
) -> None:
    exchange.clock_offset = 7200.0
    key = exchange.key("main")
    async with session.ws_connect(exchange.ws_url(Market.USDM)) as socket:
        late = await ask(socket, request_frame(key, "v2/account.status", timestamp=int(time.time() * 1000)))
        served = await ask(socket, status_request(exchange, Market.USDM))
    async with session.get(exchange.rest_url(Market.USDM) + "/fapi/v1/time") as response:
        server_ms = (await response.json())["serverTime"]

    assert (late["status"], late["error"]["code"], served["status"]) == (400, -1021, 200)
    assert abs(server_ms / 1000 - time.time() - 7200) < 60


@at_a_fixed_time
async def test_both_markets_rest_and_handshakes_share_one_budget(
    exchange: SimulatedExchange, session: aiohttp.ClientSession
) -> None:
    async with (
        session.ws_connect(exchange.ws_url(Market.USDM)) as usdm,
        session.ws_connect(exchange.ws_url(Market.COINM)) as coinm,
    ):
        await ask(usdm, status_request(exchange, Market.USDM))
        async with session.get(exchange.rest_url(Market.COINM) + "/dapi/v1/time") as response:
            assert response.headers["X-MBX-USED-WEIGHT-1M"] == "16"
        reply = await ask(coinm, status_request(exchange, Market.COINM))

    assert reply["rateLimits"][0]["count"] == 21 == exchange.weight_used()


@pytest.mark.parametrize(
    "exchange",
    [partial(stepped, limits=WeightLimits(weight=10, tolerance=1, ban_seconds=90))],
    indirect=True,
    ids=["small budget"],
)
async def test_beyond_the_budget_everything_is_refused_and_then_banned(
    exchange: SimulatedExchange, session: aiohttp.ClientSession
) -> None:
    minute_end = (NOW_MS // 60_000 + 1) * 60_000
    async with session.ws_connect(exchange.ws_url(Market.USDM)) as socket:
        replies = [await ask(socket, status_request(exchange, Market.USDM)) for _ in range(3)]
    async with session.get(exchange.rest_url(Market.USDM) + "/fapi/v1/time") as response:
        assert response.status == 418
        assert response.headers["Retry-After"] == "90"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(exchange.ws_url(Market.COINM))

    assert [reply["status"] for reply in replies] == [200, 429, 418]
    assert {reply["error"]["code"] for reply in replies[1:]} == {-1003}
    assert replies[1]["error"]["data"] == {"serverTime": NOW_MS, "retryAfter": minute_end}
    assert f"IP(127.0.0.1) banned until {NOW_MS + 90_000}." in replies[2]["error"]["msg"]
    assert refused.value.status == 418
    assert [seen.status for seen in exchange.journal.handshakes] == [101, 418]


@pytest.mark.parametrize(
    ("query", "param", "shown"),
    [("", {}, True), ("?returnRateLimits=false", {}, False), ("", {"returnRateLimits": False}, False),
     ("?returnRateLimits=false", {"returnRateLimits": "true"}, True)],
)  # fmt: skip
async def test_rate_limits_are_left_out_on_demand(
    exchange: SimulatedExchange,
    session: aiohttp.ClientSession,
    query: str,
    param: dict[str, object],
    shown: bool,  # noqa: FBT001 - parametrized
) -> None:
    async with session.ws_connect(exchange.ws_url(Market.USDM) + query) as socket:
        reply = await ask(socket, status_request(exchange, Market.USDM, **param))

    assert reply["status"] == 200
    assert ("rateLimits" in reply) is shown


@pytest.mark.parametrize(("path", "market"), [("/fapi/v1", Market.USDM), ("/dapi/v1", Market.COINM)])
async def test_everybody_may_ask_for_the_contracts(
    exchange: SimulatedExchange, session: aiohttp.ClientSession, path: str, market: Market
) -> None:
    async with session.get(f"{exchange.rest_url(market)}{path}/exchangeInfo") as response:
        info = await response.json()

    status = {Market.USDM: "status", Market.COINM: "contractStatus"}[market]
    assert {symbol[status] for symbol in info["symbols"]} == {"TRADING"}
    assert info["rateLimits"][0]["limit"] == 2400


@pytest.mark.parametrize(
    ("path", "expected"), [("/api/v3/time", (404, -5000)), ("/ws-fapi/v1", (400, -1000)), ("/", (404, -5000))]
)
async def test_other_paths_are_refused(
    exchange: SimulatedExchange, session: aiohttp.ClientSession, path: str, expected: tuple[int, int]
) -> None:
    async with session.get(exchange.rest_url(Market.USDM) + path) as response:
        assert (response.status, (await response.json())["code"]) == expected


async def test_a_revoked_key_is_refused(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
    frame = status_request(exchange, Market.USDM)
    exchange.revoke("main")
    async with session.ws_connect(exchange.ws_url(Market.USDM)) as socket:
        reply = await ask(socket, frame)

    assert (reply["status"], reply["error"]["code"]) == (401, -2015)


async def test_it_can_be_stopped_and_started_again_on_the_same_port(
    exchange: SimulatedExchange, session: aiohttp.ClientSession
) -> None:
    port = exchange.port
    async with session.ws_connect(exchange.ws_url(Market.USDM)) as socket:
        await exchange.stop()
        closed = await socket.receive()
    with pytest.raises(aiohttp.ClientConnectionError):
        await session.ws_connect(f"ws://127.0.0.1:{port}/ws-fapi/v1")
    await exchange.start(port=port)
    async with session.ws_connect(exchange.ws_url(Market.USDM)) as socket:
        reply = await ask(socket, status_request(exchange, Market.USDM))

    assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    assert reply["status"] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])  # noqa: S104 - must be refused
async def test_it_does_not_listen_for_other_machines_unless_told_to(host: str) -> None:
    with pytest.raises(ConfigError, match="loopback"):
        await SimulatedExchange().start(host)


async def test_it_runs_alone_with_an_account_of_each_key_type(session: aiohttp.ClientSession) -> None:
    announced: asyncio.Future[tuple[SimulatedExchange, dict[str, IssuedKey]]]
    announced = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(
            serve("127.0.0.1", 0, announce=lambda exchange, keys: announced.set_result((exchange, dict(keys))))
        )
        exchange, keys = await announced
        async with session.ws_connect(exchange.ws_url(Market.COINM)) as socket:
            for label, key in keys.items():
                reply = await ask(
                    socket, request_frame(key, "account.status", request_id=label, timestamp=exchange.server_ms())
                )
                assert (reply["id"], reply["status"]) == (label, 200)
        serving.cancel()

    assert set(keys) == {"hmac", "rsa", "ed25519"}
    assert not exchange.connections


async def test_replies_are_compact_utf8(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(exchange.ws_url(Market.COINM)) as socket:
        await socket.send_str(status_request(exchange, Market.COINM))
        text = await socket.receive_str()

    assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
