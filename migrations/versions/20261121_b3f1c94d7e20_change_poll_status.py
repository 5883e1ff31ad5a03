"""Change status of polls: spool_full is one.

Revises: 7acf851f0559
"""

from alembic import op

revision = "b3f1c94d7e20"
down_revision = "7acf851f0559"

_CONSTRAINT = "ck_polls_status"
_OLD_STATUSES = (
    "'ok', 'timeout', 'disconnected', 'rate_limited', 'banned', 'rejected', "
    "'unauthorized', 'clock_skew', 'exchange_error', 'malformed', 'paused', 'skipped'"
)
_COMMENT = (
    "How the tick ended. A request was sent: ok, timeout, disconnected, rate_limited, banned, rejected, "
    "unauthorized, clock_skew, exchange_error, malformed. None was sent: paused (on purpose), disconnected "
    "(no connection), skipped (our process was late). Either: spool_full (there was no room to keep it)."
)
_OLD_COMMENT = _COMMENT.removesuffix(" Either: spool_full (there was no room to keep it).")

# New partitions take the comments of the table; those that exist keep theirs.
_COMMENT_EVERYWHERE = """
DO $$
DECLARE
    part regclass;
BEGIN
    COMMENT ON COLUMN poller.polls.status IS '{comment}';
    FOR part IN
        SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON pg_class.oid = inhparent
        WHERE inhparent = 'poller.polls'::regclass AND relkind = 'p'
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.status IS %L', part, '{comment}');
    END LOOP;
END
$$
"""


def upgrade() -> None:
    op.drop_constraint(op.f(_CONSTRAINT), "polls", schema="poller")
    # To look at all rows would take as long as they are many, and nothing could be stored meanwhile; the next migration
    # does it without a lock.
    op.create_check_constraint(
        op.f(_CONSTRAINT),
        "polls",
        f"status IN ({_OLD_STATUSES}, 'spool_full')",
        schema="poller",
        postgresql_not_valid=True,
    )
    op.execute(_COMMENT_EVERYWHERE.format(comment=_COMMENT))


def downgrade() -> None:
    op.drop_constraint(op.f(_CONSTRAINT), "polls", schema="poller")
    op.execute("UPDATE poller.polls SET status = 'skipped' WHERE status = 'spool_full'")
    op.execute("UPDATE poller.polls SET replaced_status = 'skipped' WHERE replaced_status = 'spool_full'")
    op.create_check_constraint(op.f(_CONSTRAINT), "polls", f"status IN ({_OLD_STATUSES})", schema="poller")
    op.execute(_COMMENT_EVERYWHERE.format(comment=_OLD_COMMENT))
