"""Create asset_balances.

Revises: 46c2eebe6224
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from poller.storage.tier import partition_clause, partition_table, tier_to_build

revision = "9a13aeaef961"
down_revision = "46c2eebe6224"


def upgrade() -> None:
    tier = tier_to_build(op.get_bind())
    op.create_table(
        "asset_balances",
        sa.Column(
            "time",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The scheduled instant of the poll in exchange time, a multiple of the interval.",
        ),
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column(
            "asset",
            sa.Text(),
            nullable=False,
            comment="Binance: asset, such as USDT or BTC: the unit of this row's amounts.",
        ),
        sa.Column("wallet_balance", sa.Numeric(), nullable=True, comment="Binance: walletBalance. In units of asset."),
        sa.Column(
            "unrealized_pnl", sa.Numeric(), nullable=True, comment="Binance: unrealizedProfit. In units of asset."
        ),
        sa.Column("margin_balance", sa.Numeric(), nullable=True, comment="Binance: marginBalance. In units of asset."),
        sa.Column(
            "maintenance_margin", sa.Numeric(), nullable=True, comment="Binance: maintMargin. In units of asset."
        ),
        sa.Column("initial_margin", sa.Numeric(), nullable=True, comment="Binance: initialMargin. In units of asset."),
        sa.Column(
            "position_initial_margin",
            sa.Numeric(),
            nullable=True,
            comment="Binance: positionInitialMargin. In units of asset.",
        ),
        sa.Column(
            "open_order_initial_margin",
            sa.Numeric(),
            nullable=True,
            comment="Binance: openOrderInitialMargin. In units of asset.",
        ),
        sa.Column(
            "cross_wallet_balance",
            sa.Numeric(),
            nullable=True,
            comment="Binance: crossWalletBalance. In units of asset.",
        ),
        sa.Column(
            "cross_unrealized_pnl", sa.Numeric(), nullable=True, comment="Binance: crossUnPnl. In units of asset."
        ),
        sa.Column(
            "available_balance",
            sa.Numeric(),
            nullable=True,
            comment=(
                "Binance: availableBalance. In units of asset; in multi-assets mode the account's, converted: do "
                "not sum."
            ),
        ),
        sa.Column(
            "max_withdraw_amount",
            sa.Numeric(),
            nullable=True,
            comment=(
                "Binance: maxWithdrawAmount. In units of asset; in multi-assets mode a virtual figure: do not sum."
            ),
        ),
        sa.Column(
            "margin_available",
            sa.Boolean(),
            nullable=True,
            comment="Binance: marginAvailable (usdm). Not a sign of the asset mode; null when not sent.",
        ),
        sa.Column(
            "exchange_updated_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Binance: updateTime: last change of this asset; null when 0.",
        ),
        sa.Column(
            "extra", postgresql.JSONB(), nullable=True, comment="Fields of the row that Binance does not document."
        ),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_asset_balances_market")),
        sa.PrimaryKeyConstraint("time", "account", "market", "asset", name=op.f("pk_asset_balances")),
        schema="poller",
        postgresql_partition_by=partition_clause(tier),
        comment=(
            "One row for every asset that is not zero in an ok poll; an asset without a row is zero at that instant."
        ),
    )
    partition_table(op.get_bind(), tier, "asset_balances")


def downgrade() -> None:
    op.drop_table("asset_balances", schema="poller")
