"""Change the key of account_totals to begin with account and market.

Revises: 9b7c31e05d42
"""

from alembic import op

revision = "c41d8e6f7a93"
down_revision = "9b7c31e05d42"

# There is a row for every ok poll and for no other: the last ok poll of an account is then the last entry, also where
# nothing but failures came since.


def upgrade() -> None:
    # Until the index is built, nobody can read or write: about a second for each million rows.
    op.execute("SET LOCAL statement_timeout = '10min'")
    op.execute("ALTER TABLE poller.account_totals DROP CONSTRAINT pk_account_totals")
    op.execute(
        "ALTER TABLE poller.account_totals ADD CONSTRAINT pk_account_totals PRIMARY KEY (account, market, time) "
        "WITH (fillfactor = 100)"
    )


def downgrade() -> None:
    op.execute("SET LOCAL statement_timeout = '10min'")
    op.execute("ALTER TABLE poller.account_totals DROP CONSTRAINT pk_account_totals")
    op.execute("ALTER TABLE poller.account_totals ADD CONSTRAINT pk_account_totals PRIMARY KEY (time, account, market)")
