"""Change the key of raw_payloads to an index.

Revises: 4d0c45cda1de
"""

from alembic import op

revision = "9b7c31e05d42"
down_revision = "4d0c45cda1de"

# The gate in polls keeps a reply from being stored twice. Replies lie in the order of time, and are read for whole
# spans of it: an index that knows the span of every few pages is enough, and takes next to nothing.


def upgrade() -> None:
    # Until the index is built, nobody can read or write: about a second for each million rows.
    op.execute("SET LOCAL statement_timeout = '10min'")
    op.execute("ALTER TABLE poller.raw_payloads DROP CONSTRAINT pk_raw_payloads")
    op.execute("CREATE INDEX ix_raw_payloads_time ON poller.raw_payloads USING brin (time) WITH (pages_per_range = 16)")


def downgrade() -> None:
    op.execute("SET LOCAL statement_timeout = '10min'")
    op.drop_index(op.f("ix_raw_payloads_time"), "raw_payloads", schema="poller")
    op.execute("ALTER TABLE poller.raw_payloads ADD CONSTRAINT pk_raw_payloads PRIMARY KEY (time, account, market)")
