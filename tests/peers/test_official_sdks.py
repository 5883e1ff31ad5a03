"""The exchange's own SDKs connect to the simulated exchange, sign, and read its answers.

They are written by other people from the same documents, and share no code with us beyond the libraries they use.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from poller.observation import Market
from poller.simulator import ConnectionRules, IssuedKey, KeyType, SimulatedExchange

pytestmark = [
    pytest.mark.skipif(sys.version_info >= (3, 15), reason="the SDKs do not support this Python"),
    # The SDK passes its closing timeout to aiohttp in an old form; as an error it would end every connection attempt.
    pytest.mark.filterwarnings(
        "ignore:parameter 'timeout' of type 'float' is deprecated:DeprecationWarning:binance_common.websocket"
    ),
]

_PATIENCE_MS = 60_000  # by default they give a busy machine a second or five

KEY_TYPES: tuple[KeyType, ...] = ("hmac", "rsa", "ed25519")

# `Any`: the SDKs' own annotations are partly wrong (parameters that default to None, but are not optional).
Connection = Any
Response = Any


@asynccontextmanager
async def connection(
    exchange: SimulatedExchange, market: Market, key: IssuedKey, **settings: object
) -> AsyncIterator[Connection]:
    """Connect a market's SDK; it closes its session, which it does not do by itself."""
    websocket_api = _client(market, config_ws_api=_websocket_settings(exchange, market, key, settings)).websocket_api
    connected = await websocket_api.create_connection()
    assert connected is not None, "the SDK logs why it cannot connect, and goes on"
    try:
        yield connected
    finally:
        await connected.close_connection(close_session=True)


async def account_status(connected: Connection, market: Market) -> Response:
    """Ask for the account; the receive window is sent as a string, and signed as one."""
    if market is Market.USDM:
        return await connected.account_information_v2(recv_window=5000)
    return await connected.account_information(recv_window=5000)


def _client(market: Market, **settings: Any) -> Any:
    from binance_sdk_derivatives_trading_coin_futures import DerivativesTradingCoinFutures
    from binance_sdk_derivatives_trading_usds_futures import DerivativesTradingUsdsFutures

    client: Any = {Market.USDM: DerivativesTradingUsdsFutures, Market.COINM: DerivativesTradingCoinFutures}[market]
    return client(**settings)


def _websocket_settings(
    exchange: SimulatedExchange, market: Market, key: IssuedKey, settings: dict[str, object]
) -> object:
    from binance_common.configuration import ConfigurationWebSocketAPI

    configuration: Any = ConfigurationWebSocketAPI
    return configuration(
        api_key=key.api_key,
        api_secret=key.api_secret,
        private_key=key.private_key_pem.decode() if key.private_key_pem else None,
        stream_url=exchange.ws_url(market),
        timeout=_PATIENCE_MS,
        **settings,
    )


@pytest.mark.parametrize("market", Market)
@pytest.mark.parametrize("key_type", KEY_TYPES)
@pytest.mark.parametrize(
    "modes", [{}, {"hedge": True}, {"multi_assets": True}], ids=["one-way", "hedge", "multi-assets"]
)
async def test_the_sdk_reads_what_the_simulator_holds(
    exchange: SimulatedExchange, market: Market, key_type: KeyType, modes: dict[str, bool]
) -> None:
    key = exchange.add_account("peer", key_type=key_type, **modes)
    async with connection(exchange, market, key) as connected:
        response = await account_status(connected, market)

    read = response.data()
    seen = exchange.journal.requests[-1]
    assert (seen.label, seen.status, read.status) == ("peer", 200, 200)
    assert read.result.to_dict() == exchange.result("peer", market, seen.at_ms)
    assert len(read.result.assets) >= 8
    (limit,) = response.rate_limits
    assert limit.limit == 2400
    assert limit.count in {5, 10}  # the handshake may belong to the minute before


@pytest.mark.parametrize("market", Market)
@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_a_wrong_secret_is_a_wrong_signature(
    exchange: SimulatedExchange, market: Market, key_type: KeyType
) -> None:
    right, other = (exchange.add_account("peer", key_type=key_type) for _ in range(2))
    mixed = IssuedKey(api_key=right.api_key, api_secret=other.api_secret, private_key_pem=other.private_key_pem)
    async with connection(exchange, market, mixed) as connected:
        response = await account_status(connected, market)

    assert response.data() == {"error": {"code": -1022, "msg": "Signature for this request is not valid."}}


async def test_a_key_of_nobody_is_refused(exchange: SimulatedExchange) -> None:
    stranger = IssuedKey(api_key="x" * 64, api_secret="x" * 64)
    async with connection(exchange, Market.USDM, stranger) as connected:
        response = await account_status(connected, Market.USDM)

    assert response.data()["error"]["code"] == -2015


async def test_a_clock_that_is_wrong_is_refused(exchange: SimulatedExchange) -> None:
    exchange.clock_offset = 3600.0
    async with connection(exchange, Market.COINM, exchange.key("main")) as connected:
        response = await account_status(connected, Market.COINM)

    assert response.data()["error"]["code"] == -1021


async def test_the_sdk_can_do_without_rate_limits(exchange: SimulatedExchange) -> None:
    async with connection(exchange, Market.USDM, exchange.key("main"), return_rate_limits=False) as connected:
        response = await account_status(connected, Market.USDM)

    assert response.data().status == 200
    assert response.data().rate_limits is None


@pytest.mark.parametrize(
    "exchange",
    [partial(SimulatedExchange, rules=ConnectionRules(ping_interval=0.01, pong_timeout=30))],
    indirect=True,
    ids=["impatient"],
)
async def test_the_sdk_answers_the_simulators_pings(exchange: SimulatedExchange) -> None:
    async with connection(exchange, Market.COINM, exchange.key("main")) as connected:
        await exchange.journal.wait_until(lambda journal: journal.pongs[Market.COINM] >= 3)
        response = await account_status(connected, Market.COINM)

    assert response.data().status == 200


@pytest.mark.parametrize("market", Market)
async def test_the_sdk_reads_time_and_contracts_over_rest(exchange: SimulatedExchange, market: Market) -> None:
    from binance_common.configuration import ConfigurationRestAPI

    configuration: Any = ConfigurationRestAPI
    rest_api = _client(
        market, config_rest_api=configuration(base_path=exchange.rest_url(market), timeout=_PATIENCE_MS)
    ).rest_api
    told = await asyncio.to_thread(rest_api.check_server_time)
    listed = await asyncio.to_thread(rest_api.exchange_information)

    margin_assets = {symbol.symbol: symbol.margin_asset for symbol in listed.data().symbols}
    assert abs(told.data().server_time - exchange.server_ms()) < 60_000
    assert listed.data().rate_limits[0].limit == 2400
    if market is Market.USDM:
        assert (margin_assets["ETHBTC"], margin_assets["币安人生USDT"]) == ("BTC", "USDT")
    else:
        sizes = {symbol.symbol: symbol.contract_size for symbol in listed.data().symbols}
        assert (sizes["BTCUSD_PERP"], sizes["ETHUSD_PERP"]) == (100, 10)
        assert margin_assets["ETHUSD_PERP"] == "ETH"
