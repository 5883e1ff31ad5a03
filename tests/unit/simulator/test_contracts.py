"""Delivery contracts follow the calendar."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.observation import Market
from poller.simulator.contracts import Kind, contracts
from poller.simulator.public import exchange_info


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


DELIVERY = datetime(2026, 12, 25, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "expired", "current", "following"),
    [
        (DELIVERY - timedelta(milliseconds=1), "260925", "261225", "270326"),
        (DELIVERY, "261225", "270326", "270625"),
        (datetime(2024, 1, 1, tzinfo=UTC), "231229", "240329", "240628"),
    ],
)
def test_a_contract_expires_on_the_last_friday_of_the_quarter(
    at: datetime, expired: str, current: str, following: str
) -> None:
    bitcoin = {contract.kind: contract for contract in contracts(Market.COINM, ms(at)) if contract.base == "BTC"}

    assert bitcoin[Kind.EXPIRED].symbol == f"BTCUSD_{expired}"
    assert bitcoin[Kind.CURRENT_QUARTER].symbol == f"BTCUSD_{current}"
    assert bitcoin[Kind.NEXT_QUARTER].symbol == f"BTCUSD_{following}"


@given(at=st.datetimes(min_value=datetime(2019, 9, 1), max_value=datetime(2090, 1, 1)), market=st.sampled_from(Market))  # noqa: DTZ001 - hypothesis adds the zone below
def test_no_listed_contract_is_expired_and_no_symbol_is_listed_twice(at: datetime, market: Market) -> None:
    at_ms = ms(at.replace(tzinfo=UTC))
    all_contracts = contracts(market, at_ms)

    assert all((contract.delivers_at_ms <= at_ms) == (contract.kind is Kind.EXPIRED) for contract in all_contracts)
    assert len({contract.symbol for contract in all_contracts}) == len(all_contracts)


def test_exchange_info_knows_the_units_of_every_contract() -> None:
    coinm = exchange_info(Market.COINM, ms(DELIVERY), 2400)
    usdm = exchange_info(Market.USDM, ms(DELIVERY), 2400)

    assert isinstance(coinm["symbols"], list)
    assert isinstance(usdm["symbols"], list)
    sizes = {symbol["symbol"]: symbol["contractSize"] for symbol in coinm["symbols"]}
    margins = {symbol["symbol"]: symbol["marginAsset"] for symbol in usdm["symbols"]}
    assert (sizes["BTCUSD_PERP"], sizes["ETHUSD_PERP"]) == (100, 10)
    assert (margins["BTCUSDC"], margins["ETHBTC"], margins["币安人生USDT"]) == ("USDC", "BTC", "USDT")
    assert "EOSUSD_210924" not in sizes
