"""Change the chunks of hypertables: those that are made from now on span a month, as partitions do.

Revises: 7bdcdd55ddcd
"""

from alembic import op

from poller.storage.tier import set_part_interval, tier_to_build

revision = "4199b31d0839"
down_revision = "7bdcdd55ddcd"

# What joins two tables by time considers every chunk for every row: a year of weeks costs four times what months do.
# raw_payloads has days, since it is dropped by days.
_BY_MONTHS = ("polls", "account_totals", "asset_balances", "positions")


def upgrade() -> None:
    _set_interval("30 days")


def downgrade() -> None:
    _set_interval("7 days")


def _set_interval(interval: str) -> None:
    tier = tier_to_build(op.get_bind())
    for table in _BY_MONTHS:
        set_part_interval(op.get_bind(), tier, table, interval)
