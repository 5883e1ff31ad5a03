"""Change account_modes: when modes were confirmed, and one last row for each account and market.

Revises: 3e25cab7fa2d
"""

import sqlalchemy as sa
from alembic import op

revision = "e74237f5dec9"
down_revision = "3e25cab7fa2d"

_COMMENTS = {
    "valid_from": (
        "Since when the modes are known to be so.",
        "Since when the modes are known to be so, in exchange time.",
    ),
    "valid_to": (
        "Until when they were, itself excluded; null while they are.",
        "When others were found, itself excluded; null while these are the last known.",
    ),
    "asset_mode": (
        "single_asset or multi_assets: whether assets share their margin; null when unknown.",
        "single_asset or multi_assets: whether assets share their margin; null when unknown and for coinm.",
    ),
    "source": (
        "Where the modes are known from.",
        "Where the modes are known from: exchange, when it told them itself.",
    ),
}


def upgrade() -> None:
    op.add_column(
        "account_modes",
        sa.Column(
            "confirmed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the modes were found to be so for the last time, in exchange time.",
        ),
        schema="poller",
    )
    # No release has written a row so far; somebody may have by hand.
    op.execute("UPDATE poller.account_modes SET confirmed_at = valid_from")
    op.alter_column("account_modes", "confirmed_at", nullable=False, schema="poller")
    op.create_check_constraint(
        op.f("ck_account_modes_confirmed_at"), "account_modes", "valid_from <= confirmed_at", schema="poller"
    )
    op.create_check_constraint(
        op.f("ck_account_modes_source"), "account_modes", "source IN ('config', 'exchange', 'payload')", schema="poller"
    )
    op.create_index(
        "uq_account_modes_last",
        "account_modes",
        ["account", "market"],
        unique=True,
        schema="poller",
        postgresql_where=sa.text("valid_to IS NULL"),
    )
    for column, (_, comment) in _COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN poller.account_modes.{column} IS '{comment}'")
    op.create_table_comment(
        "account_modes",
        "The modes of the accounts over time. They are asked for every hour or so: a switch lies between "
        "confirmed_at and valid_to.",
        schema="poller",
    )


def downgrade() -> None:
    op.drop_index("uq_account_modes_last", "account_modes", schema="poller")
    op.drop_constraint(op.f("ck_account_modes_source"), "account_modes", schema="poller")
    op.drop_column("account_modes", "confirmed_at", schema="poller")
    for column, (comment, _) in _COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN poller.account_modes.{column} IS '{comment}'")
    op.create_table_comment("account_modes", "The modes of the accounts over time.", schema="poller")
