"""${message}.

Revises: ${", ".join(down_revision) if isinstance(down_revision, tuple) else down_revision or "nothing"}
"""

# A migration here
# - makes one change, and its file's name says which, as an order: create_funding, not funding_changes;
# - leaves a schema that the release before can still write to: it may be running;
# - holds no lock for long: lock_timeout is 5 s and statement_timeout 60 s. Backfills get a migration of their own, in
#   batches; one that needs longer says so: op.execute("SET LOCAL statement_timeout = '10min'");
# - works on plain partitions and on hypertables (poller/storage/tier.py). Tables with compressed chunks allow no more
#   than to add a column without a default or with a constant one, to drop a column, and to add a CHECK;
# - comments every table and column, with units, as poller/storage/tables.py does;
# - imports nothing of the package but poller.storage.tier: what it does may not change with the code;
# - has a downgrade that works, even if that loses what the upgrade made room for.
# Delete these lines once they are true.

import sqlalchemy as sa
from alembic import op${"\n" + imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${"\n".join(line for line in (upgrades or "raise NotImplementedError").splitlines() if "###" not in line).strip()}


def downgrade() -> None:
    ${"\n".join(line for line in (downgrades or "raise NotImplementedError").splitlines() if "###" not in line).strip()}
