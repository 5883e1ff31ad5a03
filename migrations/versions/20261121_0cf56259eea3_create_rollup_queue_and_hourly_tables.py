"""Create rollup_queue and hourly tables.

Revises: 47d1ea80b95c
"""

import sqlalchemy as sa
from alembic import op

revision = "0cf56259eea3"
down_revision = "47d1ea80b95c"


def upgrade() -> None:
    op.create_table(
        "hourly_equity",
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False, comment="Begin of the hour, in UTC."),
        sa.Column(
            "scope",
            sa.Text(),
            nullable=False,
            comment="asset: one asset, or account: all assets of a multi-assets account, in USD. See equity.",
        ),
        sa.Column("asset", sa.Text(), nullable=True, comment="The unit of this row's amounts, such as USDT or BTC."),
        sa.Column(
            "first_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The first ok poll of the hour that has this row of equity.",
        ),
        sa.Column(
            "last_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment=(
                "The last ok poll of the hour that has this row of equity; where last_ok_at of hourly_ticks is "
                "later, it is zero."
            ),
        ),
        sa.Column(
            "first_equity", sa.Numeric(), nullable=True, comment="From equity: equity at first_at. In units of asset."
        ),
        sa.Column(
            "last_equity", sa.Numeric(), nullable=True, comment="From equity: equity at last_at. In units of asset."
        ),
        sa.Column(
            "min_equity", sa.Numeric(), nullable=True, comment="From equity: the lowest equity. In units of asset."
        ),
        sa.Column("min_at", sa.DateTime(timezone=True), nullable=True, comment="The first ok poll with min_equity."),
        sa.Column(
            "max_equity", sa.Numeric(), nullable=True, comment="From equity: the highest equity. In units of asset."
        ),
        sa.Column("max_at", sa.DateTime(timezone=True), nullable=True, comment="The first ok poll with max_equity."),
        sa.Column(
            "last_wallet_balance",
            sa.Numeric(),
            nullable=True,
            comment="From equity: wallet_balance at last_at. In units of asset.",
        ),
        sa.Column(
            "last_unrealized_pnl",
            sa.Numeric(),
            nullable=True,
            comment="From equity: unrealized_pnl at last_at. In units of asset.",
        ),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_hourly_equity_market")),
        sa.UniqueConstraint(
            "account",
            "market",
            "hour",
            "scope",
            "asset",
            name=op.f("uq_hourly_equity"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="poller",
        comment=(
            "The equity of every asset, and in multi-assets mode of the account, in every hour: made from equity. "
            "Never add up rows of different assets."
        ),
    )
    op.create_table(
        "hourly_exposure",
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False, comment="Begin of the hour, in UTC."),
        sa.Column("base_asset", sa.Text(), nullable=True, comment="The coin that is traded, from contracts."),
        sa.Column("margin_asset", sa.Text(), nullable=True, comment="The unit of this row's amounts, from contracts."),
        sa.Column(
            "first_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The first ok poll of the hour that has positions in base_asset.",
        ),
        sa.Column(
            "last_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment=(
                "The last ok poll of the hour that has positions in base_asset; where last_ok_at of hourly_ticks is "
                "later, it is zero."
            ),
        ),
        sa.Column(
            "last_gross_exposure",
            sa.Numeric(),
            nullable=True,
            comment="From exposure: gross_exposure at last_at. In units of margin_asset.",
        ),
        sa.Column(
            "last_net_exposure",
            sa.Numeric(),
            nullable=True,
            comment="From exposure: net_exposure at last_at, shorts being negative. In units of margin_asset.",
        ),
        sa.Column(
            "max_gross_exposure",
            sa.Numeric(),
            nullable=True,
            comment="From exposure: the highest gross_exposure. In units of margin_asset.",
        ),
        sa.Column(
            "max_gross_exposure_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="The first ok poll with max_gross_exposure.",
        ),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_hourly_exposure_market")),
        sa.UniqueConstraint(
            "account",
            "market",
            "hour",
            "base_asset",
            "margin_asset",
            name=op.f("uq_hourly_exposure"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="poller",
        comment=(
            "What the positions were worth by base asset in every hour, added up within one unit only: made from "
            "exposure."
        ),
    )
    op.create_table(
        "hourly_margin",
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False, comment="Begin of the hour, in UTC."),
        sa.Column(
            "pool", sa.Text(), nullable=False, comment="cross: shared by positions, or isolated: of one position."
        ),
        sa.Column(
            "asset",
            sa.Text(),
            nullable=True,
            comment="The unit of this row's amounts; null while the unit of a position is unknown.",
        ),
        sa.Column("symbol", sa.Text(), nullable=True, comment="Of an isolated position; else null."),
        sa.Column("position_side", sa.Text(), nullable=True, comment="Of an isolated position; else null."),
        sa.Column(
            "first_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The first ok poll of the hour that has this pool.",
        ),
        sa.Column(
            "last_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment=(
                "The last ok poll of the hour that has this pool; where last_ok_at of hourly_ticks is later, it is "
                "zero."
            ),
        ),
        sa.Column(
            "last_maintenance_margin",
            sa.Numeric(),
            nullable=True,
            comment="From margin_pools: maintenance_margin at last_at. In units of asset.",
        ),
        sa.Column(
            "last_margin_balance",
            sa.Numeric(),
            nullable=True,
            comment="From margin_pools: margin_balance at last_at. In units of asset.",
        ),
        sa.Column(
            "max_margin_ratio",
            sa.Numeric(),
            nullable=True,
            comment=(
                "From margin_pools: the highest margin_ratio. A multiple; null when margin_balance was never positive."
            ),
        ),
        sa.Column(
            "max_margin_ratio_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="The first ok poll with max_margin_ratio.",
        ),
        sa.Column(
            "seconds_above_50",
            sa.Integer(),
            nullable=False,
            comment=(
                "For how long maintenance_margin was above 50 % of margin_balance, also where that was not positive: "
                "every such ok poll counts for the interval that was promised then, and for nothing outside of a "
                "promise."
            ),
        ),
        sa.Column(
            "seconds_above_80",
            sa.Integer(),
            nullable=False,
            comment=(
                "For how long maintenance_margin was above 80 % of margin_balance, also where that was not positive: "
                "every such ok poll counts for the interval that was promised then, and for nothing outside of a "
                "promise."
            ),
        ),
        sa.Column(
            "seconds_above_95",
            sa.Integer(),
            nullable=False,
            comment=(
                "For how long maintenance_margin was above 95 % of margin_balance, also where that was not positive: "
                "every such ok poll counts for the interval that was promised then, and for nothing outside of a "
                "promise."
            ),
        ),
        sa.Column(
            "seconds_at_liquidation",
            sa.Integer(),
            nullable=False,
            comment="For how long at_liquidation was true, counted likewise.",
        ),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_hourly_margin_market")),
        sa.UniqueConstraint(
            "account",
            "market",
            "hour",
            "pool",
            "asset",
            "symbol",
            "position_side",
            name=op.f("uq_hourly_margin"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="poller",
        comment="How close every margin pool came to its liquidation in every hour: made from margin_pools.",
    )
    op.create_table(
        "hourly_positions",
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False, comment="Begin of the hour, in UTC."),
        sa.Column("symbol", sa.Text(), nullable=False, comment="Binance: symbol, such as BTCUSDT or BTCUSD_PERP."),
        sa.Column(
            "position_side",
            sa.Text(),
            nullable=False,
            comment="Binance: positionSide: BOTH in one-way mode, LONG or SHORT in hedge mode.",
        ),
        sa.Column(
            "first_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The first ok poll of the hour that has this position.",
        ),
        sa.Column(
            "last_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment=(
                "The last ok poll of the hour that has this position; where last_ok_at of hourly_ticks is later, it "
                "is zero."
            ),
        ),
        sa.Column(
            "last_position_amount",
            sa.Numeric(),
            nullable=True,
            comment=(
                "Binance: positionAmt at last_at, negative when short. usdm: in units of the base asset; coinm: in "
                "contracts."
            ),
        ),
        sa.Column(
            "last_exposure",
            sa.Numeric(),
            nullable=True,
            comment=(
                "Binance: notional (usdm), notionalValue (coinm) at last_at, negative when short. In units of the "
                "symbol's margin asset."
            ),
        ),
        sa.Column(
            "last_unrealized_pnl",
            sa.Numeric(),
            nullable=True,
            comment="Binance: unrealizedProfit at last_at. In units of the symbol's margin asset.",
        ),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_hourly_positions_market")),
        sa.PrimaryKeyConstraint(
            "account", "market", "hour", "symbol", "position_side", name=op.f("pk_hourly_positions")
        ),
        schema="poller",
        comment="Every position as it was last seen in every hour: made from positions.",
    )
    op.create_table(
        "hourly_ticks",
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False, comment="Begin of the hour, in UTC."),
        sa.Column("ticks_stored", sa.Integer(), nullable=False, comment="How many ok polls there are."),
        sa.Column("ticks_failed", sa.Integer(), nullable=False, comment="How many polls there are that are not ok."),
        sa.Column(
            "ticks_missed",
            sa.Integer(),
            nullable=False,
            comment=(
                "How many promised ticks have no ok poll, see promises and poll_gaps; while the hour lasts, of those "
                "that a poll has answered or followed or that are two intervals old."
            ),
        ),
        sa.Column(
            "first_ok_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="The first ok poll; null when there is none.",
        ),
        sa.Column(
            "last_ok_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="The last ok poll; null when there is none.",
        ),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_hourly_ticks_market")),
        sa.PrimaryKeyConstraint("account", "market", "hour", name=op.f("pk_hourly_ticks")),
        schema="poller",
        comment="How the ticks of every hour ended. An hour that was promised and has no poll at all has a row, too.",
    )
    op.create_table(
        "rollup_queue",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False, comment="Begin of the hour, in UTC."),
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Tells the touches of an hour apart.",
        ),
        sa.PrimaryKeyConstraint("hour", "account", "market", "id", name=op.f("pk_rollup_queue")),
        schema="poller",
        comment=(
            "The hours whose rollups are to be made anew, a row for every save that touched them. Until then charts "
            "read the polls of these hours."
        ),
    )


def downgrade() -> None:
    op.drop_table("rollup_queue", schema="poller")
    op.drop_table("hourly_ticks", schema="poller")
    op.drop_table("hourly_positions", schema="poller")
    op.drop_table("hourly_margin", schema="poller")
    op.drop_table("hourly_exposure", schema="poller")
    op.drop_table("hourly_equity", schema="poller")
