"""Constrain asset_mode_source in the rows that were there before.

Revises: c8ce532ce51e
"""

from alembic import op

revision = "3e25cab7fa2d"
down_revision = "c8ce532ce51e"

_CONSTRAINT = "ck_account_totals_asset_mode_source"


def upgrade() -> None:
    op.execute("SET LOCAL statement_timeout = '10min'")  # as long as it takes to read the table, beside its writers
    op.execute(f"ALTER TABLE poller.account_totals VALIDATE CONSTRAINT {_CONSTRAINT}")


def downgrade() -> None:
    op.drop_constraint(op.f(_CONSTRAINT), "account_totals", schema="poller")
    op.create_check_constraint(
        op.f(_CONSTRAINT),
        "account_totals",
        "asset_mode_source IN ('config', 'exchange', 'payload')",
        schema="poller",
        postgresql_not_valid=True,
    )
