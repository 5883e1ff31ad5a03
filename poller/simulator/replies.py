"""The two `account.status` results, field by field as the exchange writes them."""

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal

from poller.observation import Market
from poller.simulator.accounts import Account, Balance, Position, balances, positions
from poller.simulator.amounts import EIGHT_DECIMALS, ZERO, digits_text, money, money_text, short_zero, text
from poller.simulator.contracts import Contract, Kind, contracts
from poller.simulator.episodes import break_even
from poller.simulator.prices import dollars

Row = dict[str, object]

# Seen on the exchange: what is owned counts a little less than the index price, what is required a little more.
_OWNED_SHARE = Decimal("0.9999")
_REQUIRED_SHARE = Decimal("1.0001")
_LARGEST_INTEGER = "9223372036854775807"


def account_result(seed: int, account: Account, market: Market, at_ms: int) -> Row:
    """Return the `result` of the market's account method at an instant, in ms since the epoch."""
    owned = balances(seed, account, market, at_ms)
    held = positions(seed, account, market, at_ms)
    if market is Market.COINM:
        return _coinm(account, owned, held, at_ms)
    return _multi_assets(seed, owned, held, at_ms) if account.multi_assets else _single_asset(owned, held)


def account_config(account: Account) -> Row:
    """Return the body of REST's `accountConfig`, which tells the modes of both markets."""
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": account.hedge,
        "updateTime": 0,
        "multiAssetsMargin": account.multi_assets,
        "tradeGroupId": -1,
    }


def _single_asset(owned: Iterable[Balance], held: Iterable[Position]) -> Row:
    rows = [_asset(balance, _available(balance)) for balance in owned]
    usdt = next(row for row in rows if row["asset"] == "USDT")
    return {total: usdt[field] for total, field in _TOTALS.items()} | _usdm_rows(rows, held)


_TOTALS = {
    "totalInitialMargin": "initialMargin",
    "totalMaintMargin": "maintMargin",
    "totalWalletBalance": "walletBalance",
    "totalUnrealizedProfit": "unrealizedProfit",
    "totalMarginBalance": "marginBalance",
    "totalPositionInitialMargin": "positionInitialMargin",
    "totalOpenOrderInitialMargin": "openOrderInitialMargin",
    "totalCrossWalletBalance": "crossWalletBalance",
    "totalCrossUnPnl": "crossUnPnl",
    "availableBalance": "availableBalance",
    "maxWithdrawAmount": "maxWithdrawAmount",
}


def _multi_assets(seed: int, owned: tuple[Balance, ...], held: Iterable[Position], at_ms: int) -> Row:
    index = {balance.asset: dollars(seed, balance.asset, at_ms) for balance in owned}

    def total(field: str, share: Decimal) -> Decimal:
        amounts = ((getattr(balance, field), index[balance.asset]) for balance in owned)
        return sum((money(amount * price * share) for amount, price in amounts), ZERO)

    wallet, unrealized = total("wallet", _OWNED_SHARE), total("unrealized", _OWNED_SHARE)
    position_margin = total("position_margin", _REQUIRED_SHARE)
    order_margin = total("order_margin", _REQUIRED_SHARE)
    available = max(ZERO, wallet + unrealized - total("reserved", _REQUIRED_SHARE))
    totals = {
        "totalInitialMargin": position_margin + order_margin,
        "totalMaintMargin": total("maintenance", _REQUIRED_SHARE),
        "totalWalletBalance": wallet,
        "totalUnrealizedProfit": unrealized,
        "totalMarginBalance": wallet + unrealized,
        "totalPositionInitialMargin": position_margin,
        "totalOpenOrderInitialMargin": order_margin,
        "totalCrossWalletBalance": wallet,
        "totalCrossUnPnl": unrealized,
        "availableBalance": available,
        "maxWithdrawAmount": available,
    }
    rows = [_asset(balance, available / (index[balance.asset] * _REQUIRED_SHARE)) for balance in owned]
    shared = [row | {"marginAvailable": True} for row in rows]
    return {name: money_text(amount) for name, amount in totals.items()} | _usdm_rows(shared, held)


