"""The exchange's own SDKs, one for each market: one connection, and its method for the account."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from binance_common.configuration import ConfigurationWebSocketAPI
from binance_sdk_derivatives_trading_coin_futures import DerivativesTradingCoinFutures
from binance_sdk_derivatives_trading_usds_futures import DerivativesTradingUsdsFutures

from benchmarks.faults.peers import Account, Ask, Place

_CLIENTS: Mapping[str, tuple[Any, str]] = {
    "usdm": (DerivativesTradingUsdsFutures, "account_information_v2"),
    "coinm": (DerivativesTradingCoinFutures, "account_information"),
}


@asynccontextmanager
async def open_client(place: Place) -> AsyncIterator[Ask]:
    """Open one connection; the address is a parameter."""
    build, method = _CLIENTS[place.market]
    settings = ConfigurationWebSocketAPI(api_key=place.api_key, api_secret=place.api_secret, stream_url=place.ws_url)
    connection = await build(config_ws_api=settings).websocket_api.create_connection()

    async def ask() -> Account:
        told = (await getattr(connection, method)()).data()
        # A failed request is no exception but another return value.
        if isinstance(told, str | dict):
            return None, str(told)
        return told.result.assets[0].wallet_balance, None

    yield ask
    await connection.close_connection(close_session=True)
