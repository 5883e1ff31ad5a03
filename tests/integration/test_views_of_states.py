"""What the views say an account held at an instant, against the records that were stored."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

from poller.observation import AssetMode, Market
from poller.records import Position, Snapshot
from poller.storage.store import Store
from tests.support.database import execute
from tests.support.history.dataset import ok_snapshots
from tests.support.history.listing import SYMBOLS, at, price
from tests.support.history.reckoning import EIGHT, is_isolated, key, known, listed, positions, rows
from tests.support.snapshots import ok, position


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
