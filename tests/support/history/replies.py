"""What the exchange says of a ledger at an instant, as the records that are stored."""

from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from poller.observation import AssetMode, AssetModeSource, Market
from poller.records import AccountTotals, AssetBalance, Position
from tests.support.history.ledger import Holding, Key, Ledger, profit, rates, worth
from tests.support.history.listing import SYMBOLS, money, price

_ZERO: Final = Decimal(0)
_SUMMED: Final = (
    "wallet_balance", "unrealized_pnl", "margin_balance", "initial_margin", "maintenance_margin",
    "position_initial_margin", "open_order_initial_margin", "cross_wallet_balance", "cross_unrealized_pnl",
)  # fmt: skip


def _record(kind: type, **known: object) -> Any:
    return kind(**{field.name: known.get(field.name) for field in fields(kind)})


def position_at(ledger: Ledger, key: Key, time: datetime) -> Position:
    """Return a position at the mark price of an instant."""
    holding = ledger.holdings[key]
    symbol = SYMBOLS[ledger.market][key[0]]
    mark = price(symbol.base, time)
    notional = worth(symbol, holding.amount, mark)
    pnl = profit(symbol, holding.amount, holding.entry, mark) if holding.amount else money(_ZERO)
    held = money(abs(notional) / symbol.leverage)
    both: dict[str, object] = {
        "symbol": key[0],
        "position_side": key[1],
        "position_amount": holding.amount,
        "unrealized_pnl": pnl,
        "notional": notional,
        "initial_margin": money(held + holding.order_margin),
        "maintenance_margin": money(abs(notional) * symbol.maintenance),
        "isolated_wallet": money(holding.isolated_wallet),
        "exchange_updated_at": holding.changed_at,
    }
    if ledger.market is Market.USDM:
        margin = money(holding.isolated_wallet + pnl) if holding.isolated else money(_ZERO)
        return _position(**both, isolated_margin=margin)
    return _position(
        **both,
        position_initial_margin=held,
        open_order_initial_margin=money(holding.order_margin),
        entry_price=holding.entry,
        break_even_price=money(holding.entry * Decimal("1.0004")),
        leverage=Decimal(symbol.leverage),
        isolated=holding.isolated,
        max_quantity=Decimal(50_000),
    )


def _position(**known: object) -> Position:
    found = _record(Position, **known)
    assert isinstance(found, Position)
    return found


def balances_at(ledger: Ledger, positions: list[Position], *, shared: bool) -> list[AssetBalance]:
    """Return every asset that is not zero; `shared` is multi-assets mode, in which what is available is not summed."""
    return [
        _balance(ledger, asset, [p for p in positions if _margin(ledger, p) == asset], shared=shared)
        for asset, wallet in sorted(ledger.wallets.items())
        if wallet
    ]


def _margin(ledger: Ledger, position: Position) -> str:
    return SYMBOLS[ledger.market][position.symbol].margin


def _balance(ledger: Ledger, asset: str, positions: list[Position], *, shared: bool) -> AssetBalance:
    wallet = money(ledger.wallets[asset])
    holdings = [(p, ledger.holdings[p.symbol, p.position_side]) for p in positions]
    pnl = sum((p.unrealized_pnl or _ZERO for p in positions), money(_ZERO))
    orders = sum((h.order_margin for _, h in holdings), money(_ZERO))
    initial = sum((p.initial_margin or _ZERO for p in positions), money(_ZERO))
    cross_wallet = wallet - sum((h.isolated_wallet for _, h in holdings), _ZERO)
    cross_pnl = sum((p.unrealized_pnl or _ZERO for p, h in holdings if not h.isolated), money(_ZERO))
    available = max(_ZERO, cross_wallet + cross_pnl - _cross(holdings))
    found = _record(
        AssetBalance,
        asset=asset,
        wallet_balance=wallet,
        unrealized_pnl=pnl,
        margin_balance=wallet + pnl,
        maintenance_margin=sum((p.maintenance_margin or _ZERO for p in positions), money(_ZERO)),
        initial_margin=initial,
        position_initial_margin=initial - orders,
        open_order_initial_margin=orders,
        cross_wallet_balance=money(cross_wallet),
        cross_unrealized_pnl=cross_pnl,
        available_balance=money(available),
        max_withdraw_amount=money(min(available, wallet)),
        margin_available=True if shared else None,
        exchange_updated_at=ledger.last_change.get(asset),
    )
    assert isinstance(found, AssetBalance)
    return found


def _cross(holdings: list[tuple[Position, Holding]]) -> Decimal:
    return sum((p.initial_margin or _ZERO for p, h in holdings if not h.isolated), _ZERO)


def totals_at(ledger: Ledger, assets: list[AssetBalance], mode: AssetMode | None, time: datetime) -> AccountTotals:
    """Return the account-wide part: of COIN-M only what it may do, of USDⓈ-M the totals of its asset mode."""
    if ledger.market is Market.COINM:
        known: dict[str, object] = {"fee_tier": 1, "can_trade": True, "can_deposit": True, "can_withdraw": False}
    elif mode is AssetMode.MULTI_ASSETS:
        worths = rates({row.asset: _ZERO for row in assets}, time)
        known = {n: money(sum((getattr(r, n) * worths[r.asset] for r in assets), _ZERO)) for n in _SUMMED}
        known |= {"totals_asset": "USD", **_available(known)}
    else:
        usdt = [row for row in assets if row.asset == "USDT"]
        names = (*_SUMMED, "available_balance", "max_withdraw_amount")
        known = {n: getattr(usdt[0], n) if usdt else money(_ZERO) for n in names}
        known |= {"totals_asset": "USDT" if mode else None}
    source = AssetModeSource.EXCHANGE if mode else None
    found = _record(AccountTotals, **known, asset_mode=mode, asset_mode_source=source)
    assert isinstance(found, AccountTotals)
    return found


def _available(totals: dict[str, Any]) -> dict[str, Decimal]:
    margin = totals["cross_wallet_balance"] + totals["cross_unrealized_pnl"] - totals["initial_margin"]
    return {"available_balance": max(_ZERO, margin), "max_withdraw_amount": max(_ZERO, margin)}
