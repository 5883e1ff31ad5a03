"""Change the key of polls to begin with account and market, and drop the index that did.

Revises: d9b25e70c4f6
"""

from alembic import op

revision = "ebd350ba670f"
down_revision = "d9b25e70c4f6"

# One index serves all: whoever asks for polls names their account, and the newest is then the last entry.


def upgrade() -> None:
    # Until the index is built, nobody can read or write: about a second for each million rows.
    op.execute("SET LOCAL statement_timeout = '10min'")
    op.drop_index(op.f("ix_polls_account_market_time"), "polls", schema="poller")
    op.execute("ALTER TABLE poller.polls DROP CONSTRAINT pk_polls")
    op.execute(
        "ALTER TABLE poller.polls ADD CONSTRAINT pk_polls PRIMARY KEY (account, market, time) WITH (fillfactor = 100)"
    )


def downgrade() -> None:
    op.execute("SET LOCAL statement_timeout = '10min'")
    op.execute("ALTER TABLE poller.polls DROP CONSTRAINT pk_polls")
    op.execute("ALTER TABLE poller.polls ADD CONSTRAINT pk_polls PRIMARY KEY (time, account, market)")
    op.create_index(op.f("ix_polls_account_market_time"), "polls", ["account", "market", "time"], schema="poller")
