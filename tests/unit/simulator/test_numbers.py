"""The numbers of simulated accounts are coherent, whatever the seed, the time and the mode."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from poller.observation import Market
from poller.simulator.accounts import Account
from poller.simulator.contracts import contracts
from poller.simulator.prices import dollars, mark_price
from poller.simulator.replies import account_result

Row = Mapping[str, object]

HOUR_MS = 3_600_000
some = settings(max_examples=50, deadline=None)
seeds = st.integers(min_value=0, max_value=2**32)
times = st.integers(min_value=1_570_000_000_000, max_value=4_000_000_000_000)
accounts = st.builds(Account, label=st.sampled_from(["main", "测试"]), multi_assets=st.booleans(), hedge=st.booleans())
markets = st.sampled_from(Market)


def rows(result: Row, name: str) -> list[Row]:
    return cast("list[Row]", result[name])


def amount(row: Row, field: str) -> Decimal:
    given = row[field]
    assert isinstance(given, str)
    return Decimal(given)


def total(positions: list[Row], field: str) -> Decimal:
    return sum((amount(position, field) for position in positions), Decimal(0))


def leaves(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


PRINT_DIGEST = """
import hashlib, json
from poller.observation import Market
from poller.simulator.accounts import Account
from poller.simulator.replies import account_result
results = [account_result(7, Account(label="main"), market, 1795244000000) for market in Market]
print(hashlib.sha256(json.dumps(results).encode()).hexdigest())
"""


def test_equal_seeds_and_times_give_equal_numbers_in_every_process() -> None:
    def digest(hash_seed: str) -> bytes:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run([sys.executable, "-c", PRINT_DIGEST], env=environment, check=True, stdout=-1).stdout

    first = digest("1")
    assert len(first.strip()) == 64
    assert first == digest("2")


@some
@given(seed=seeds, account=accounts, market=markets, at_ms=times, other_ms=times)
def test_numbers_do_not_depend_on_what_was_asked_before(
    seed: int, account: Account, market: Market, at_ms: int, other_ms: int
) -> None:
    first = account_result(seed, account, market, at_ms)
    account_result(seed, account, market, other_ms)
    assert account_result(seed, account, market, at_ms) == first


def test_seeds_accounts_and_times_give_numbers_of_their_own() -> None:
    results = [
        account_result(seed, Account(label=label), Market.USDM, at_ms)
        for seed in (1, 2)
        for label in ("main", "other")
        for at_ms in (1_795_244_000_000, 1_795_244_010_000)
    ]
    assert len({str(result["totalMarginBalance"]) for result in results}) == len(results)


@some
@given(seed=seeds, account=accounts, market=markets, at_ms=times)
def test_no_amount_is_a_float_and_none_has_an_exponent_or_a_negative_zero(
    seed: int, account: Account, market: Market, at_ms: int
) -> None:
    for leaf in leaves(account_result(seed, account, market, at_ms)):
        assert isinstance(leaf, str | int)
        if isinstance(leaf, str) and leaf[-1:].isdigit() and leaf.lstrip("-").replace(".", "").isdigit():
            assert not (leaf.startswith("-") and Decimal(leaf) == 0)
            assert "E" not in leaf.upper()


@some
@given(seed=seeds, account=accounts, market=markets, at_ms=times)
def test_asset_rows_add_up(seed: int, account: Account, market: Market, at_ms: int) -> None:
    for row in rows(account_result(seed, account, market, at_ms), "assets"):
        assert amount(row, "marginBalance") == amount(row, "walletBalance") + amount(row, "unrealizedProfit")
        assert amount(row, "initialMargin") == (
            amount(row, "positionInitialMargin") + amount(row, "openOrderInitialMargin")
        )
        assert 0 <= amount(row, "maxWithdrawAmount") <= amount(row, "availableBalance")
        assert (row["updateTime"] == 0) == (amount(row, "walletBalance") == 0)
        assert cast("int", row["updateTime"]) <= at_ms


@some
@given(seed=seeds, account=accounts, at_ms=times)
def test_usdm_totals_add_up(seed: int, account: Account, at_ms: int) -> None:
    result = account_result(seed, account, Market.USDM, at_ms)
    assert amount(result, "totalMarginBalance") == (
        amount(result, "totalWalletBalance") + amount(result, "totalUnrealizedProfit")
    )
    assert amount(result, "totalInitialMargin") == (
        amount(result, "totalPositionInitialMargin") + amount(result, "totalOpenOrderInitialMargin")
    )
    in_usdt = [position for position in rows(result, "positions") if cast("str", position["symbol"])[-4:] == "USDT"]
    dated = [position for position in rows(result, "positions") if "USDT_" in cast("str", position["symbol"])]
    assert amount(result, "totalWalletBalance") == (
        amount(result, "totalCrossWalletBalance") + total([*in_usdt, *dated], "isolatedWallet")
    )


@some
@given(seed=seeds, hedge=st.booleans(), at_ms=times)
def test_single_asset_totals_are_the_usdt_row(seed: int, hedge: bool, at_ms: int) -> None:  # noqa: FBT001 - hypothesis
    result = account_result(seed, Account(label="main", hedge=hedge), Market.USDM, at_ms)
    (usdt,) = (row for row in rows(result, "assets") if row["asset"] == "USDT")
    for field, value in result.items():
        if field.startswith("total"):
            name = field.removeprefix("total")
            assert value == usdt[name[0].lower() + name[1:]]
    assert result["availableBalance"] == usdt["availableBalance"]
    assert result["maxWithdrawAmount"] == usdt["maxWithdrawAmount"]
    assert all("marginAvailable" not in row for row in rows(result, "assets"))


@some
@given(seed=seeds, at_ms=times)
def test_multi_assets_totals_are_dollars_at_slightly_unequal_rates(seed: int, at_ms: int) -> None:
    result = account_result(seed, Account(label="main", multi_assets=True), Market.USDM, at_ms)
    assets = rows(result, "assets")

    def converted(field: str, share: str) -> Decimal:
        values = (amount(row, field) * dollars(seed, cast("str", row["asset"]), at_ms) for row in assets)
        return sum(values, Decimal(0)) * Decimal(share)

    rounding = Decimal("1E-8") * len(assets)
    assert abs(amount(result, "totalWalletBalance") - converted("walletBalance", "0.9999")) <= rounding
    assert abs(amount(result, "totalMaintMargin") - converted("maintMargin", "1.0001")) <= rounding
    (untouched,) = (row for row in assets if row["asset"] == "ETH")
    assert amount(untouched, "walletBalance") == 0
    assert amount(untouched, "availableBalance") > 0
    (credit,) = (row for row in assets if row["asset"] == "BNFCR")
    assert amount(credit, "walletBalance") < 0
    assert not any(amount(position, "isolatedWallet") for position in rows(result, "positions"))


@some
@given(seed=seeds, account=accounts, at_ms=times)
def test_usdm_positions_are_worth_their_amount_and_absent_when_flat(seed: int, account: Account, at_ms: int) -> None:
    traded = {contract.symbol: contract for contract in contracts(Market.USDM, at_ms)}
    for row in rows(account_result(seed, account, Market.USDM, at_ms), "positions"):
        mark = mark_price(seed, traded[cast("str", row["symbol"])], at_ms)
        assert amount(row, "notional") == (amount(row, "positionAmt") * mark).quantize(Decimal("1E-8"))
        assert amount(row, "positionAmt") or amount(row, "initialMargin") > 0
        isolated = amount(row, "isolatedWallet")
        assert amount(row, "isolatedMargin") == (isolated + amount(row, "unrealizedProfit") if isolated else 0)


@some
@given(seed=seeds, account=accounts, at_ms=times)
def test_coinm_notional_is_contracts_times_size_by_mark(seed: int, account: Account, at_ms: int) -> None:
    traded = {contract.symbol: contract for contract in contracts(Market.COINM, at_ms)}
    result = account_result(seed, account, Market.COINM, at_ms)
    for row in rows(result, "positions"):
        contract = traded[cast("str", row["symbol"])]
        worth = amount(row, "positionAmt") * contract.size / mark_price(seed, contract, at_ms)
        assert amount(row, "notionalValue") == worth.quantize(Decimal("1E-8"))
        assert amount(row, "positionAmt") == int(amount(row, "positionAmt"))
        assert amount(row, "initialMargin") == (
            amount(row, "positionInitialMargin") + amount(row, "openOrderInitialMargin")
        )
        assert (amount(row, "entryPrice") > 0) == (amount(row, "positionAmt") != 0)
    for row in rows(result, "assets"):
        own = [
            position
            for position in rows(result, "positions")
            if traded[cast("str", position["symbol"])].margin_asset == row["asset"]
        ]
        assert amount(row, "unrealizedProfit") == total(own, "unrealizedProfit")
        assert amount(row, "maintMargin") == total(own, "maintMargin")
        assert amount(row, "walletBalance") == amount(row, "crossWalletBalance") + total(own, "isolatedWallet")


@some
@given(seed=seeds, account=accounts, market=markets, at_ms=times)
def test_hedge_mode_knows_two_sides_and_one_way_mode_one(
    seed: int, account: Account, market: Market, at_ms: int
) -> None:
    for row in rows(account_result(seed, account, market, at_ms), "positions"):
        if account.hedge:
            assert row["positionSide"] in {"LONG", "SHORT"}
            assert amount(row, "positionAmt") * (1 if row["positionSide"] == "LONG" else -1) >= 0
        else:
            assert row["positionSide"] == "BOTH"


@some
@given(seed=seeds, account=accounts, at_ms=times)
def test_coinm_shows_every_symbol_on_every_side(seed: int, account: Account, at_ms: int) -> None:
    shown = [
        (row["symbol"], row["positionSide"])
        for row in rows(account_result(seed, account, Market.COINM, at_ms), "positions")
    ]
    symbols = [contract.symbol for contract in contracts(Market.COINM, at_ms)]
    assert shown == [(symbol, side) for symbol in symbols for side in account.position_sides]


@settings(max_examples=10, deadline=None)
@given(seed=seeds, market=markets, hour=st.integers(min_value=440_000, max_value=1_100_000))
def test_a_wallet_changes_only_by_what_closed_positions_realised(seed: int, market: Market, hour: int) -> None:
    account = Account(label="main")
    before: dict[str, Row] = {}
    for at_ms in range(hour * HOUR_MS, hour * HOUR_MS + 300_000, 10_000):
        for row in rows(account_result(seed, account, market, at_ms), "assets"):
            last = before.get(cast("str", row["asset"]))
            if last is not None:
                assert (last["walletBalance"] != row["walletBalance"]) == (last["updateTime"] != row["updateTime"])
            before[cast("str", row["asset"])] = row


@settings(max_examples=10, deadline=None)
@given(seed=seeds, hour=st.integers(min_value=440_000, max_value=1_100_000))
def test_two_minutes_show_positions_that_open_close_and_wait_as_orders(seed: int, hour: int) -> None:
    account = Account(label="main")
    seen = [
        {
            cast("str", row["symbol"]): amount(row, "positionAmt")
            for row in rows(
                account_result(seed, account, Market.USDM, hour * HOUR_MS + 1_800_000 + second * 1000), "positions"
            )
        }
        for second in range(0, 240, 10)
    ]
    pairs = list(itertools.pairwise(seen))
    assert any(after.keys() - before.keys() for before, after in pairs)
    assert any(before.keys() - after.keys() for before, after in pairs)
    assert any(value == 0 for held in seen for value in held.values())


def test_the_quirks_of_the_exchange_are_in_the_default_demo() -> None:
    account = Account(label="main")
    start = 1_795_240_800_000
    usdm = [account_result(0, account, Market.USDM, start + at * 5000) for at in range(720)]
    coinm = [account_result(0, account, Market.COINM, start + at * 5000) for at in range(720)]
    held = [row for result in usdm for row in rows(result, "positions")]
    contracts_held = [row for result in coinm for row in rows(result, "positions") if amount(row, "positionAmt")]
    assert any(not cast("str", row["symbol"]).isascii() for row in held)
    assert any(amount(row, "isolatedWallet") for row in held)
    assert any("_" in cast("str", row["symbol"]) for row in held)
    assert any("_PERP" not in cast("str", row["symbol"]) for row in contracts_held)
    assert any(row["isolated"] for row in contracts_held)
    assert any(len(Decimal(cast("str", row["entryPrice"])).as_tuple().digits) == 17 for row in contracts_held)
    zero_rows = [row for row in rows(coinm[0], "positions") if row["leverage"] == "0"]
    assert any(row["maxQty"] == "9223372036854775807" for row in zero_rows)
