"""What an account holds on one market after what it did there, kept as an exchange keeps its books."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from poller.observation import Market
from tests.support.history.listing import SYMBOLS, Symbol, money, price

_FEE: Final = Decimal("0.0004")
_FUNDING: Final = Decimal("0.0001")
_ZERO: Final = Decimal(0)

Key = tuple[str, str]
"""Symbol and position side."""


@dataclass(slots=True)
class Holding:
    """A position or its orders; amounts are signed, in the base coin or in contracts."""

    amount: Decimal = _ZERO
    entry: Decimal = _ZERO
    isolated: bool = False
    isolated_wallet: Decimal = _ZERO
    order_margin: Decimal = _ZERO
    changed_at: datetime | None = None


@dataclass(slots=True)
class Ledger:
    """The wallets of an account and what it holds, on one market.

    Attributes:
        last_change: When each wallet changed for the last time.
    """

    market: Market
    wallets: dict[str, Decimal]
    holdings: dict[Key, Holding] = field(default_factory=dict)
    last_change: dict[str, datetime] = field(default_factory=dict)

    def book(self, time: datetime, asset: str, amount: Decimal) -> None:
        """Add to a wallet."""
        self.wallets[asset] = self.wallets.get(asset, _ZERO) + money(amount)
        self.last_change[asset] = time

    def order(self, time: datetime, symbol: str, margin: Decimal) -> None:
        """Hold margin for the orders of a symbol, or none with 0."""
        holding = self.holdings.setdefault((symbol, "BOTH"), Holding())
        holding.order_margin, holding.changed_at = margin, time
        self._forget_empty()

    def trade(self, time: datetime, key: Key, amount: Decimal, *, isolated_wallet: Decimal = _ZERO) -> None:
        """Trade at the price of the instant; what is opened with `isolated_wallet` has a margin of its own."""
        symbol = SYMBOLS[self.market][key[0]]
        mark = price(symbol.base, time)
        holding = self.holdings.setdefault(key, Holding())
        reduced = _ZERO
        if holding.amount * amount < 0:
            reduced = amount.copy_sign(1).min(holding.amount.copy_sign(1)).copy_sign(holding.amount)
            self.book(time, symbol.margin, profit(symbol, reduced, holding.entry, mark))
            holding.amount -= reduced
        if added := amount + reduced:
            holding.entry = _average(symbol, holding, added, mark)
            holding.amount += added
        holding.changed_at = time
        if isolated_wallet:
            holding.isolated, holding.isolated_wallet = True, isolated_wallet
        self._pay_fee(time, symbol, amount, mark)
        self._forget_empty()

    def fund(self, time: datetime) -> None:
        """Let longs pay shorts."""
        for (name, _), holding in self.holdings.items():
            symbol = SYMBOLS[self.market][name]
            if holding.amount:
                self.book(time, symbol.margin, -worth(symbol, holding.amount, price(symbol.base, time)) * _FUNDING)

    def _pay_fee(self, time: datetime, symbol: Symbol, amount: Decimal, mark: Decimal) -> None:
        fee = abs(worth(symbol, amount, mark)) * _FEE
        if self.wallets.get("BNB"):
            self.book(time, "BNB", -fee / price("BNB", time))
        else:
            self.book(time, symbol.margin, -fee)

    def _forget_empty(self) -> None:
        self.holdings = {key: held for key, held in self.holdings.items() if held.amount or held.order_margin}


def worth(symbol: Symbol, amount: Decimal, mark: Decimal) -> Decimal:
    """Return the notional of an amount, in units of the margin asset."""
    return money(amount * mark if symbol.size is None else amount * symbol.size / mark)


def profit(symbol: Symbol, amount: Decimal, entry: Decimal, mark: Decimal) -> Decimal:
    """Return what an amount that was entered at one price gained until another, in units of the margin asset."""
    if symbol.size is None:
        return money(amount * (mark - entry))
    return money(amount * symbol.size * (1 / entry - 1 / mark))


def _average(symbol: Symbol, holding: Holding, added: Decimal, mark: Decimal) -> Decimal:
    total = holding.amount + added
    if not holding.amount:
        return mark
    if symbol.size is None:
        return money((holding.amount * holding.entry + added * mark) / total)
    return money(total / (holding.amount / holding.entry + added / mark))


def rates(assets: Mapping[str, Decimal], time: datetime) -> dict[str, Decimal]:
    """Return what multi-assets mode counts one unit of each asset for, in USD."""
    return {asset: Decimal("0.9999") * (price(asset, time) if asset in {"BTC", "BNB"} else 1) for asset in assets}
