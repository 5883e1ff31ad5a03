"""What is traded: perpetuals, and delivery contracts that follow the calendar and expire."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from poller.observation import Market

PERPETUAL_DELIVERY_MS = 4_133_404_800_000
"""The date that the exchange gives for the delivery of a perpetual."""


class Kind(StrEnum):
    """The exchange's contract types."""

    PERPETUAL = "PERPETUAL"
    CURRENT_QUARTER = "CURRENT_QUARTER"
    NEXT_QUARTER = "NEXT_QUARTER"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One symbol.

    Attributes:
        size: US dollars per contract in COIN-M, 1 in USDⓈ-M, whose amounts are in units of `base`.
        delivers_at_ms: Since the epoch.
        price_digits: Decimals of a price on this market.
        quantity_digits: Decimals of an amount.
    """

    market: Market
    symbol: str
    base: str
    quote: str
    margin_asset: str
    size: Decimal
    kind: Kind
    delivers_at_ms: int
    price_digits: int
    quantity_digits: int

    @property
    def pair(self) -> str:
        """The exchange's name for all contracts on the same two assets."""
        return self.base + self.quote


# base, quote, decimals of prices and of amounts. A symbol outside ASCII is real: 币安人生USDT is listed.
_USDM = (
    ("BTC", "USDT", 1, 3),
    ("ETH", "USDT", 2, 3),
    ("BNB", "USDT", 2, 2),
    ("SOL", "USDT", 2, 0),
    ("XRP", "USDT", 4, 1),
    ("DOGE", "USDT", 5, 0),
    ("ADA", "USDT", 4, 0),
    ("币安人生", "USDT", 5, 0),
    ("BTC", "USDC", 1, 3),
    ("ETH", "USDC", 2, 3),
    ("ETH", "BTC", 6, 2),
)
_USDM_DELIVERED = (("BTC", "USDT", 1, 3), ("ETH", "USDT", 2, 3))

_DOLLARS_PER_CONTRACT = {"BTC": 100}
_COINM = (
    *("BTC", "ETH", "BNB", "SOL", "XRP", "DOGE", "ADA", "LINK", "DOT", "LTC", "BCH", "AVAX", "FIL", "UNI", "AAVE"),
    *("NEAR", "SUI", "TRX", "XLM", "ETC", "WLD", "ALGO", "AXS", "EGLD", "RUNE", "SAND", "THETA"),
)
_COINM_DELIVERED = ("BTC", "ETH", "BNB", "SOL", "XRP")
_COINM_LONG_EXPIRED = ("EOS", "ETC")
_LONG_EXPIRED = datetime(2021, 9, 24, 8, tzinfo=UTC)


def contracts(market: Market, at_ms: int) -> tuple[Contract, ...]:
    """List all contracts of `market` at an instant, the expired ones that its accounts still show included."""
    return _contracts(market, *_quarters(datetime.fromtimestamp(at_ms // 1000, UTC)))


@lru_cache(maxsize=64)
def _contracts(market: Market, last: datetime, current: datetime, following: datetime) -> tuple[Contract, ...]:
    dated = ((last, Kind.EXPIRED), (current, Kind.CURRENT_QUARTER), (following, Kind.NEXT_QUARTER))
    return tuple(_usdm(dated[1:]) if market is Market.USDM else _coinm(dated))


def _usdm(dated: tuple[tuple[datetime, Kind], ...]) -> Iterator[Contract]:
    for row in _USDM:
        yield _linear(*row, None, Kind.PERPETUAL)
    for row in _USDM_DELIVERED:
        for delivery, kind in dated:
            yield _linear(*row, delivery, kind)


def _linear(
    base: str, quote: str, price_digits: int, quantity_digits: int, delivery: datetime | None, kind: Kind
) -> Contract:
    return Contract(
        market=Market.USDM,
        symbol=base + quote + (f"_{delivery:%y%m%d}" if delivery else ""),
        base=base,
        quote=quote,
        margin_asset=quote,
        size=Decimal(1),
        kind=kind,
        delivers_at_ms=_delivery_ms(delivery),
        price_digits=price_digits,
        quantity_digits=quantity_digits,
    )


def _coinm(dated: tuple[tuple[datetime, Kind], ...]) -> Iterator[Contract]:
    for base in _COINM:
        yield _inverse(base, None, Kind.PERPETUAL)
    for base in _COINM_DELIVERED:
        for delivery, kind in dated:
            yield _inverse(base, delivery, kind)
    for base in _COINM_LONG_EXPIRED if dated[0][0] >= _LONG_EXPIRED else ():
        yield _inverse(base, _LONG_EXPIRED, Kind.EXPIRED)


def _inverse(base: str, delivery: datetime | None, kind: Kind) -> Contract:
    return Contract(
        market=Market.COINM,
        symbol=f"{base}USD_" + (f"{delivery:%y%m%d}" if delivery else "PERP"),
        base=base,
        quote="USD",
        margin_asset=base,
        size=Decimal(_DOLLARS_PER_CONTRACT.get(base, 10)),
        kind=kind,
        delivers_at_ms=_delivery_ms(delivery),
        price_digits=1 if base == "BTC" else 4,
        quantity_digits=0,
    )


def _delivery_ms(delivery: datetime | None) -> int:
    return int(delivery.timestamp()) * 1000 if delivery else PERPETUAL_DELIVERY_MS


def _quarters(at: datetime) -> tuple[datetime, datetime, datetime]:
    """The last delivery that is over and the two next: at 08:00 UTC on the last Friday of each quarter."""
    ends = [_last_friday(year, month) for year in range(at.year - 1, at.year + 2) for month in (3, 6, 9, 12)]
    current = next(index for index, end in enumerate(ends) if end > at)
    return ends[current - 1], ends[current], ends[current + 1]


def _last_friday(year: int, month: int) -> datetime:
    friday = 4
    next_month = datetime(year + month // 12, month % 12 + 1, 1, 8, tzinfo=UTC)
    last_day = next_month - timedelta(days=1)
    return last_day - timedelta(days=(last_day.weekday() - friday) % 7)