def _usdm_rows(assets: list[Row], held: Iterable[Position]) -> Row:
    return {"assets": assets, "positions": [_usdm_position(position) for position in held if position.is_open]}


def _usdm_position(position: Position) -> Row:
    holding = position.holding
    isolated_margin = holding.isolated_wallet + position.unrealized if holding.isolated else ZERO
    return {
        "symbol": holding.contract.symbol,
        "positionSide": holding.position_side,
        "positionAmt": digits_text(holding.amount, holding.contract.quantity_digits),
        "unrealizedProfit": money_text(position.unrealized),
        "isolatedMargin": money_text(isolated_margin),
        "notional": short_zero(position.notional),
        "isolatedWallet": short_zero(holding.isolated_wallet),
        "initialMargin": short_zero(position.margin),
        "maintMargin": short_zero(position.maintenance),
        "updateTime": holding.updated_at_ms,
    }


def _coinm(account: Account, owned: Iterable[Balance], held: Iterable[Position], at_ms: int) -> Row:
    last = {(position.holding.contract.symbol, position.holding.position_side): position for position in held}
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "assets": [_asset(balance, _available(balance)) for balance in owned],
        "positions": [
            _coinm_position(contract, side, last.get((contract.symbol, side)))
            for contract in contracts(Market.COINM, at_ms)
            for side in account.position_sides
        ],
    }


def _coinm_position(contract: Contract, side: str, position: Position | None) -> Row:
    if position is None:
        return _untouched(contract, side)
    holding = position.holding
    return _untouched(contract, side) | {
        "initialMargin": short_zero(position.margin),
        "maintMargin": short_zero(position.maintenance),
        "unrealizedProfit": money_text(position.unrealized),
        "positionInitialMargin": short_zero(position.position_margin),
        "openOrderInitialMargin": short_zero(position.order_margin),
        "leverage": str(holding.leverage),
        "isolated": holding.isolated,
        "entryPrice": text(holding.entry) if holding.amount else "0.00000000",
        "maxQty": "50000.0",
        "notionalValue": short_zero(position.notional),
        "isolatedWallet": short_zero(holding.isolated_wallet),
        "updateTime": holding.updated_at_ms,
        "positionAmt": text(holding.amount),
        "breakEvenPrice": text(break_even(contract, holding)) if holding.amount else "0.00000000",
    }


def _untouched(contract: Contract, side: str) -> Row:
    return {
        "symbol": contract.symbol,
        "initialMargin": "0",
        "maintMargin": "0",
        "unrealizedProfit": "0.00000000",
        "positionInitialMargin": "0",
        "openOrderInitialMargin": "0",
        "leverage": "0",
        "isolated": False,
        "positionSide": side,
        "entryPrice": "0.00000000",
        "maxQty": "10000000" if contract.kind is Kind.PERPETUAL else _LARGEST_INTEGER,
        "notionalValue": "0",
        "isolatedWallet": "0",
        "updateTime": 0,
        "positionAmt": "0",
        "breakEvenPrice": "0.00000000",
    }


def _available(balance: Balance) -> Decimal:
    return max(ZERO, balance.cross_wallet + balance.cross_unrealized - balance.reserved)


def _asset(balance: Balance, available: Decimal) -> Row:
    withdrawable = max(ZERO, min(available, balance.cross_wallet - balance.reserved))
    return {
        "asset": balance.asset,
        "walletBalance": money_text(balance.wallet),
        "unrealizedProfit": money_text(balance.unrealized),
        "marginBalance": money_text(balance.wallet + balance.unrealized),
        "maintMargin": money_text(balance.maintenance),
        "initialMargin": money_text(balance.position_margin + balance.order_margin),
        "positionInitialMargin": money_text(balance.position_margin),
        "openOrderInitialMargin": money_text(balance.order_margin),
        "crossWalletBalance": money_text(balance.cross_wallet),
        "crossUnPnl": money_text(balance.cross_unrealized),
        "availableBalance": text(available.quantize(EIGHT_DECIMALS, ROUND_DOWN)),
        "maxWithdrawAmount": text(withdrawable.quantize(EIGHT_DECIMALS, ROUND_DOWN)),
        "updateTime": balance.updated_at_ms,
    }
