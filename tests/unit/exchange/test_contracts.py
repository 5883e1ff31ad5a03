"""What is read of exchangeInfo, and what of it is left out."""

import json
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.errors import RestUnavailableError
from poller.exchange.contracts import listing
from poller.observation import Market
from poller.records import Contract
from poller.simulator.public import exchange_info

NOW_MS = 1_795_245_600_000
PERPETUAL = {
    "symbol": "BTCUSD_PERP",
    "baseAsset": "BTC",
    "quoteAsset": "USD",
    "marginAsset": "BTC",
    "contractSize": 100,
    "contractType": "PERPETUAL",
}


def body(*symbols: object) -> bytes:
    return json.dumps({"timezone": "UTC", "symbols": symbols}, ensure_ascii=False).encode()


def contract(**fields: object) -> Contract:
    (read,) = listing(Market.COINM, body(PERPETUAL | fields)).contracts
    return read


def refused(**fields: object) -> str:
    read = listing(Market.COINM, body(PERPETUAL | fields, PERPETUAL | {"symbol": "OTHER"}))
    assert [other.symbol for other in read.contracts] == ["OTHER"]
    (reason,) = read.unreadable
    return reason


@pytest.mark.parametrize("market", Market)
def test_every_contract_of_the_documented_list_is_read(market: Market) -> None:
    info = exchange_info(market, NOW_MS, 2400)
    assert isinstance(info["symbols"], list)

    read = listing(market, json.dumps(info).encode())

    assert read.unreadable == ()
    assert [contract.symbol for contract in read.contracts] == [symbol["symbol"] for symbol in info["symbols"]]


def test_the_margin_asset_is_as_told_and_not_guessed_from_the_name() -> None:
    read = listing(Market.USDM, json.dumps(exchange_info(Market.USDM, NOW_MS, 2400)).encode()).contracts

    assert {
        contract.symbol: contract.margin_asset for contract in read if contract.symbol in {"ETHBTC", "BTCUSDC"}
    } == {
        "ETHBTC": "BTC",
        "BTCUSDC": "USDC",
    }
    assert "币安人生USDT" in {contract.symbol for contract in read}
    assert {contract.contract_type for contract in read} == {"PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER"}


def test_a_coinm_contract_has_a_size_and_a_usdm_one_has_none() -> None:
    assert contract().contract_size == 100
    assert contract(contractSize="0.1").contract_size == Decimal("0.1")
    (usdm,) = listing(Market.USDM, body(PERPETUAL | {"contractSize": 1})).contracts
    assert usdm.contract_size is None


@pytest.mark.parametrize("kind", [None, ""])
def test_a_type_that_is_not_told_is_unknown(kind: object) -> None:
    assert contract(contractType=kind).contract_type is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"marginAsset": None}, "Expected `str`, got `null` - at `$.marginAsset`"),
        ({"baseAsset": ""}, "length >= 1 - at `$.baseAsset`"),
        ({"symbol": "x" * 101}, "length <= 100 - at `$.symbol`"),
        ({"symbol": "BTC\x00USD"}, "cannot be printed"),
        ({"contractType": "PERP\n"}, "cannot be printed"),
        ({"contractSize": None}, "contractSize is missing"),
        ({"contractSize": 0}, "no size of a contract"),
        ({"contractSize": -100}, "no size of a contract"),
        ({"contractSize": "NaN"}, "no size of a contract"),
        ({"contractSize": "1e999999"}, "no size of a contract"),
        ({"contractSize": "1." + "0" * 20_000}, "no size of a contract"),
        ({"contractSize": "many"}, "Invalid decimal string"),
        ({"contractSize": [100]}, "Expected `decimal | null`, got `array`"),
    ],
)
def test_a_contract_that_cannot_be_read_is_named_and_costs_no_other(fields: dict[str, object], reason: str) -> None:
    assert reason in refused(**fields)
    assert refused(**fields).startswith("symbols[0]: ")


def test_a_symbol_that_appears_twice_is_taken_once() -> None:
    read = listing(Market.COINM, body(PERPETUAL, PERPETUAL | {"contractSize": 10}))

    assert [contract.contract_size for contract in read.contracts] == [100]
    assert read.unreadable == ("symbols[1]: BTCUSD_PERP appears twice",)


@pytest.mark.parametrize("entry", [None, 1, "BTCUSDT", [], {}])
def test_an_entry_that_is_no_contract_costs_no_other(entry: object) -> None:
    read = listing(Market.COINM, body(entry, PERPETUAL))

    assert [contract.symbol for contract in read.contracts] == ["BTCUSD_PERP"]
    assert len(read.unreadable) == 1


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", b"[]", b"{}", b'{"symbols":{}}', b'{"239999":"maintenance"}', b"[" * 100_000, b"\xff"]
)
def test_an_answer_without_a_list_is_none(answer: bytes) -> None:
    with pytest.raises(RestUnavailableError, match="cannot be decoded"):
        listing(Market.USDM, answer)


@given(st.sampled_from(Market), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(market: Market, answer: bytes) -> None:
    with suppress(RestUnavailableError):
        listing(market, answer)
    with suppress(RestUnavailableError):
        listing(market, b'{"symbols":[' + answer + b"]}")
