"""What an account owns at an instant: holdings with their worth, and one balance for each asset.

Everything is a function of (seed, account, market, time). Amounts are rounded to what the exchange shows before they
are summed, so that its identities hold exactly in the strings of every reply.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from poller.observation import Market
from poller.simulator.amounts import ZERO, money
from poller.simulator.contracts import Contract, Kind, contracts
from poller.simulator.episodes import Holding, Slot, episodes, season_start
from poller.simulator.plans import ASSETS, CAPITAL, CREDIT, PLANS
from poller.simulator.prices import mark_price, pnl, value

_MAINTENANCE_RATE = Decimal("0.005")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who owns: in hedge mode a symbol has a LONG and a SHORT side; multi-assets mode knows no isolated positions."""

    label: str
    multi_assets: bool = False
    hedge: bool = False

    @property
    def position_sides(self) -> tuple[str, ...]:
        """The sides that a symbol has."""
        return ("LONG", "SHORT") if self.hedge else ("BOTH",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A holding with its worth; all amounts in the margin asset, rounded as shown."""

    holding: Holding
    notional: Decimal
    unrealized: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance: Decimal

    @property
    def margin(self) -> Decimal:
        """What the position and its orders need together."""
        return self.position_margin + self.order_margin

    @property
    def is_open(self) -> bool:
        """Whether there is a position or an order."""
        return bool(self.holding.amount or self.holding.ordered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One asset of an account, in units of that asset.

    Attributes:
        reserved: What open orders and cross positions need; isolated positions have brought their own.
        updated_at_ms: 0 for an asset that was never touched.
    """

    asset: str
    wallet: Decimal
    isolated_wallets: Decimal
    unrealized: Decimal
    cross_unrealized: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance: Decimal
    reserved: Decimal
    updated_at_ms: int

    @property
    def cross_wallet(self) -> Decimal:
        """What isolated positions have left in the wallet."""
        return self.wallet - self.isolated_wallets


def positions(seed: int, account: Account, market: Market, at_ms: int) -> tuple[Position, ...]:
    """List what `account` has touched since its profits were swept out, closed positions included."""
    lives = (tuple(episodes(slot, at_ms)) for slot in _slots(seed, account, market, at_ms))
    return tuple(_position(seed, life[-1].at(at_ms), at_ms) for life in lives if life)


def balances(seed: int, account: Account, market: Market, at_ms: int) -> tuple[Balance, ...]:
    """List all assets of `account`, untouched ones included, in the exchange's order."""
    credit = CREDIT if market is Market.USDM and account.multi_assets else {}
    capital = CAPITAL[market] | credit
    wallets = {asset: (amount, season_start(at_ms)) for asset, amount in capital.items()}
    for slot in _slots(seed, account, market, at_ms):
        asset = slot.contract.margin_asset
        wallets[asset] = _with_profits(slot, wallets[asset], at_ms)
    held = positions(seed, account, market, at_ms)
    return tuple(_balance(asset, wallets, held) for asset in (*ASSETS[market], *credit))


def _slots(seed: int, account: Account, market: Market, at_ms: int) -> Iterable[Slot]:
    traded: Mapping[tuple[str, Kind], Contract] = {
        (contract.pair, contract.kind): contract for contract in contracts(market, at_ms)
    }
    for plan in PLANS[market]:
        for side in account.position_sides:
            yield Slot(
                seed=seed,
                account=account.label,
                contract=traded[plan.pair, plan.kind],
                position_side=side,
                plan=plan,
                isolated=plan.isolated and not account.multi_assets,
            )


def _with_profits(slot: Slot, wallet: tuple[Decimal, int], at_ms: int) -> tuple[Decimal, int]:
    amount, updated_at_ms = wallet
    for episode in episodes(slot, at_ms):
        if episode.closed_at_ms <= at_ms and episode.realised:
            amount += episode.realised
            updated_at_ms = max(updated_at_ms, episode.closed_at_ms)
    return amount, updated_at_ms


def _position(seed: int, holding: Holding, at_ms: int) -> Position:
    contract = holding.contract
    mark = mark_price(seed, contract, at_ms)
    notional = value(contract, holding.amount, mark)
    profit = pnl(contract, holding.amount, entry=holding.entry, mark=mark) if holding.amount else ZERO
    return Position(
        holding=holding,
        notional=money(notional),
        unrealized=money(profit),
        position_margin=money(abs(notional) / holding.leverage),
        order_margin=money(value(contract, holding.ordered, mark) / holding.leverage),
        maintenance=money(abs(notional) * _MAINTENANCE_RATE),
    )


def _balance(asset: str, wallets: Mapping[str, tuple[Decimal, int]], held: Iterable[Position]) -> Balance:
    wallet, updated_at_ms = wallets.get(asset, (ZERO, 0))
    own = [position for position in held if position.holding.contract.margin_asset == asset]
    cross = [position for position in own if not position.holding.isolated]
    order_margin = sum((position.order_margin for position in own), ZERO)
    return Balance(
        asset=asset,
        wallet=wallet,
        isolated_wallets=sum((position.holding.isolated_wallet for position in own), ZERO),
        unrealized=sum((position.unrealized for position in own), ZERO),
        cross_unrealized=sum((position.unrealized for position in cross), ZERO),
        position_margin=sum((position.position_margin for position in own), ZERO),
        order_margin=order_margin,
        maintenance=sum((position.maintenance for position in own), ZERO),
        reserved=order_margin + sum((position.position_margin for position in cross), ZERO),
        updated_at_ms=updated_at_ms,
    )
