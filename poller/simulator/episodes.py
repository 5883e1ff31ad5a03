"""The lives of positions: ordered, filled, added to, closed, again and again, each by the seed and the time alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal
from functools import lru_cache

from poller.simulator.amounts import ZERO, money
from poller.simulator.contracts import Contract
from poller.simulator.plans import Plan
from poller.simulator.prices import dollars, mark_price, mean_price, pnl, value
from poller.simulator.walk import between, draw

SEASON_MS = 3_600_000
"""Profits are swept out at each full hour, so that a wallet is known without replaying history from its start."""

_FEE_RATE = Decimal("0.0002")
_ISOLATED_CUSHION = Decimal("1.25")
_IDLE_SHARE = Decimal("0.12")
# The exchange averages entry prices in binary floating point, which shows as 17 significant digits.
_SEVENTEEN_DIGITS = Context(prec=17)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One plan of one account on one side of one contract."""

    seed: int
    account: str
    contract: Contract
    position_side: str
    plan: Plan
    isolated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a slot holds at an instant: a position, open orders, both or neither. `ordered` has no sign."""

    contract: Contract
    position_side: str
    amount: Decimal
    ordered: Decimal
    entry: Decimal
    leverage: int
    isolated: bool
    isolated_wallet: Decimal
    updated_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One life of a position; `first` and `second` are signed amounts, filled one after the other."""

    slot: Slot
    ordered_at_ms: int
    filled_at_ms: int
    added_at_ms: int
    closed_at_ms: int
    first: Decimal
    second: Decimal
    first_price: Decimal
    entry: Decimal
    realised: Decimal

    def at(self, at_ms: int) -> Holding:
        """Return what is held at an instant after the first order: nothing once it is closed."""
        if at_ms < self.filled_at_ms:
            return self._holding(ZERO, abs(self.first), ZERO, self.ordered_at_ms)
        if at_ms < self.added_at_ms:
            return self._holding(self.first, abs(self.second), self.first_price, self.filled_at_ms)
        if at_ms < self.closed_at_ms:
            return self._holding(self.first + self.second, ZERO, self.entry, self.added_at_ms)
        return self._holding(ZERO, ZERO, ZERO, self.closed_at_ms)

    def _holding(self, amount: Decimal, ordered: Decimal, entry: Decimal, updated_at_ms: int) -> Holding:
        plan, contract = self.slot.plan, self.slot.contract
        reserved = abs(value(contract, amount, entry)) / plan.leverage if amount and self.slot.isolated else ZERO
        return Holding(
            contract=contract,
            position_side=self.slot.position_side,
            amount=amount,
            ordered=ordered,
            entry=entry,
            leverage=plan.leverage,
            isolated=self.slot.isolated,
            isolated_wallet=money(reserved * _ISOLATED_CUSHION),
            updated_at_ms=updated_at_ms,
        )


def season_start(at_ms: int) -> int:
    """Return when profits were swept out last."""
    return at_ms - at_ms % SEASON_MS


def episodes(slot: Slot, at_ms: int) -> Iterator[Episode]:
    """Yield the episodes of this season that began until `at_ms`, in order; the last may be running."""
    cycle_ms = slot.plan.cycle_seconds * 1000
    for started_at_ms in range(season_start(at_ms), at_ms + 1, cycle_ms):
        episode = _episode(slot, started_at_ms)
        if episode is not None and episode.ordered_at_ms <= at_ms:
            yield episode


def break_even(contract: Contract, holding: Holding) -> Decimal:
    """Return the price at which closing pays for the fees of both fills."""
    toll = 2 * _FEE_RATE * (1 if holding.amount > 0 else -1)
    return round(holding.entry * (1 + toll), contract.price_digits + 4)


@dataclass(frozen=True, slots=True)
class _Chances:
    """The draws that belong to one cycle of one slot."""

    slot: Slot
    started_at_ms: int

    def draw(self, name: str) -> Decimal:
        slot = self.slot
        return draw(slot.seed, slot.account, slot.contract.symbol, slot.position_side, self.started_at_ms, name)

    def instant(self, name: str, low: str, high: str) -> int:
        cycle_ms = self.slot.plan.cycle_seconds * 1000
        return self.started_at_ms + int(cycle_ms * between(self.draw(name), Decimal(low), Decimal(high)))


@lru_cache(maxsize=1 << 14)
def _episode(slot: Slot, started_at_ms: int) -> Episode | None:
    chances = _Chances(slot, started_at_ms)
    is_always_on = slot.plan.cycle_seconds * 1000 == SEASON_MS
    if chances.draw("idle") < _IDLE_SHARE and not is_always_on:
        return None
    ordered_at_ms = chances.instant("order", "0.01", "0.07")
    filled_at_ms = chances.instant("fill", "0.10", "0.17")
    added_at_ms = chances.instant("add", "0.35", "0.55")
    closed_at_ms = chances.instant("close", "0.82", "0.94")
    sign = _direction(slot, chances.draw("direction"))
    first = sign * _amount(slot, ordered_at_ms, chances.draw("first"))
    second = sign * _amount(slot, ordered_at_ms, chances.draw("second"))
    if slot.plan.only_orders:
        filled_at_ms = added_at_ms = closed_at_ms
    first_price = _fill_price(slot, filled_at_ms)
    fills = (first, first_price), (second, _fill_price(slot, added_at_ms))
    entry = _SEVENTEEN_DIGITS.plus(mean_price(slot.contract, *fills)).normalize()
    return Episode(
        slot=slot,
        ordered_at_ms=ordered_at_ms,
        filled_at_ms=filled_at_ms,
        added_at_ms=added_at_ms,
        closed_at_ms=closed_at_ms,
        first=first,
        second=second,
        first_price=first_price,
        entry=entry,
        realised=ZERO if slot.plan.only_orders else _realised(slot, first + second, entry, closed_at_ms),
    )


def _direction(slot: Slot, chance: Decimal) -> int:
    if slot.position_side == "BOTH":
        return 1 if chance < Decimal("0.6") else -1
    return 1 if slot.position_side == "LONG" else -1


def _amount(slot: Slot, at_ms: int, chance: Decimal) -> Decimal:
    contract = slot.contract
    step = Decimal(1).scaleb(-contract.quantity_digits)
    worth = slot.plan.dollars * between(chance, Decimal("0.3"), Decimal("1.2"))
    in_margin_asset = worth / dollars(slot.seed, contract.margin_asset, at_ms)
    mark = mark_price(slot.seed, contract, at_ms)
    return max(step, (in_margin_asset / value(contract, Decimal(1), mark)).quantize(step, ROUND_DOWN))


def _fill_price(slot: Slot, at_ms: int) -> Decimal:
    return round(mark_price(slot.seed, slot.contract, at_ms), slot.contract.price_digits)


def _realised(slot: Slot, amount: Decimal, entry: Decimal, at_ms: int) -> Decimal:
    price = _fill_price(slot, at_ms)
    fees = (abs(value(slot.contract, amount, entry)) + abs(value(slot.contract, amount, price))) * _FEE_RATE
    return money(pnl(slot.contract, amount, entry=entry, mark=price) - fees)
