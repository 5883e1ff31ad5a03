"""Create contracts.

Revises: 9ea4118fbaa9
"""

import sqlalchemy as sa
from alembic import op

revision = "93f4e6989f95"
down_revision = "9ea4118fbaa9"


def upgrade() -> None:
    op.create_table(
        "contracts",
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column("symbol", sa.Text(), nullable=False, comment="Binance: symbol."),
        sa.Column("base_asset", sa.Text(), nullable=False, comment="Binance: baseAsset."),
        sa.Column("quote_asset", sa.Text(), nullable=False, comment="Binance: quoteAsset: the unit of prices."),
        sa.Column(
            "margin_asset",
            sa.Text(),
            nullable=False,
            comment="Binance: marginAsset: the unit of margins, profits and notional.",
        ),
        sa.Column(
            "contract_size",
            sa.Numeric(),
            nullable=True,
            comment="Binance: contractSize (coinm). What one contract is worth, in units of quote_asset.",
        ),
        sa.Column(
            "contract_type",
            sa.Text(),
            nullable=False,
            comment="Binance: contractType, such as PERPETUAL or CURRENT_QUARTER.",
        ),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_contracts_market")),
        sa.PrimaryKeyConstraint("market", "symbol", name=op.f("pk_contracts")),
        schema="poller",
        comment=(
            "What a symbol is, from the exchange's public exchangeInfo; without it no amount of positions has a unit."
        ),
    )


def downgrade() -> None:
    op.drop_table("contracts", schema="poller")
