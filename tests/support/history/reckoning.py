"""What the made-up history comes to by the rules of the exchange, reckoned without SQL, and whole views beside it."""

from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from poller.records import AssetBalance, Position, Snapshot
from tests.support.history.dataset import ok_snapshots
from tests.support.history.listing import SYMBOLS, UNLISTED, Symbol

EIGHT: Final = Decimal("1E-8")
"""The last digit that the exchange sends."""


def rows(url: str, view: str) -> list[dict[str, Any]]:
    """Return a whole view."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(SQL("SELECT * FROM poller.{}").format(Identifier(view))).fetchall()


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
