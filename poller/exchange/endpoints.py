"""Where each market's account is asked for: two markets are two rows of a table.

The addresses, method names and weights are those of the exchange's documentation of its WebSocket API for USDⓈ-M
(`ws-fapi`) and COIN-M (`ws-dapi`), as of November 2026. Both markets and their REST interfaces share one budget of
weight for each IP.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from poller.errors import ConfigError
from poller.observation import Environment, Market

HANDSHAKE_WEIGHT = 5
"""What opening a socket costs, whether or not anything is asked on it."""

TIME_WEIGHT = 1
"""What one REST request for the exchange's time costs."""

ACCOUNT_CONFIG_WEIGHT = 5
"""What one REST request for an account's modes costs."""

EXCHANGE_INFO_WEIGHT = 1
"""What one REST request for the contracts of a market costs."""

ACCOUNT_CONFIG_PATH = "/fapi/v1/accountConfig"
"""Where REST tells an account's modes. USDⓈ-M alone: COIN-M has no asset mode, and shares the position mode."""

EXCHANGE_INFO_PATHS: Mapping[Market, str] = {
    Market.USDM: "/fapi/v1/exchangeInfo",
    Market.COINM: "/dapi/v1/exchangeInfo",
}
"""Where REST tells the contracts of a market."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where one market is and what its account is called there.

    Attributes:
        weight: What one request costs of the IP's budget.
        ws_url: The WebSocket address, whole.
        rest_url: The REST address, without a path.
        time_path: Where REST tells the exchange's time.
    """

    market: Market
    method: str
    weight: int
    ws_url: str
    rest_url: str
    time_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Addresses that replace those of the table; None keeps the table's."""

    ws_url: str | None = None
    rest_url: str | None = None


@dataclass(frozen=True, slots=True)
class _Account:
    method: str
    weight: int
    time_path: str


_ACCOUNTS = {
    Market.USDM: _Account("v2/account.status", 5, "/fapi/v1/time"),
    Market.COINM: _Account("account.status", 5, "/dapi/v1/time"),
}

_ADDRESSES = {
    (Environment.LIVE, Market.USDM): Override(
        ws_url="wss://ws-fapi.binance.com/ws-fapi/v1",
        rest_url="https://fapi.binance.com",
    ),
    (Environment.LIVE, Market.COINM): Override(
        ws_url="wss://ws-dapi.binance.com/ws-dapi/v1",
        rest_url="https://dapi.binance.com",
    ),
    (Environment.TESTNET, Market.USDM): Override(
        ws_url="wss://testnet.binancefuture.com/ws-fapi/v1",
        rest_url="https://demo-fapi.binance.com",
    ),
    (Environment.TESTNET, Market.COINM): Override(
        ws_url="wss://testnet.binancefuture.com/ws-dapi/v1",
        rest_url="https://demo-dapi.binance.com",
    ),
}


def account_weight(market: Market) -> int:
    """Return what one poll of an account costs on this market."""
    return _ACCOUNTS[market].weight


def endpoints(
    environment: Environment, overrides: Mapping[Market, Override] | None = None
) -> Mapping[Market, Endpoint]:
    """Return the endpoint of every market.

    Raises:
        ConfigError: An address is neither in the table nor overridden; the simulated exchange has none in the table.
    """
    rows: dict[Market, Endpoint] = {}
    problems: list[str] = []
    for market, account in _ACCOUNTS.items():
        given = (overrides or {}).get(market, Override())
        known = _ADDRESSES.get((environment, market), Override())
        urls = {"ws_url": given.ws_url or known.ws_url or "", "rest_url": given.rest_url or known.rest_url or ""}
        problems.extend(
            f"exchange.markets.{market}.{name}: the {environment} environment has no address of its own"
            for name, url in urls.items()
            if not url
        )
        rows[market] = Endpoint(
            market=market,
            method=account.method,
            weight=account.weight,
            ws_url=urls["ws_url"],
            rest_url=urls["rest_url"].rstrip("/"),
            time_path=account.time_path,
        )
    if problems:
        raise ConfigError(problems)
    return rows
