"""unicorn-binance-websocket-api: one API stream, and a call that waits for its response; it has no COIN-M address."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from unicorn_binance_websocket_api import BinanceWebSocketApiManager

from benchmarks.faults.peers import Account, Ask, Place


@asynccontextmanager
async def open_client(place: Place) -> AsyncIterator[Ask]:
    """Open one manager with one stream; the address is a parameter."""
    manager = BinanceWebSocketApiManager(
        exchange="binance.com-futures", websocket_api_base_uri=place.ws_url, warn_on_update=False, disable_colorama=True
    )
    stream_id = manager.create_stream(api=True, api_key=place.api_key, api_secret=place.api_secret)

    def call() -> Account:
        told = manager.api.futures.get_account_status(stream_id=stream_id, return_response=True, version="v2")
        # The library hands out the text as it came; how numbers are read is its caller's choice.
        reply = json.loads(told, parse_float=str) if isinstance(told, str | bytes) else told
        if not isinstance(reply, dict) or "result" not in reply:
            return None, str(reply.get("error", reply) if isinstance(reply, dict) else reply)
        return reply["result"]["assets"][0]["walletBalance"], None

    async def ask() -> Account:
        return await asyncio.to_thread(call)

    yield ask
    manager.stop_manager()
