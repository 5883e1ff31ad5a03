"""What the views say an account held at an instant, against the records that were stored."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from poller.observation import AssetMode, Market
from poller.records import AssetBalance, Position, Snapshot
from poller.storage.store import Store
from tests.support.database import execute
from tests.support.history.dataset import ok_snapshots
from tests.support.history.listing import SYMBOLS, UNLISTED, Symbol, at, price
from tests.support.snapshots import ok, position

EIGHT = Decimal("1E-8")
UNLIKE_ANY = Symbol("", "", "", 0, Decimal(0))


def rows(url: str, view: str) -> list[dict[str, Any]]:
    """Return a whole view."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(
            psycopg.sql.SQL("SELECT * FROM poller.{}").format(psycopg.sql.Identifier(view))
        ).fetchall()


def key(snapshot: Snapshot) -> tuple[datetime, str, str]:
    return snapshot.poll.time, snapshot.poll.account, snapshot.poll.market.value


def positions() -> Iterator[tuple[Snapshot, Position]]:
    return ((snapshot, row) for snapshot in ok_snapshots() for row in snapshot.positions)


def listed(snapshot: Snapshot, row: Position) -> Symbol | None:
    """Return what contracts should say of a symbol."""
    return SYMBOLS[snapshot.poll.market][row.symbol] if row.symbol != UNLISTED else None


def known(value: Decimal | None) -> Decimal:
    assert value is not None
    return value


def is_isolated(row: Position) -> bool:
    return bool(row.isolated_wallet) if row.isolated is None else row.isolated


def balance_of(snapshot: Snapshot, asset: str) -> AssetBalance:
    [found] = [balance for balance in snapshot.assets if balance.asset == asset]
    return found


def cross(snapshot: Snapshot, asset: str) -> Decimal:
    """Return what stands behind the cross positions of an asset."""
    balance = balance_of(snapshot, asset)
    return known(balance.cross_wallet_balance) + known(balance.cross_unrealized_pnl)


def ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    return (part / whole).quantize(EIGHT, ROUND_HALF_UP) if whole > 0 else None


def test_equity_is_that_of_every_asset_and_of_a_multi_assets_account(history_url: str) -> None:
    expected: set[tuple[object, ...]] = set()
    for snapshot in ok_snapshots():
        for row in snapshot.assets:
            wallet, pnl = row.wallet_balance, row.unrealized_pnl
            expected.add((*key(snapshot), "asset", row.asset, wallet, pnl, known(wallet) + known(pnl)))
        totals = snapshot.totals
        if totals and totals.asset_mode is AssetMode.MULTI_ASSETS:
            amounts = totals.wallet_balance, totals.unrealized_pnl, totals.margin_balance
            expected.add((*key(snapshot), "account", "USD", *amounts))

    found = [tuple(row.values()) for row in rows(history_url, "equity")]

    assert len(found) == len(expected)
    assert set(found) == expected


def test_a_position_has_the_units_the_mark_and_the_entry_price_that_it_was_made_with(history_url: str) -> None:
    stored = {(*key(snapshot), row.symbol, row.position_side): (snapshot, row) for snapshot, row in positions()}
    found = rows(history_url, "position_states")

    assert len(found) == len(stored)
    for state in found:
        snapshot, row = stored[*(state[name] for name in ("time", "account", "market", "symbol", "position_side"))]
        symbol = listed(snapshot, row)
        units = (symbol.base, symbol.quote, symbol.margin, symbol.size) if symbol else (None,) * 4
        assert (state["base_asset"], state["quote_asset"], state["margin_asset"], state["contract_size"]) == units
        assert state["exposure"] == row.notional
        assert state["isolated"] is is_isolated(row)
        if row.position_amount:
            check_prices(state, snapshot, row)
        else:
            assert state["mark_price"] is None or row.position_amount is None


def check_prices(state: dict[str, Any], snapshot: Snapshot, row: Position) -> None:
    """Compare what is derived with the truth, to the digits that the exchange's rounding to eight leaves."""
    symbol = SYMBOLS[snapshot.poll.market][row.symbol]
    mark = price(symbol.base, snapshot.poll.time)
    amount = known(row.position_amount)
    if symbol.size is None:
        assert state["quantity"] == amount
        assert abs(state["mark_price"] - mark) * abs(amount) <= EIGHT
        gained = amount * (mark - state["entry_price"])
    else:
        assert abs(state["quantity"] - amount * symbol.size / mark) <= EIGHT
        assert abs(state["mark_price"] / mark - 1) <= EIGHT / abs(known(row.notional))
        gained = amount * symbol.size * (1 / state["entry_price"] - 1 / mark)
    assert abs(gained - known(row.unrealized_pnl)) <= 2 * EIGHT


def test_the_entry_price_of_two_trades_is_their_average(history_url: str) -> None:
    bought = [("0.5", price("BTC", at(27, "01:03"))), ("0.25", price("BTC", at(27, "09:04")))]
    average = sum(Decimal(amount) * paid for amount, paid in bought) / Decimal("0.75")

    [[entry]] = execute(
        history_url,
        "SELECT entry_price FROM poller.position_states "
        "WHERE account = 'main' AND symbol = 'BTCUSDT' AND time = '2026-02-27 09:10+00'",
    )

    assert isinstance(entry, Decimal)
    assert abs(entry - average) < Decimal("1E-7")


