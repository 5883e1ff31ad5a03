"""Change the key of positions to an index.

Revises: e4ea60a50a66
"""

from alembic import op

revision = "4d0c45cda1de"
down_revision = "e4ea60a50a66"

# The gate in polls keeps the rows of a tick from being stored twice, and the normaliser refuses a reply that has a
# position twice. An index that need not be unique lists the rows of a poll under one entry: 14 bytes a row, not 50.


def upgrade() -> None:
    # Until the index is built, nobody can read or write: about a second for each million rows.
    op.execute("SET LOCAL statement_timeout = '10min'")
    op.execute("ALTER TABLE poller.positions DROP CONSTRAINT pk_positions")
    op.execute("CREATE INDEX ix_positions_time_account ON poller.positions (time, account) WITH (fillfactor = 100)")


def downgrade() -> None:
    op.execute("SET LOCAL statement_timeout = '10min'")
    op.drop_index(op.f("ix_positions_time_account"), "positions", schema="poller")
    op.execute(
        "ALTER TABLE poller.positions ADD CONSTRAINT pk_positions "
        "PRIMARY KEY (time, account, market, symbol, position_side)"
    )
