"""Another reading of replies, which shares nothing with the product's: what the rows of an `ok` poll must be."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from poller.observation import Market

Key = tuple[datetime, str, Market]
"""Time, account and market of a poll."""

Columns = dict[str, object]

_ASSET = {
    "walletBalance": "wallet_balance", "unrealizedProfit": "unrealized_pnl", "marginBalance": "margin_balance",
    "maintMargin": "maintenance_margin", "initialMargin": "initial_margin",
    "positionInitialMargin": "position_initial_margin", "openOrderInitialMargin": "open_order_initial_margin",
    "crossWalletBalance": "cross_wallet_balance", "crossUnPnl": "cross_unrealized_pnl",
    "availableBalance": "available_balance", "maxWithdrawAmount": "max_withdraw_amount",
}  # fmt: skip
_USDM_POSITION = {
    "positionAmt": "position_amount", "unrealizedProfit": "unrealized_pnl", "isolatedMargin": "isolated_margin",
    "notional": "notional", "isolatedWallet": "isolated_wallet", "initialMargin": "initial_margin",
    "maintMargin": "maintenance_margin",
}  # fmt: skip
_COINM_POSITION = {
    "initialMargin": "initial_margin", "maintMargin": "maintenance_margin", "unrealizedProfit": "unrealized_pnl",
    "positionInitialMargin": "position_initial_margin", "openOrderInitialMargin": "open_order_initial_margin",
    "leverage": "leverage", "entryPrice": "entry_price", "maxQty": "max_quantity", "notionalValue": "notional",
    "isolatedWallet": "isolated_wallet", "positionAmt": "position_amount", "breakEvenPrice": "break_even_price",
}  # fmt: skip
_TOTALS = {
    "totalInitialMargin": "initial_margin", "totalMaintMargin": "maintenance_margin",
    "totalWalletBalance": "wallet_balance", "totalUnrealizedProfit": "unrealized_pnl",
    "totalMarginBalance": "margin_balance", "totalPositionInitialMargin": "position_initial_margin",
    "totalOpenOrderInitialMargin": "open_order_initial_margin", "totalCrossWalletBalance": "cross_wallet_balance",
    "totalCrossUnPnl": "cross_unrealized_pnl", "availableBalance": "available_balance",
    "maxWithdrawAmount": "max_withdraw_amount",
}  # fmt: skip
_FLAGS = {"canTrade": "can_trade", "canDeposit": "can_deposit", "canWithdraw": "can_withdraw"}
_NOT_HELD = {
    "available_balance", "max_withdraw_amount", "leverage", "entry_price", "max_quantity", "break_even_price"
}  # fmt: skip
_ALL = {
    "account_totals": [*_TOTALS.values(), *_FLAGS.values(), "fee_tier", "exchange_updated_at"],
    "asset_balances": ["asset", *_ASSET.values(), "margin_available", "exchange_updated_at"],
    "positions": [
        "symbol", "position_side", *dict.fromkeys([*_USDM_POSITION.values(), *_COINM_POSITION.values()]), "isolated",
        "exchange_updated_at",
    ],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """The rows of one poll: one of totals, one for each asset and position that is not zero, in any order."""

    totals: Columns
    assets: dict[object, Columns]
    positions: dict[object, Columns]


def read(market: Market, body: bytes) -> Reading:
    """Read a reply; raises ValueError, KeyError, TypeError or AttributeError when it is none."""
    envelope = loads(body.decode())
    result = envelope["result"]
    usdm = market is Market.USDM
    assets = [_row(row, _ASSET, {"asset": "asset"} | ({"marginAvailable": "margin_available"} if usdm else {}))
              for row in result["assets"]]  # fmt: skip
    names = {"symbol": "symbol", "positionSide": "position_side"}
    positions = [
        _row(row, _USDM_POSITION if usdm else _COINM_POSITION, names if usdm else names | {"isolated": "isolated"})
        for row in result["positions"]
    ]
    totals = _row(
        {key: value for key, value in result.items() if key not in {"assets", "positions"}},
        _TOTALS if usdm else {},
        {} if usdm else _FLAGS | {"feeTier": "fee_tier"},
        timed=not usdm,
    )
    around = {name: value for name, value in envelope.items() if name not in {"id", "status", "result", "rateLimits"}}
    if around:
        totals["extra"] = {**(_dict(totals["extra"])), "$envelope": around}
    return Reading(
        _padded("account_totals", totals),
        {row["asset"]: _padded("asset_balances", row) for row in assets if _is_held(row)},
        {(row["symbol"], row["position_side"]): _padded("positions", row) for row in positions if _is_held(row)},
    )


def loads(text: str) -> Any:
    """Read JSON with every digit of its numbers."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)


def stored(connection: psycopg.Connection, since: datetime, until: datetime) -> dict[Key, Reading]:
    """Return the rows of all polls in [since, until) as they are in the database."""
    found = {key: Reading(rows[0], {}, {}) for key, rows in _select(connection, "account_totals", since, until).items()}
    for key, rows in _select(connection, "asset_balances", since, until).items():
        found.setdefault(key, Reading({}, {}, {})).assets.update({row["asset"]: row for row in rows})
    for key, rows in _select(connection, "positions", since, until).items():
        found.setdefault(key, Reading({}, {}, {})).positions.update(
            {(row["symbol"], row["position_side"]): row for row in rows}
        )
    return found


def _select(connection: psycopg.Connection, table: str, since: datetime, until: datetime) -> dict[Key, list[Columns]]:
    names = _ALL[table]
    query = SQL("SELECT time, account, market, {}, extra::text FROM poller.{} WHERE time >= %s AND time < %s").format(
        SQL(", ").join(map(Identifier, names)), Identifier(table)
    )
    found: dict[Key, list[Columns]] = {}
    for time, account, market, *values, extra in connection.execute(query, (since, until)):
        row = dict(zip(names, values, strict=True)) | {"extra": loads(extra) if extra else None}
        found.setdefault((time, account, Market(market)), []).append(row)
    return found


def _row(row: dict[str, Any], amounts: dict[str, str], others: dict[str, str], *, timed: bool = True) -> Columns:
    columns: Columns = {column: _amount(row.get(name)) for name, column in amounts.items()}
    columns |= {column: row.get(name) for name, column in others.items()}
    if timed:
        columns["exchange_updated_at"] = _instant(row.get("updateTime"))
    known = {*amounts, *others, "updateTime"} if timed else {*amounts, *others}
    columns["extra"] = {name: value for name, value in row.items() if name not in known} or None
    return columns


def _amount(value: Any) -> Decimal | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str | Decimal):
        raise TypeError("not an amount")
    return Decimal(value)


def _instant(milliseconds: Any) -> datetime | None:
    if milliseconds in {None, ""} or int(milliseconds) == 0:  # so is 1e-400
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds))


def _is_held(row: Columns) -> bool:
    named = {"asset", "symbol", "position_side", "exchange_updated_at", "extra", "isolated", "margin_available"}
    return any(value != 0 for column, value in row.items() if column not in _NOT_HELD | named)


def _padded(table: str, row: Columns) -> Columns:
    return dict.fromkeys([*_ALL[table], "extra"]) | row


def _dict(value: object) -> Columns:
    return value if isinstance(value, dict) else {}


def _refuse(constant: str) -> None:
    raise ValueError(constant)
