"""Create positions.

Revises: 9a13aeaef961
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from poller.storage.tier import partition_clause, partition_table, tier_to_build

revision = "9ea4118fbaa9"
down_revision = "9a13aeaef961"


def upgrade() -> None:
    tier = tier_to_build(op.get_bind())
    op.create_table(
        "positions",
        sa.Column(
            "time",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The scheduled instant of the poll in exchange time, a multiple of the interval.",
        ),
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column(
            "symbol",
            sa.Text(),
            nullable=False,
            comment="Binance: symbol, such as BTCUSDT or BTCUSD_PERP; contracts has its assets and contract size.",
        ),
        sa.Column(
            "position_side",
            sa.Text(),
            nullable=False,
            comment="Binance: positionSide: BOTH in one-way mode, LONG or SHORT in hedge mode.",
        ),
        sa.Column(
            "position_amount",
            sa.Numeric(),
            nullable=True,
            comment=(
                "Binance: positionAmt. Negative when short. usdm: in units of the base asset; coinm: in contracts."
            ),
        ),
        sa.Column(
            "unrealized_pnl",
            sa.Numeric(),
            nullable=True,
            comment="Binance: unrealizedProfit. In units of the symbol's margin asset.",
        ),
        sa.Column(
            "notional",
            sa.Numeric(),
            nullable=True,
            comment=(
                "Binance: notional (usdm), notionalValue (coinm). Negative when short. In units of the symbol's "
                "margin asset."
            ),
        ),
        sa.Column(
            "initial_margin",
            sa.Numeric(),
            nullable=True,
            comment="Binance: initialMargin. In units of the symbol's margin asset.",
        ),
        sa.Column(
            "maintenance_margin",
            sa.Numeric(),
            nullable=True,
            comment="Binance: maintMargin. In units of the symbol's margin asset.",
        ),
        sa.Column(
            "position_initial_margin",
            sa.Numeric(),
            nullable=True,
            comment="Binance: positionInitialMargin (coinm). In units of the symbol's margin asset.",
        ),
        sa.Column(
            "open_order_initial_margin",
            sa.Numeric(),
            nullable=True,
            comment="Binance: openOrderInitialMargin (coinm). In units of the symbol's margin asset.",
        ),
        sa.Column(
            "isolated_margin",
            sa.Numeric(),
            nullable=True,
            comment="Binance: isolatedMargin (usdm). In units of the symbol's margin asset; 0 when cross.",
        ),
        sa.Column(
            "isolated_wallet",
            sa.Numeric(),
            nullable=True,
            comment="Binance: isolatedWallet. In units of the symbol's margin asset; 0 when cross.",
        ),
        sa.Column(
            "entry_price",
            sa.Numeric(),
            nullable=True,
            comment="Binance: entryPrice (coinm). In units of the quote asset for one unit of the base coin.",
        ),
        sa.Column(
            "break_even_price",
            sa.Numeric(),
            nullable=True,
            comment="Binance: breakEvenPrice (coinm). In units of the quote asset for one unit of the base coin.",
        ),
        sa.Column(
            "leverage",
            sa.Numeric(),
            nullable=True,
            comment="Binance: leverage (coinm). A multiple; 0 on a symbol that was never touched.",
        ),
        sa.Column(
            "isolated",
            sa.Boolean(),
            nullable=True,
            comment="Binance: isolated (coinm). Whether the position has a margin of its own.",
        ),
        sa.Column(
            "max_quantity",
            sa.Numeric(),
            nullable=True,
            comment=(
                "Binance: maxQty (coinm). The largest quantity that the leverage allows; Binance does not state "
                "its unit, and sends 9223372036854775807 for no limit."
            ),
        ),
        sa.Column(
            "exchange_updated_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Binance: updateTime: last change of this position; null when 0.",
        ),
        sa.Column(
            "extra", postgresql.JSONB(), nullable=True, comment="Fields of the row that Binance does not document."
        ),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_positions_market")),
        sa.PrimaryKeyConstraint("time", "account", "market", "symbol", "position_side", name=op.f("pk_positions")),
        schema="poller",
        postgresql_partition_by=partition_clause(tier),
        comment=(
            "One row for every position that is not zero in an ok poll; one without a row is closed at that "
            "instant. The amount can be zero while orders hold margin. The margin asset of a coinm symbol is "
            "its base coin."
        ),
    )
    partition_table(op.get_bind(), tier, "positions")


def downgrade() -> None:
    op.drop_table("positions", schema="poller")
