"""What an asset and a contract are worth at an instant, and what an amount of a contract is worth at a price."""

from decimal import Decimal
from functools import lru_cache

from poller.observation import Market
from poller.simulator.amounts import money
from poller.simulator.contracts import Contract, Kind
from poller.simulator.walk import walk

_DOLLARS = {
    "BTC": Decimal(64_000),
    "ETH": Decimal(3_100),
    "BNB": Decimal(580),
    "SOL": Decimal(148),
    "LTC": Decimal(84),
    "BCH": Decimal(410),
    "AAVE": Decimal(165),
    "XRP": Decimal("0.61"),
    "DOGE": Decimal("0.124"),
    "币安人生": Decimal("0.117"),
}
_DOLLARS_OF_OTHERS = Decimal(7)
_STABLE = {
    "USD": Decimal(1),
    "USDT": Decimal("0.9988"),
    "USDC": Decimal("1.0002"),
    "FDUSD": Decimal("0.9983"),
    "USD1": Decimal("0.9991"),
    "U": Decimal("0.9997"),
    "BNFCR": Decimal(1),
}
_STABLE_SHARE_OF_THE_WALK = Decimal("0.01")
_PREMIUM = {Kind.CURRENT_QUARTER: Decimal("1.004"), Kind.NEXT_QUARTER: Decimal("1.011")}


@lru_cache(maxsize=1 << 14)
def dollars(seed: int, asset: str, at_ms: int) -> Decimal:
    """Return the index price of `asset` in US dollars."""
    if asset == "USD":
        return Decimal(1)
    if asset in _STABLE:
        return money(_STABLE[asset] * (1 + _STABLE_SHARE_OF_THE_WALK * walk(seed, asset, at_ms)))
    return money(_DOLLARS.get(asset, _DOLLARS_OF_OTHERS) * (1 + walk(seed, asset, at_ms)))


def mark_price(seed: int, contract: Contract, at_ms: int) -> Decimal:
    """Return the mark price, in units of the quote asset and with the exchange's eight decimals."""
    dollars_per_quote = Decimal(1) if contract.quote.startswith("USD") else dollars(seed, contract.quote, at_ms)
    premium = _PREMIUM.get(contract.kind, Decimal(1))
    return money(dollars(seed, contract.base, at_ms) * premium / dollars_per_quote)


def value(contract: Contract, amount: Decimal, price: Decimal) -> Decimal:
    """Return what `amount` is worth in the margin asset; signed as `amount` is."""
    if contract.market is Market.COINM:
        return amount * contract.size / price
    return amount * price


def pnl(contract: Contract, amount: Decimal, *, entry: Decimal, mark: Decimal) -> Decimal:
    """Return the profit of `amount` since `entry`, in the margin asset."""
    if contract.market is Market.COINM:
        return value(contract, amount, entry) - value(contract, amount, mark)
    return value(contract, amount, mark) - value(contract, amount, entry)


def mean_price(contract: Contract, first: tuple[Decimal, Decimal], second: tuple[Decimal, Decimal]) -> Decimal:
    """Return the entry price of two fills, each (amount, price): the one at which their value is the same."""
    amount = first[0] + second[0]
    worth = value(contract, *first) + value(contract, *second)
    return amount * contract.size / worth if contract.market is Market.COINM else worth / amount
