"""What simulated accounts are made of: what they trade, which assets they show, and what they begin a season with."""

from dataclasses import dataclass
from decimal import Decimal

from poller.observation import Market
from poller.simulator.contracts import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an account does again and again on one contract.

    Attributes:
        cycle_seconds: Divides an hour: a position never outlives the season whose profits it belongs to.
        only_orders: Orders that are never filled: a row without an amount, but with margin.
    """

    pair: str
    kind: Kind
    cycle_seconds: int
    dollars: int
    leverage: int
    isolated: bool = False
    only_orders: bool = False


_QUARTER = Kind.CURRENT_QUARTER
_PERPETUAL = Kind.PERPETUAL

PLANS = {
    Market.USDM: (
        Plan(pair="BTCUSDT", kind=_PERPETUAL, cycle_seconds=3600, dollars=2500, leverage=10),
        Plan(pair="ETHUSDT", kind=_PERPETUAL, cycle_seconds=120, dollars=900, leverage=20),
        Plan(pair="SOLUSDT", kind=_PERPETUAL, cycle_seconds=90, dollars=700, leverage=5, isolated=True),
        Plan(pair="币安人生USDT", kind=_PERPETUAL, cycle_seconds=60, dollars=120, leverage=5),
        Plan(pair="DOGEUSDT", kind=_PERPETUAL, cycle_seconds=72, dollars=150, leverage=5, only_orders=True),
        Plan(pair="BTCUSDT", kind=_QUARTER, cycle_seconds=240, dollars=600, leverage=5),
        Plan(pair="BTCUSDC", kind=_PERPETUAL, cycle_seconds=180, dollars=600, leverage=10),
        Plan(pair="ETHBTC", kind=_PERPETUAL, cycle_seconds=300, dollars=500, leverage=10),
    ),
    Market.COINM: (
        Plan(pair="BTCUSD", kind=_PERPETUAL, cycle_seconds=3600, dollars=2500, leverage=20),
        Plan(pair="ETHUSD", kind=_PERPETUAL, cycle_seconds=120, dollars=900, leverage=20),
        Plan(pair="SOLUSD", kind=_PERPETUAL, cycle_seconds=90, dollars=400, leverage=5, isolated=True),
        Plan(pair="XRPUSD", kind=_PERPETUAL, cycle_seconds=60, dollars=200, leverage=10),
        Plan(pair="DOGEUSD", kind=_PERPETUAL, cycle_seconds=72, dollars=150, leverage=5, only_orders=True),
        Plan(pair="BNBUSD", kind=_QUARTER, cycle_seconds=240, dollars=500, leverage=5),
    ),
}

# As listed by the exchange: in no order, untouched assets included; delisted coins and USD stay in COIN-M.
ASSETS = {
    Market.USDM: ("FDUSD", "U", "BNB", "ETH", "BTC", "USDT", "USD1", "USDC"),
    Market.COINM: (
        *("NEAR", "WLD", "BCH", "ADA", "XRP", "SAND", "UNI", "LUNA", "EOS", "DOT", "FTM", "USD", "SOL", "ETC", "BNB"),
        *("ETH", "TRX", "EGLD", "MATIC", "SUI", "BTC", "ALGO", "DOGE", "THETA", "AAVE", "AXS", "RUNE", "AVAX", "LTC"),
        *("XLM", "LINK", "FIL"),
    ),
}
CAPITAL = {
    Market.USDM: {
        "USDT": Decimal("5000.00000000"),
        "USDC": Decimal("2000.00000000"),
        "BTC": Decimal("0.05000000"),
        "BNB": Decimal("1.25000000"),
    },
    Market.COINM: {
        "BTC": Decimal("0.10000000"),
        "ETH": Decimal("1.50000000"),
        "SOL": Decimal("9.00000000"),
        "XRP": Decimal("900.00000000"),
        "DOGE": Decimal("4500.00000000"),
        "BNB": Decimal("2.50000000"),
        "ADA": Decimal("0.50000000"),
        "EOS": Decimal("10.00000000"),
    },
}
# A credit line of multi-assets accounts: the one wallet that is meant to be negative.
CREDIT = {"BNFCR": Decimal("-25.50000000")}
