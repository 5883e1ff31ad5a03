"""Who has an account in the made-up history, and what each does there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from poller.observation import AssetMode, Market, PositionMode
from tests.support.history.ledger import Ledger
from tests.support.history.listing import BEGIN, at


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade at the price of its instant; `isolated_wallet` opens a position with a margin of its own."""

    time: datetime
    symbol: str
    amount: str
    side: str = "BOTH"
    isolated_wallet: str = "0"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that comes in, or with a minus leaves."""

    time: datetime
    asset: str
    amount: str


@dataclass(frozen=True, slots=True)
class Orders:
    """Margin that orders hold without a position; 0 when they are gone."""

    time: datetime
    symbol: str
    margin: str


Event = Trade | Transfer | Orders


@dataclass(frozen=True, slots=True)
class Actor:
    """An account on one market.

    Attributes:
        wallets: What it has at the beginning.
        mode_known_from: Before that instant its asset mode is unknown.
    """

    account: str
    market: Market
    wallets: Mapping[str, str]
    events: tuple[Event, ...] = ()
    asset_mode: AssetMode | None = None
    position_mode: PositionMode = PositionMode.ONE_WAY
    mode_known_from: datetime = BEGIN

    @property
    def series(self) -> tuple[str, Market]:
        return self.account, self.market


def apply(ledger: Ledger, event: Event) -> None:
    """Let an event happen."""
    match event:
        case Trade():
            wallet = Decimal(event.isolated_wallet)
            ledger.trade(event.time, (event.symbol, event.side), Decimal(event.amount), isolated_wallet=wallet)
        case Transfer():
            ledger.book(event.time, event.asset, Decimal(event.amount))
        case Orders():
            ledger.order(event.time, event.symbol, Decimal(event.margin))


_MAIN: Final[Iterable[Event]] = (
    Trade(at(27, "01:03"), "BTCUSDT", "0.5"),
    Trade(at(27, "09:04"), "BTCUSDT", "0.25"),
    Trade(at(27, "20:02"), "SOLUSDT", "-200", isolated_wallet="1500"),
    Trade(at(28, "07:12"), "ETHUSDT", "8"),
    Orders(at(28, "10:01"), "BNBUSDT", "120"),
    Trade(at(28, "12:05"), "BTCUSDT", "-0.35"),
    Orders(at(28, "13:58"), "BNBUSDT", "0"),
    Trade(at(28, "15:47"), "ETHUSDT", "-8"),
    Trade(at(1, "03:05"), "BTCUSDC", "0.1"),
    Trade(at(1, "04:03"), "BTCUSDT_260327", "-0.2"),
    Trade(at(1, "08:06"), "BTCUSDT", "-0.8"),
    Transfer(at(1, "11:55"), "USDT", "5000"),
    # Between two polls: what is left of it is a change of the wallets alone.
    Trade(at(1, "17:02"), "ETHUSDT", "4"),
    Trade(at(1, "17:07"), "ETHUSDT", "-4"),
    Trade(at(2, "03:04"), "BTCUSDT_260327", "0.2"),
    Trade(at(2, "06:03"), "PUMPUSDT", "10000", isolated_wallet="1200"),
    Trade(at(2, "07:54"), "PUMPUSDT", "-10000"),
    Transfer(at(2, "09:25"), "USDC", "-2000"),
    Trade(at(2, "10:03"), "SOLUSDT", "200"),
    Trade(at(2, "13:31"), "ETHUSDT", "6"),
    Trade(at(2, "18:05"), "BTCUSDT", "0.4"),
)

_MAIN_COINM: Final[Iterable[Event]] = (
    Trade(at(27, "02:04"), "BTCUSD_PERP", "-300"),
    Trade(at(28, "05:05"), "ETHUSD_PERP", "400", isolated_wallet="0.6"),
    Trade(at(1, "09:06"), "BTCUSD_PERP", "-100"),
    Trade(at(2, "12:33"), "ETHUSD_PERP", "-400"),
)

_HEDGE: Final[Iterable[Event]] = (
    Trade(at(27, "02:02"), "BTCUSDT", "0.6", "LONG"),
    Trade(at(27, "02:02"), "BTCUSDT", "-0.45", "SHORT"),
    Trade(at(27, "14:03"), "SOLUSDT", "2600", "LONG"),
    Trade(at(28, "09:06"), "ETHUSDT", "20", "LONG"),
    Trade(at(28, "09:06"), "ETHUSDT", "-20", "SHORT"),
    Trade(at(1, "13:05"), "SOLUSDT", "2000", "LONG"),
    Trade(at(1, "18:03"), "ETHUSDT", "5", "SHORT"),
    Trade(at(2, "13:52"), "SOLUSDT", "-100", "LONG"),
    Trade(at(2, "19:04"), "BTCUSDT", "0.45", "SHORT"),
)

_NEW: Final[Iterable[Event]] = (
    Transfer(at(2, "09:35"), "USDT", "1000"),
    Trade(at(2, "11:03"), "DOGEUSDT", "5000"),
)

_SINGLE: Final = AssetMode.SINGLE_ASSET

ACTORS: Final = (
    Actor("hedge", Market.USDM, {"BTC": "0.3", "USDC": "5000", "USDT": "23500"}, tuple(_HEDGE),
          AssetMode.MULTI_ASSETS, PositionMode.HEDGE),
    Actor("main", Market.COINM, {"BTC": "0.8", "ETH": "5"}, tuple(_MAIN_COINM)),
    Actor("main", Market.USDM, {"BNB": "20", "USDC": "10000", "USDT": "50000"}, tuple(_MAIN), _SINGLE),
    # Its key may not read COIN-M.
    Actor("new", Market.COINM, {}),
    Actor("new", Market.USDM, {}, tuple(_NEW), _SINGLE, mode_known_from=at(2, "10:00")),
    Actor("old", Market.USDM, {"USDT": "3000"}, (Trade(at(27, "00:30"), "BTCUSDT", "0.1"),), _SINGLE),
)  # fmt: skip
