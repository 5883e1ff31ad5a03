"""python-binance: `AsyncClient` and its method for the account; its WebSocket API has no COIN-M address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from binance import AsyncClient

from benchmarks.faults.peers import Account, Ask, Place


@asynccontextmanager
async def open_client(place: Place) -> AsyncIterator[Ask]:
    """Open one client; the address is a constant of its class."""
    AsyncClient.WS_FUTURES_URL = place.ws_url
    # `AsyncClient.create` would ask the spot exchange for the time first, which is not simulated.
    client = AsyncClient(place.api_key, place.api_secret)

    async def ask() -> Account:
        account = await client.ws_futures_v2_account_status()
        return account["assets"][0]["walletBalance"], None

    yield ask
    await client.close_connection()
