"""Queue every hour that has polls.

Revises: 5b91f3a6d0e8
"""

from alembic import op

revision = "a8e40b7c15d2"
down_revision = "5b91f3a6d0e8"

# Hours are looked up, not counted out of the polls: a year of them would take minutes to read.
_QUEUE = """
INSERT INTO poller.rollup_queue (hour, account, market)
SELECT hour, account, market
FROM poller.accounts
CROSS JOIN (VALUES ('usdm'), ('coinm')) AS markets(market)
CROSS JOIN LATERAL (
    SELECT min(time) AS first_tick, max(time) AS last_tick FROM poller.polls
    WHERE polls.account = accounts.account AND polls.market = markets.market
) AS span
CROSS JOIN LATERAL generate_series(date_bin('1 hour', first_tick, 'epoch'), last_tick, INTERVAL '1 hour') AS hour
WHERE EXISTS (
    SELECT FROM poller.polls
    WHERE polls.account = accounts.account AND polls.market = markets.market
        AND time >= hour AND time < hour + INTERVAL '1 hour'
)
"""


def upgrade() -> None:
    op.execute(_QUEUE)


def downgrade() -> None:
    op.execute("TRUNCATE poller.rollup_queue")
