"""ccxt.pro: `fetchBalanceWs` of `binanceusdm` and `binancecoinm`, with the clock adjusted as its manual advises."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import ccxt.pro

from benchmarks.faults.peers import Account, Ask, Place

_EXCHANGE = {"usdm": (ccxt.pro.binanceusdm, "fapi", "future"), "coinm": (ccxt.pro.binancecoinm, "dapi", "delivery")}
_METHODS = {"usdm": "v2/account.status", "coinm": "account.status"}


@asynccontextmanager
async def open_client(place: Place) -> AsyncIterator[Ask]:
    """Open one exchange object; its addresses are a dictionary that may be changed."""
    build, api, kind = _EXCHANGE[place.market]
    options = {"adjustForTimeDifference": True, "fetchCurrencies": False}
    exchange = build({"apiKey": place.api_key, "secret": place.api_secret, "options": options})
    for name in exchange.urls["api"]:
        if name.startswith(api):
            exchange.urls["api"][name] = f"{place.rest_url}/{api}/v1"
    exchange.urls["api"]["ws"]["ws-api"][kind] = place.ws_url

    async def ask() -> Account:
        balance = await exchange.fetch_balance_ws({"method": _METHODS[place.market]})
        info = balance["info"]
        return (info["assets"] if isinstance(info, dict) else info)[0]["walletBalance"], None

    yield ask
    await exchange.close()
