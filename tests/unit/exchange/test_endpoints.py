import pytest

from poller.errors import ConfigError
from poller.exchange.endpoints import Override, endpoints
from poller.observation import Environment, Market

ADDRESSES = {market: Override(ws_url=f"ws://127.0.0.1:1/{market}", rest_url="http://127.0.0.1:1/") for market in Market}


@pytest.mark.parametrize("environment", [Environment.LIVE, Environment.TESTNET])
def test_every_market_has_encrypted_addresses_of_its_own(environment: Environment) -> None:
    rows = endpoints(environment)

    assert set(rows) == set(Market)
    assert all(row.market is market for market, row in rows.items())
    assert all(row.ws_url.startswith("wss://") and row.rest_url.startswith("https://") for row in rows.values())
    assert len({row.ws_url for row in rows.values()}) == len({row.rest_url for row in rows.values()}) == 2
    assert rows[Market.USDM].ws_url.endswith("/ws-fapi/v1")
    assert rows[Market.COINM].ws_url.endswith("/ws-dapi/v1")


def test_live_and_testnet_share_no_address() -> None:
    live, testnet = (
        {url for row in endpoints(environment).values() for url in (row.ws_url, row.rest_url)}
        for environment in (Environment.LIVE, Environment.TESTNET)
    )

    assert not live & testnet


def test_the_markets_differ_in_method_and_path_and_cost_the_same() -> None:
    rows = endpoints(Environment.LIVE)

    assert {market: (row.method, row.weight, row.time_path) for market, row in rows.items()} == {
        Market.USDM: ("v2/account.status", 5, "/fapi/v1/time"),
        Market.COINM: ("account.status", 5, "/dapi/v1/time"),
    }


def test_an_override_replaces_only_what_it_names() -> None:
    rows = endpoints(Environment.LIVE, {Market.COINM: Override(rest_url="http://127.0.0.1:1/")})
    plain = endpoints(Environment.LIVE)

    assert rows[Market.USDM] == plain[Market.USDM]
    assert rows[Market.COINM].ws_url == plain[Market.COINM].ws_url
    assert rows[Market.COINM].rest_url == "http://127.0.0.1:1"


def test_the_simulated_exchange_takes_its_addresses_from_overrides() -> None:
    rows = endpoints(Environment.SIMULATED, ADDRESSES)

    assert rows[Market.USDM].ws_url == "ws://127.0.0.1:1/usdm"
    assert rows[Market.COINM].rest_url == "http://127.0.0.1:1"


def test_every_missing_address_is_reported_with_its_path() -> None:
    with pytest.raises(ConfigError) as caught:
        endpoints(Environment.SIMULATED, {Market.USDM: Override(ws_url="ws://127.0.0.1:1/")})

    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "exchange.markets.usdm.rest_url",
        "exchange.markets.coinm.ws_url",
        "exchange.markets.coinm.rest_url",
    ]
