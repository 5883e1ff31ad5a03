"""Constrain status in the polls that were there before.

Revises: b3f1c94d7e20
"""

from alembic import op

revision = "5d0e7a61f2c8"
down_revision = "b3f1c94d7e20"

_CONSTRAINT = "ck_polls_status"
_STATUSES = (
    "'ok', 'timeout', 'disconnected', 'rate_limited', 'banned', 'rejected', "
    "'unauthorized', 'clock_skew', 'exchange_error', 'malformed', 'paused', 'skipped', 'spool_full'"
)


def upgrade() -> None:
    op.execute("SET LOCAL statement_timeout = '10min'")  # as long as it takes to read the table, beside its writers
    op.execute(f"ALTER TABLE poller.polls VALIDATE CONSTRAINT {_CONSTRAINT}")


def downgrade() -> None:
    op.drop_constraint(op.f(_CONSTRAINT), "polls", schema="poller")
    op.create_check_constraint(
        op.f(_CONSTRAINT), "polls", f"status IN ({_STATUSES})", schema="poller", postgresql_not_valid=True
    )
