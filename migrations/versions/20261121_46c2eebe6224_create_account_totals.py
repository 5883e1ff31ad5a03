"""Create account_totals.

Revises: 5657a9bc4786
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from poller.storage.tier import partition_clause, partition_table, tier_to_build

revision = "46c2eebe6224"
down_revision = "5657a9bc4786"


def upgrade() -> None:
    tier = tier_to_build(op.get_bind())
    op.create_table(
        "account_totals",
        sa.Column(
            "time",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The scheduled instant of the poll in exchange time, a multiple of the interval.",
        ),
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column(
            "asset_mode",
            sa.Text(),
            nullable=True,
            comment="single_asset or multi_assets: whether assets share their margin; null when unknown.",
        ),
        sa.Column(
            "asset_mode_source", sa.Text(), nullable=True, comment="Where asset_mode is known from: config or payload."
        ),
        sa.Column(
            "totals_asset",
            sa.Text(),
            nullable=True,
            comment="USDT or USD: the unit of the totals; null when unknown and for coinm.",
        ),
        sa.Column(
            "wallet_balance",
            sa.Numeric(),
            nullable=True,
            comment="Binance: totalWalletBalance (usdm). In units of totals_asset.",
        ),
        sa.Column(
            "unrealized_pnl",
            sa.Numeric(),
            nullable=True,
            comment="Binance: totalUnrealizedProfit (usdm). In units of totals_asset.",
        ),
        sa.Column(
            "margin_balance",
            sa.Numeric(),
            nullable=True,
            comment="Binance: totalMarginBalance (usdm). In units of totals_asset.",
        ),
        sa.Column(
            "initial_margin",
            sa.Numeric(),
            nullable=True,
            comment="Binance: totalInitialMargin (usdm). In units of totals_asset.",
        ),
        sa.Column(
            "maintenance_margin",
            sa.Numeric(),
            nullable=True,
            comment="Binance: totalMaintMargin (usdm). In units of totals_asset.",
        ),
        sa.Column(
            "position_initial_margin",
            sa.Numeric(),
            nullable=True,
            comment="Binance: totalPositionInitialMargin (usdm). In units of totals_asset.",
        ),
        sa.Column(
            "open_order_initial_margin",
            sa.Numeric(),
            nullable=True,
            comment="Binance: totalOpenOrderInitialMargin (usdm). In units of totals_asset.",
        ),
        sa.Column(
            "cross_wallet_balance",
            sa.Numeric(),
            nullable=True,
            comment="Binance: totalCrossWalletBalance (usdm). In units of totals_asset.",
        ),
        sa.Column(
            "cross_unrealized_pnl",
            sa.Numeric(),
            nullable=True,
            comment="Binance: totalCrossUnPnl (usdm). In units of totals_asset.",
        ),
        sa.Column(
            "available_balance",
            sa.Numeric(),
            nullable=True,
            comment="Binance: availableBalance (usdm). In units of totals_asset.",
        ),
        sa.Column(
            "max_withdraw_amount",
            sa.Numeric(),
            nullable=True,
            comment="Binance: maxWithdrawAmount (usdm). In units of totals_asset.",
        ),
        sa.Column("fee_tier", sa.Integer(), nullable=True, comment="Binance: feeTier (coinm)."),
        sa.Column("can_trade", sa.Boolean(), nullable=True, comment="Binance: canTrade (coinm)."),
        sa.Column("can_deposit", sa.Boolean(), nullable=True, comment="Binance: canDeposit (coinm)."),
        sa.Column("can_withdraw", sa.Boolean(), nullable=True, comment="Binance: canWithdraw (coinm)."),
        sa.Column(
            "exchange_updated_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Binance: updateTime (coinm); null when 0.",
        ),
        sa.Column(
            "extra",
            postgresql.JSONB(),
            nullable=True,
            comment="Fields of the reply that Binance does not document; those of its envelope under $envelope.",
        ),
        sa.CheckConstraint("asset_mode IN ('single_asset', 'multi_assets')", name=op.f("ck_account_totals_asset_mode")),
        sa.CheckConstraint(
            "asset_mode_source IN ('config', 'payload')", name=op.f("ck_account_totals_asset_mode_source")
        ),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_account_totals_market")),
        sa.PrimaryKeyConstraint("time", "account", "market", name=op.f("pk_account_totals")),
        schema="poller",
        postgresql_partition_by=partition_clause(tier),
        comment=(
            "The account-wide part of every ok poll. Totals exist for usdm only: in single-asset mode they "
            "cover USDT alone, in multi-assets mode all assets in USD."
        ),
    )
    partition_table(op.get_bind(), tier, "account_totals")


def downgrade() -> None:
    op.drop_table("account_totals", schema="poller")
