"""What the views say of margin: what each pool needs and has, and what leverage that makes."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import pytest

from poller.observation import AssetMode, Market
from poller.records import Snapshot
from tests.support.database import execute
from tests.support.history.dataset import ok_snapshots
from tests.support.history.listing import Symbol, at
from tests.support.history.reckoning import cross, is_isolated, key, known, listed, positions, ratio, rows

UNLIKE_ANY = Symbol("", "", "", 0, Decimal(0))


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
