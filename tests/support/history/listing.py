"""What is traded in the made-up history, and at what prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from poller.observation import Market
from poller.records import Contract

BEGIN: Final = datetime(2026, 2, 27, tzinfo=UTC)
END: Final = datetime(2026, 3, 3, tzinfo=UTC)

_EIGHT: Final = Decimal("1E-8")


def at(day: int, clock: str) -> datetime:
    """Return an instant of the history: days 27 and 28 are of February, the others of March."""
    hours, minutes = map(int, clock.split(":"))
    return datetime(2026, 2 if day > BEGIN.day - 1 else 3, day, hours, minutes, tzinfo=UTC)


def money(value: Decimal) -> Decimal:
    """Round as the exchange does what it sends."""
    return value.quantize(_EIGHT)


@dataclass(frozen=True, slots=True)
class Symbol:
    """What can be traded.

    Attributes:
        size: What one contract is worth, in units of `quote`; None for USDⓈ-M.
        maintenance: Maintenance margin for one unit of notional.
    """

    base: str
    quote: str
    margin: str
    leverage: int
    maintenance: Decimal
    size: Decimal | None = None


SYMBOLS: Final[Mapping[Market, Mapping[str, Symbol]]] = {
    Market.USDM: {
        "BNBUSDT": Symbol("BNB", "USDT", "USDT", 10, Decimal("0.01")),
        "BTCUSDC": Symbol("BTC", "USDC", "USDC", 10, Decimal("0.004")),
        "BTCUSDT": Symbol("BTC", "USDT", "USDT", 20, Decimal("0.004")),
        "BTCUSDT_260327": Symbol("BTC", "USDT", "USDT", 20, Decimal("0.004")),
        "DOGEUSDT": Symbol("DOGE", "USDT", "USDT", 10, Decimal("0.0065")),
        "ETHUSDT": Symbol("ETH", "USDT", "USDT", 20, Decimal("0.005")),
        "PUMPUSDT": Symbol("PUMP", "USDT", "USDT", 5, Decimal("0.025")),
        "SOLUSDT": Symbol("SOL", "USDT", "USDT", 10, Decimal("0.01")),
    },
    Market.COINM: {
        "BTCUSD_PERP": Symbol("BTC", "USD", "BTC", 10, Decimal("0.004"), Decimal(100)),
        "ETHUSD_PERP": Symbol("ETH", "USD", "ETH", 5, Decimal("0.01"), Decimal(10)),
    },
}

UNLISTED: Final = "PUMPUSDT"
"""Traded so soon after its listing that table contracts does not have it."""

# Minutes since the beginning, and the price then; in between it moves in a straight line, but for a ripple.
_PATHS: Final[Mapping[str, Mapping[int, str]]] = {
    "BNB": {0: "640", 2880: "655", 5760: "650"},
    "BTC": {0: "64000", 1800: "66000", 3000: "65200", 5040: "63800", 5180: "61000", 5250: "63000", 5760: "63500"},
    "DOGE": {0: "0.21", 5760: "0.2"},
    "ETH": {0: "2400", 1800: "2520", 3000: "2460", 5040: "2420", 5180: "2300", 5250: "2380", 5760: "2400"},
    "PUMP": {0: "0.5", 4700: "0.5", 4800: "0.56", 5760: "0.55"},
    "SOL": {0: "150", 1800: "152", 3000: "149", 5040: "148", 5180: "142", 5250: "146.5", 5760: "147"},
}
_STEPS: Final = {"BNB": "0.01", "BTC": "0.1", "DOGE": "0.00001", "ETH": "0.01", "PUMP": "0.0001", "SOL": "0.01"}
_RIPPLE: Final = Decimal("0.00001")


def price(asset: str, time: datetime) -> Decimal:
    """Return what one unit of a coin is worth in dollars of any kind, which here all have one price."""
    minute = (time - BEGIN) // timedelta(minutes=1)
    path = _PATHS[asset]
    left = max(known for known in path if known <= minute)
    right = min((known for known in path if known > minute), default=left + 1)
    rise = Decimal(path.get(right, path[left])) - Decimal(path[left])
    straight = Decimal(path[left]) + rise * (minute - left) / (right - left)
    ripple = 1 + _RIPPLE * ((minute * 7919 + len(path)) % 101 - 50)
    return (straight * ripple).quantize(Decimal(_STEPS[asset]))


def contracts(market: Market) -> list[Contract]:
    """Return what table contracts knows of a market."""
    return [
        Contract(
            symbol=name,
            base_asset=symbol.base,
            quote_asset=symbol.quote,
            margin_asset=symbol.margin,
            contract_size=symbol.size,
            contract_type="CURRENT_QUARTER" if name.endswith("_260327") else "PERPETUAL",
        )
        for name, symbol in SYMBOLS[market].items()
        if name != UNLISTED
    ]
