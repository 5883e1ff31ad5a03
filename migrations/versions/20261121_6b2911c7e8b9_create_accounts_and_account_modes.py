"""Create accounts and account_modes.

Revises: nothing
"""

import sqlalchemy as sa
from alembic import op

revision = "6b2911c7e8b9"
down_revision = None


def upgrade() -> None:
    op.execute("COMMENT ON TABLE poller.alembic_version IS 'The revision of this schema.'")
    op.execute("COMMENT ON COLUMN poller.alembic_version.version_num IS 'Its identifier in migrations/versions.'")
    op.create_table(
        "accounts",
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key; never the key."),
        sa.Column(
            "environment",
            sa.Text(),
            nullable=False,
            comment="live, testnet or simulated: which exchange the account belongs to, for ever.",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the label was first used, by the database's clock.",
        ),
        sa.CheckConstraint("environment IN ('live', 'testnet', 'simulated')", name=op.f("ck_accounts_environment")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_accounts")),
        schema="poller",
        comment="The accounts that were ever recorded.",
    )
    op.create_table(
        "account_modes",
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column(
            "valid_from", sa.DateTime(timezone=True), nullable=False, comment="Since when the modes are known to be so."
        ),
        sa.Column(
            "valid_to",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Until when they were, itself excluded; null while they are.",
        ),
        sa.Column(
            "asset_mode",
            sa.Text(),
            nullable=True,
            comment="single_asset or multi_assets: whether assets share their margin; null when unknown.",
        ),
        sa.Column(
            "position_mode",
            sa.Text(),
            nullable=True,
            comment="one_way or hedge: whether long and short are kept apart; null when unknown.",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="Where the modes are known from."),
        sa.CheckConstraint("asset_mode IN ('single_asset', 'multi_assets')", name=op.f("ck_account_modes_asset_mode")),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_account_modes_market")),
        sa.CheckConstraint("position_mode IN ('one_way', 'hedge')", name=op.f("ck_account_modes_position_mode")),
        sa.CheckConstraint("valid_from <= valid_to", name=op.f("ck_account_modes_valid_to")),
        sa.ForeignKeyConstraint(
            ["account"], ["poller.accounts.account"], name=op.f("fk_account_modes_account_accounts")
        ),
        sa.PrimaryKeyConstraint("account", "market", "valid_from", name=op.f("pk_account_modes")),
        schema="poller",
        comment="The modes of the accounts over time.",
    )


def downgrade() -> None:
    op.drop_table("account_modes", schema="poller")
    op.drop_table("accounts", schema="poller")