def test_effective_leverage_is_by_what_stands_behind_the_position(history_url: str) -> None:
    expected = {}
    for snapshot, row in positions():
        symbol = listed(snapshot, row)
        mode = snapshot.totals.asset_mode if snapshot.totals else None
        behind = None
        if is_isolated(row):
            behind = known(row.isolated_wallet) + known(row.unrealized_pnl)
        elif symbol and (snapshot.poll.market is Market.COINM or mode is AssetMode.SINGLE_ASSET):
            behind = cross(snapshot, symbol.margin)
        found = None if behind is None else ratio(abs(known(row.notional)), behind)
        expected[*key(snapshot), row.symbol, row.position_side] = found

    assert expected == {
        tuple(row[name] for name in ("time", "account", "market", "symbol", "position_side")): row["effective_leverage"]
        for row in rows(history_url, "position_states")
    }
    assert {market: any(value for (_, _, of, *_), value in expected.items() if of == market) for market in Market} == {
        Market.USDM: True,
        Market.COINM: True,
    }


def test_exposure_is_added_up_within_one_base_asset_and_one_unit(history_url: str) -> None:
    groups = defaultdict(list)
    for snapshot, row in positions():
        symbol = listed(snapshot, row)
        unit = (symbol.base, symbol.margin, None) if symbol else (None, None, row.symbol)
        groups[*key(snapshot), *unit].append((snapshot, row))
    expected = {}
    for group, members in groups.items():
        notionals = [known(row.notional) for _, row in members]
        amounts = [
            row.position_amount if snapshot.poll.market is Market.USDM else row.notional for snapshot, row in members
        ]
        expected[group] = {
            "gross_exposure": sum(map(abs, notionals)),
            "net_exposure": sum(notionals),
            "long_exposure": sum(value for value in notionals if value > 0) or None,
            "short_exposure": sum(value for value in notionals if value < 0) or None,
            "net_quantity": sum(map(known, amounts)) if None not in amounts else None,
            "positions": sum(1 for _, row in members if row.position_amount),
        }

    found = {
        tuple(row[name] for name in ("time", "account", "market", "base_asset", "margin_asset", "symbol")): {
            name: row[name] for name in next(iter(expected.values()))
        }
        for row in rows(history_url, "exposure")
    }

    assert found == expected


async def test_symbols_without_a_known_unit_are_not_added_up(store: Store, database_url: str) -> None:
    one, other = (
        position(symbol, position_amount=Decimal(1), notional=Decimal(notional))
        for symbol, notional in (("AUSDT", 10), ("BUSDC", -4))
    )
    await store.save(ok(positions=(one, other)))

    found = execute(database_url, "SELECT symbol, net_exposure FROM poller.exposure ORDER BY symbol")

    assert found == [("AUSDT", Decimal(10)), ("BUSDC", Decimal(-4))]


def pools(snapshot: Snapshot) -> Iterator[tuple[object, ...]]:
    """Yield what each pool needs and has, as the rules of the exchange say."""
    isolated = [row for row in snapshot.positions if is_isolated(row)]
    for row in isolated:
        symbol = listed(snapshot, row)
        has = known(row.isolated_wallet) + known(row.unrealized_pnl)
        unit = symbol.margin if symbol else None
        yield "isolated", unit, row.symbol, row.position_side, row.maintenance_margin, has
    assert snapshot.totals
    if snapshot.totals.asset_mode is AssetMode.MULTI_ASSETS:
        has = known(snapshot.totals.cross_wallet_balance) + known(snapshot.totals.cross_unrealized_pnl)
        yield "cross", "USD", None, None, snapshot.totals.maintenance_margin, has
        return
    unknown = snapshot.poll.market is Market.USDM and snapshot.totals.asset_mode is None
    unknown |= any(listed(snapshot, row) is None for row in isolated)
    for balance in snapshot.assets:
        apart = [row for row in isolated if (listed(snapshot, row) or UNLIKE_ANY).margin == balance.asset]
        needs = known(balance.maintenance_margin) - sum(known(row.maintenance_margin) for row in apart)
        yield "cross", balance.asset, None, None, None if unknown else needs, cross(snapshot, balance.asset)


def test_every_margin_pool_is_on_its_own(history_url: str) -> None:
    expected = {}
    for snapshot in ok_snapshots():
        for pool, asset, symbol, side, needs, has in pools(snapshot):
            assert isinstance(has, Decimal)
            share = None if needs is None else ratio(Decimal(str(needs)), has)
            expected[*key(snapshot), pool, asset, symbol, side] = (needs, has, share)
    names = ("time", "account", "market", "pool", "asset", "symbol", "position_side")
    found = {
        tuple(row[name] for name in names): (row["maintenance_margin"], row["margin_balance"], row["margin_ratio"])
        for row in rows(history_url, "margin_pools")
    }

    assert found == expected
    assert {what for _, _, _, what, *_ in expected} == {"cross", "isolated"}


@pytest.mark.parametrize(
    ("account", "time", "known_ratio"),
    [
        ("new", at(2, "09:40"), False),
        ("new", at(2, "10:00"), True),
        ("main", at(2, "06:00"), True),
        ("main", at(2, "06:10"), False),
    ],
)
def test_what_a_pool_needs_is_unknown_while_the_mode_or_the_unit_of_an_isolated_position_is(
    history_url: str,
    account: str,
    time: datetime,
    known_ratio: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    found = execute(
        history_url,
        "SELECT DISTINCT margin_ratio IS NOT NULL FROM poller.margin_pools "
        "WHERE pool = 'cross' AND asset = 'USDT' AND market = 'usdm' AND account = %s AND time = %s",
        account,
        time,
    )

    assert found == [(known_ratio,)]
