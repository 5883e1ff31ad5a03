"""Add a columnstore to the history, in the tier that has one.

Revises: d52a9be07f16
"""

from alembic import op

from poller.storage.tier import add_columnstore, drop_columnstore, tier_to_build

revision = "b06f35e8c2d7"
down_revision = "d52a9be07f16"

_SEGMENTS = {
    "polls": ("account", "market"),
    "account_totals": ("account", "market"),
    "asset_balances": ("account", "market", "asset"),
    "positions": ("account", "market", "symbol", "position_side"),
    "raw_payloads": ("account", "market"),
}


def upgrade() -> None:
    tier = tier_to_build(op.get_bind())
    for table, segment_by in _SEGMENTS.items():
        add_columnstore(op.get_bind(), tier, table, segment_by)


def downgrade() -> None:
    op.execute("SET LOCAL statement_timeout = '60min'")  # all of the history becomes rows again
    tier = tier_to_build(op.get_bind())
    for table in _SEGMENTS:
        drop_columnstore(op.get_bind(), tier, table)
