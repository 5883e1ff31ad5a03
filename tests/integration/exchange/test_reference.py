"""Modes and contracts over REST, against the simulated exchange on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import aiohttp
import pytest
from aiohttp import web

from poller.errors import RestRefusedError, RestUnavailableError
from poller.exchange.endpoints import (
    ACCOUNT_CONFIG_PATH,
    ACCOUNT_CONFIG_WEIGHT,
    EXCHANGE_INFO_PATHS,
    EXCHANGE_INFO_WEIGHT,
    Endpoint,
    Override,
    endpoints,
)
from poller.exchange.http import Call, Rest, get
from poller.exchange.messages import AccountConfig
from poller.exchange.reference import account_config, exchange_info
from poller.exchange.signing import Credentials, hmac_signer, private_key_signer
from poller.normalize import modes_of, normalize
from poller.observation import AssetMode, AssetModeSource, Environment, Market, PositionMode
from poller.simulator import IssuedKey, SimulatedExchange, WeightLimits
from poller.simulator.faults import Delay, HttpReply, Reset
from poller.simulator.keys import KeyType
from poller.simulator.scripts import Stage
from tests.support.exchange import SteppedClock
from tests.support.replies import envelope, observed
from tests.support.secrecy import confide

NOW = 1_795_245_600.0
stepped = partial(SimulatedExchange, clock=SteppedClock(NOW))
KEY_TYPES: tuple[KeyType, ...] = ("hmac", "rsa", "ed25519")


def endpoint(exchange: SimulatedExchange, market: Market = Market.USDM) -> Endpoint:
    overrides = {
        each: Override(ws_url=exchange.ws_url(each), rest_url=exchange.rest_url(each) + "/") for each in Market
    }
    return endpoints(Environment.SIMULATED, overrides)[market]


def credentials(key: IssuedKey) -> Credentials:
    if key.api_secret is not None:
        return Credentials(key.api_key, hmac_signer(key.api_secret))
    assert key.private_key_pem is not None
    return Credentials(key.api_key, private_key_signer(key.private_key_pem))


async def ask(
    exchange: SimulatedExchange, session: aiohttp.ClientSession, label: str = "main", *, late_ms: int = 0
) -> Rest[AccountConfig]:
    return await account_config(
        session,
        endpoint(exchange),
        credentials(exchange.key(label)),
        timestamp_ms=exchange.server_ms() - late_ms,
        timeout_seconds=60,
    )


async def refusal(exchange: SimulatedExchange, session: aiohttp.ClientSession, *, late_ms: int = 0) -> RestRefusedError:
    with pytest.raises(RestRefusedError) as refused:
        await ask(exchange, session, late_ms=late_ms)
    return refused.value


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_the_modes_of_an_account_are_told_to_keys_of_every_type(
    exchange: SimulatedExchange, session: aiohttp.ClientSession, key_type: KeyType
) -> None:
    key = exchange.add_account("other", key_type=key_type, multi_assets=True)
    confide(key.api_key, key.api_secret)

    told = AccountConfig(multi_assets_margin=True, dual_side_position=False)
    for _ in range(5):  # other times are other signatures, with and without what has to be encoded
        assert (await ask(exchange, session, "other")).value == told
        exchange.clock_offset += 1

    assert modes_of(told) == (AssetMode.MULTI_ASSETS, PositionMode.ONE_WAY)
    assert {(seen.method, seen.label, seen.status) for seen in exchange.journal.requests} == {
        ("/fapi/v1/accountConfig", "other", 200)
    }


async def test_modes_that_are_switched_are_told_and_shown_in_replies(
    exchange: SimulatedExchange, session: aiohttp.ClientSession
) -> None:
    before = modes_of((await ask(exchange, session)).value)
    exchange.set_modes("main", multi_assets=True)
    exchange.set_modes("main", hedge=True)
    after = modes_of((await ask(exchange, session)).value)

    assert before == (AssetMode.SINGLE_ASSET, PositionMode.ONE_WAY)
    assert after == (AssetMode.MULTI_ASSETS, PositionMode.HEDGE)
    positions = exchange.result("main", Market.COINM)["positions"]
    assert isinstance(positions, list)
    assert {position["positionSide"] for position in positions} == {"LONG", "SHORT"}


@pytest.mark.parametrize("exchange", [stepped], indirect=True, ids=["fixed"])
@pytest.mark.parametrize("multi_assets", [False, True])
@pytest.mark.parametrize("hedge", [False, True])
async def test_replies_agree_with_what_is_told_until_it_is_switched(
    exchange: SimulatedExchange,
    session: aiohttp.ClientSession,
    multi_assets: bool,  # noqa: FBT001 - parametrized
    hedge: bool,  # noqa: FBT001 - parametrized
) -> None:
    exchange.set_modes("main", multi_assets=multi_assets, hedge=hedge)
    asset_mode, position_mode = modes_of((await ask(exchange, session)).value)

    def contradicted(market: Market) -> bool:
        reply = observed(
            market,
            envelope(exchange.result("main", market)),
            asset_mode=asset_mode,
            asset_mode_source=AssetModeSource.EXCHANGE,
            position_mode=position_mode,
        )
        return normalize(reply).mode_contradicted

    assert [contradicted(market) for market in Market] == [False, False]
    exchange.set_modes("main", multi_assets=not multi_assets)
    assert [contradicted(market) for market in (Market.USDM, Market.COINM)] == [True, False]
    exchange.set_modes("main", multi_assets=multi_assets, hedge=not hedge)
    assert [contradicted(market) for market in Market] == [True, True]


@pytest.mark.parametrize("exchange", [stepped], indirect=True, ids=["fixed"])
async def test_the_weights_are_those_of_the_documents_and_are_told(
    exchange: SimulatedExchange, session: aiohttp.ClientSession
) -> None:
    first = await ask(exchange, session)
    second = await exchange_info(session, endpoint(exchange, Market.COINM))

    assert first.used_weight == ACCOUNT_CONFIG_WEIGHT == 5
    assert second.used_weight == ACCOUNT_CONFIG_WEIGHT + EXCHANGE_INFO_WEIGHT == 6


@pytest.mark.parametrize("market", Market)
async def test_the_contracts_of_both_markets_are_listed(
    exchange: SimulatedExchange, session: aiohttp.ClientSession, market: Market
) -> None:
    listed = (await exchange_info(session, endpoint(exchange, market))).value

    sizes = {contract.symbol: contract.contract_size for contract in listed.contracts}
    assert listed.unreadable == ()
    if market is Market.COINM:
        assert [sizes["BTCUSD_PERP"], sizes["ETHUSD_PERP"]] == [100, 10]
    else:
        assert sizes["币安人生USDT"] is None
    assert any(symbol.rpartition("_")[2].isdecimal() for symbol in sizes)


async def test_a_revoked_key_is_refused_with_what_a_verdict_needs(
    exchange: SimulatedExchange, session: aiohttp.ClientSession
) -> None:
    exchange.revoke("main")
    refused = await refusal(exchange, session)

    assert (refused.status, refused.code, refused.retry_after_seconds) == (401, -2015, None)
    assert str(refused) == "accountConfig: HTTP 401: -2015 Invalid API-key, IP, or permissions for action."


async def test_a_request_of_another_moment_is_refused(
    exchange: SimulatedExchange, session: aiohttp.ClientSession
) -> None:
    late, early = await refusal(exchange, session, late_ms=10_000), await refusal(exchange, session, late_ms=-10_000)

    assert [(refused.status, refused.code) for refused in (late, early)] == [(400, -1021)] * 2


async def test_a_wrong_secret_is_refused(exchange: SimulatedExchange, session: aiohttp.ClientSession) -> None:
    wrong = Credentials(exchange.key("main").api_key, hmac_signer("another"))

    with pytest.raises(RestRefusedError) as refused:
        await account_config(session, endpoint(exchange), wrong, timestamp_ms=exchange.server_ms())

    assert (refused.value.status, refused.value.code) == (400, -1022)


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({}, "timestamp=1&signature=x", (401, -2014)),
        ({"X-MBX-APIKEY": "short"}, "timestamp=1&signature=x", (401, -2014)),
        ({"X-MBX-APIKEY": "x" * 64}, "timestamp=1&signature=x", (401, -2015)),
        (None, "timestamp=1", (400, -1102)),
        (None, "signature=x", (400, -1102)),
        (None, "", (400, -1102)),
    ],
)
async def test_the_simulator_refuses_as_documented(
    exchange: SimulatedExchange,
    session: aiohttp.ClientSession,
    headers: dict[str, str] | None,
    query: str,
    expected: tuple[int, int],
) -> None:
    given = {"X-MBX-APIKEY": exchange.key("main").api_key} if headers is None else headers
    url = f"{exchange.rest_url(Market.USDM)}{ACCOUNT_CONFIG_PATH}?{query}"
    async with session.get(url, headers=given) as response:
        assert (response.status, (await response.json())["code"]) == expected


@pytest.mark.parametrize(
    "exchange",
    [partial(stepped, limits=WeightLimits(weight=4, tolerance=1, ban_seconds=90))],
    indirect=True,
    ids=["small budget"],
)
async def test_a_limit_and_a_ban_tell_how_long_and_hide_the_address(
    exchange: SimulatedExchange, session: aiohttp.ClientSession
) -> None:
    limited, banned = await refusal(exchange, session), await refusal(exchange, session)

    assert (limited.status, limited.code, limited.used_weight) == (429, -1003, 5)
    assert limited.retry_after_seconds == 60 - NOW % 60
    assert (banned.status, banned.code, banned.retry_after_seconds) == (418, -1003, 90)
    assert f"IP(127.0.0.1) banned until {int(NOW + 90) * 1000}" in banned.msg
    for refused in (limited, banned):
        assert "127.0.0.1" not in str(refused)


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (HttpReply(status=503, body=b'{"code":-1008,"msg":"overload"}'), 503, -1008),
        (HttpReply(status=403, body=b"<html>", content_type="text/html"), 403, None),
        (HttpReply(status=500, body=b"\xff"), 500, None),
        (HttpReply(status=502, body=b"x" * 100_000), 502, None),
        (HttpReply(status=302, headers={"Location": "http://127.0.0.1:1/"}), 302, None),
        (HttpReply(status=429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), 429, None),
        (HttpReply(status=429, headers={"Retry-After": "9" * 5000}), 429, None),
    ],
)
async def test_any_other_status_is_a_refusal(
    exchange: SimulatedExchange, session: aiohttp.ClientSession, reply: HttpReply, status: int, code: int | None
) -> None:
    exchange.faults.next(None, reply, stage=Stage.REST, path=ACCOUNT_CONFIG_PATH, label="main")
    refused = await refusal(exchange, session)

    assert (refused.status, refused.code, refused.retry_after_seconds) == (status, code, None)
    assert (await ask(exchange, session)).value == AccountConfig(multi_assets_margin=False, dual_side_position=False)


@pytest.mark.parametrize(
    ("body", "config"),
    [
        (b'{"multiAssetsMargin":true}', AccountConfig(multi_assets_margin=True)),
        (b'{"dualSidePosition":false,"new":[1,{}]}', AccountConfig(dual_side_position=False)),
        (b'{"dualSidePosition":null,"multiAssetsMargin":false}', AccountConfig(multi_assets_margin=False)),
    ],
)
async def test_fields_that_are_missing_or_new_cost_no_other(
    exchange: SimulatedExchange, session: aiohttp.ClientSession, body: bytes, config: AccountConfig
) -> None:
    exchange.faults.next(Market.USDM, HttpReply(status=200, body=body), stage=Stage.REST)

    assert (await ask(exchange, session)).value == config


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "cannot be decoded"),
        (b'{"multiAssetsMargin":"tr', "cannot be decoded"),
        (b'{"multiAssetsMargin":"true"}', "cannot be decoded"),
        (b"[" * 60_000, "cannot be decoded"),
        (b"{}", "no mode"),
        (b'{"239999":"The system is under maintenance"}', "no mode"),
        (b'{"code":-1000,"msg":"unknown"}', "no mode"),
        (b" " * 70_000, "longer than 65536 bytes"),
    ],
)
async def test_an_answer_that_tells_no_mode_is_none(
    exchange: SimulatedExchange, session: aiohttp.ClientSession, body: bytes, reason: str
) -> None:
    exchange.faults.next(Market.USDM, HttpReply(status=200, body=body), stage=Stage.REST)

    with pytest.raises(RestUnavailableError, match=reason):
        await ask(exchange, session)


async def test_a_reset_is_an_answer_that_did_not_come(
    exchange: SimulatedExchange, session: aiohttp.ClientSession
) -> None:
    path = EXCHANGE_INFO_PATHS[Market.COINM]
    # Twice, because the client asks once more where a connection that it has used before ends without an answer.
    exchange.faults.next(None, Reset(), stage=Stage.REST, path=path, times=2)

    assert (await ask(exchange, session)).used_weight == 5  # another path
    with pytest.raises(RestUnavailableError, match="exchangeInfo: the exchange could not be reached: ECONNRESET"):
        await exchange_info(session, endpoint(exchange, Market.COINM))


async def test_an_answer_that_takes_too_long_is_given_up(
    exchange: SimulatedExchange, session: aiohttp.ClientSession
) -> None:
    exchange.faults.next(Market.USDM, Delay(60), stage=Stage.REST)

    with pytest.raises(RestUnavailableError, match="did not answer in time"):
        await exchange_info(session, endpoint(exchange), timeout_seconds=0.05)


@pytest.fixture(name="endless")
async def _endless() -> AsyncIterator[str]:
    """The address of a server that sends bytes, without an end and compressed: a gigabyte is a megabyte on the wire."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        while True:
            await response.write(bytes(1024 * 1024))
            await asyncio.sleep(0)

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def test_an_answer_without_an_end_is_cut_off_at_the_limit(endless: str, session: aiohttp.ClientSession) -> None:
    with pytest.raises(RestUnavailableError, match="exchangeInfo: the answer is longer than 2000000 bytes"):
        await get(session, Call(name="exchangeInfo", url=endless, timeout_seconds=60, max_bytes=2_000_000))
