"""The tables that are made from the history: few measures of each hour, kept when the rows behind them are dropped.

They are ordinary tables, the same on every kind of database, and only `poller.refresh_rollups` writes them. A save
tells it which hours it touched by a row of `rollup_queue`.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, Column, ColumnElement, Identity, Table, UniqueConstraint, func, literal

from poller.observation import Market
from poller.storage.columns import account, amount, instant, market, metadata, one_of, whole, words


def _hour() -> Column[datetime]:
    return instant("hour", "Begin of the hour, in UTC.", key=True)


def _key(*, primary: bool = True) -> tuple[Column[str], Column[str], Column[datetime]]:
    """Make what the key of an hour begins with: a chart is of one account and of many hours on end."""
    columns = account(), market(), _hour()
    for column in columns:
        column.primary_key = primary
    return columns


def _told_apart_by(table: str, *further: str) -> UniqueConstraint:
    """Make the key of rows that columns tell apart which can be null: a primary key does not allow that."""
    return UniqueConstraint(
        "account", "market", "hour", *further, name=f"uq_{table}", postgresql_nulls_not_distinct=True
    )


def _first_and_last(what: str) -> tuple[Column[datetime], Column[datetime]]:
    return instant("first_at", f"The first ok poll of the hour that has {what}."), instant(
        "last_at",
        f"The last ok poll of the hour that has {what}; where last_ok_at of hourly_ticks is later, it is zero.",
    )


rollup_queue: Final = Table(
    "rollup_queue",
    metadata,
    _hour(),
    account(),
    market(),
    # Without it, two savers of one hour would wait for each other, and a refresh could take away a row together with
    # a touch that it has not seen.
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Tells the touches of an hour apart."),
    comment="The hours whose rollups are to be made anew, a row for every save that touched them. Until then charts "
    "read the polls of these hours.",
)

hourly_ticks: Final = Table(
    "hourly_ticks",
    metadata,
    *_key(),
    whole("ticks_stored", "How many ok polls there are.", nullable=False),
    whole("ticks_failed", "How many polls there are that are not ok.", nullable=False),
    whole(
        "ticks_missed",
        "How many promised ticks have no ok poll, see promises and poll_gaps; while the hour lasts, of those that a "
        "poll has answered or followed or that are two intervals old.",
        nullable=False,
    ),
    instant("first_ok_at", "The first ok poll; null when there is none.", nullable=True),
    instant("last_ok_at", "The last ok poll; null when there is none.", nullable=True),
    one_of("market", Market),
    comment="How the ticks of every hour ended. An hour that was promised and has no poll at all has a row, too.",
)

hourly_equity: Final = Table(
    "hourly_equity",
    metadata,
    *_key(primary=False),
    words("scope", "asset: one asset, or account: all assets of a multi-assets account, in USD. See equity."),
    words("asset", "The unit of this row's amounts, such as USDT or BTC.", nullable=True),
    *_first_and_last("this row of equity"),
    amount("first_equity", "From equity: equity at first_at. In units of asset."),
    amount("last_equity", "From equity: equity at last_at. In units of asset."),
    amount("min_equity", "From equity: the lowest equity. In units of asset."),
    instant("min_at", "The first ok poll with min_equity.", nullable=True),
    amount("max_equity", "From equity: the highest equity. In units of asset."),
    instant("max_at", "The first ok poll with max_equity.", nullable=True),
    amount("last_wallet_balance", "From equity: wallet_balance at last_at. In units of asset."),
    amount("last_unrealized_pnl", "From equity: unrealized_pnl at last_at. In units of asset."),
    one_of("market", Market),
    _told_apart_by("hourly_equity", "scope", "asset"),
    comment="The equity of every asset, and in multi-assets mode of the account, in every hour: made from equity. "
    "Never add up rows of different assets.",
)

hourly_margin: Final = Table(
    "hourly_margin",
    metadata,
    *_key(primary=False),
    words("pool", "cross: shared by positions, or isolated: of one position."),
    words("asset", "The unit of this row's amounts; null while the unit of a position is unknown.", nullable=True),
    words("symbol", "Of an isolated position; else null.", nullable=True),
    words("position_side", "Of an isolated position; else null.", nullable=True),
    *_first_and_last("this pool"),
    amount("last_maintenance_margin", "From margin_pools: maintenance_margin at last_at. In units of asset."),
    amount("last_margin_balance", "From margin_pools: margin_balance at last_at. In units of asset."),
    amount(
        "max_margin_ratio",
        "From margin_pools: the highest margin_ratio. A multiple; null when margin_balance was never positive.",
    ),
    instant("max_margin_ratio_at", "The first ok poll with max_margin_ratio.", nullable=True),
    *(
        whole(
            f"seconds_above_{percent}",
            f"For how long maintenance_margin was above {percent} % of margin_balance, also where that was not "
            "positive: every such ok poll counts for the interval that was promised then, and for nothing outside of a "
            "promise.",
            nullable=False,
        )
        for percent in (50, 80, 95)
    ),
    whole("seconds_at_liquidation", "For how long at_liquidation was true, counted likewise.", nullable=False),
    one_of("market", Market),
    _told_apart_by("hourly_margin", "pool", "asset", "symbol", "position_side"),
    comment="How close every margin pool came to its liquidation in every hour: made from margin_pools.",
)

hourly_exposure: Final = Table(
    "hourly_exposure",
    metadata,
    *_key(primary=False),
    words("base_asset", "The coin that is traded, from contracts.", nullable=True),
    words("margin_asset", "The unit of this row's amounts, from contracts.", nullable=True),
    *_first_and_last("positions in base_asset"),
    amount("last_gross_exposure", "From exposure: gross_exposure at last_at. In units of margin_asset."),
    amount(
        "last_net_exposure", "From exposure: net_exposure at last_at, shorts being negative. In units of margin_asset."
    ),
    amount("max_gross_exposure", "From exposure: the highest gross_exposure. In units of margin_asset."),
    instant("max_gross_exposure_at", "The first ok poll with max_gross_exposure.", nullable=True),
    one_of("market", Market),
    _told_apart_by("hourly_exposure", "base_asset", "margin_asset"),
    comment="What the positions were worth by base asset in every hour, added up within one unit only: made from "
    "exposure.",
)

hourly_positions: Final = Table(
    "hourly_positions",
    metadata,
    *_key(),
    words("symbol", "Binance: symbol, such as BTCUSDT or BTCUSD_PERP.", key=True),
    words("position_side", "Binance: positionSide: BOTH in one-way mode, LONG or SHORT in hedge mode.", key=True),
    *_first_and_last("this position"),
    amount(
        "last_position_amount",
        "Binance: positionAmt at last_at, negative when short. usdm: in units of the base asset; coinm: in contracts.",
    ),
    amount(
        "last_exposure",
        "Binance: notional (usdm), notionalValue (coinm) at last_at, negative when short. In units of the symbol's "
        "margin asset.",
    ),
    amount("last_unrealized_pnl", "Binance: unrealizedProfit at last_at. In units of the symbol's margin asset."),
    one_of("market", Market),
    comment="Every position as it was last seen in every hour: made from positions.",
)


def hour_of(instant: ColumnElement[datetime]) -> ColumnElement[datetime]:
    """Return the begin of the hour of an instant, whatever the session's time zone is."""
    return func.date_bin(literal(timedelta(hours=1)), instant, literal(datetime(1970, 1, 1, tzinfo=UTC)))


HOURLY: Final = (hourly_ticks, hourly_equity, hourly_margin, hourly_exposure, hourly_positions)
"""The tables with measures of each hour."""
