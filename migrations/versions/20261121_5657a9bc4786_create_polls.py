"""Create polls and the schema for the partitions of history.

Revises: a195add258d3
"""

import sqlalchemy as sa
from alembic import op

from poller.storage.tier import partition_clause, partition_table, tier_to_build

revision = "5657a9bc4786"
down_revision = "a195add258d3"


def upgrade() -> None:
    # In a schema of their own, partitions neither clutter the analyst's list of tables nor look like drift to Alembic.
    op.execute("CREATE SCHEMA poller_parts")
    tier = tier_to_build(op.get_bind())
    op.create_table(
        "polls",
        sa.Column(
            "time",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The scheduled instant of the poll in exchange time, a multiple of the interval.",
        ),
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment=(
                "How the tick ended. A request was sent: ok, timeout, disconnected, rate_limited, banned, "
                "rejected, unauthorized, clock_skew, exchange_error, malformed. None was sent: paused (on "
                "purpose), disconnected (no connection), skipped (our process was late)."
            ),
        ),
        sa.Column(
            "replaced_status",
            sa.Text(),
            nullable=True,
            comment="What status was before an ok reply replaced it; else null.",
        ),
        sa.Column(
            "requested_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the request was sent, in exchange time; null when none was.",
        ),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the reply arrived, in exchange time; null when none did.",
        ),
        sa.Column(
            "stored_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row got its present content, by the database's clock.",
        ),
        sa.Column(
            "latency_ms",
            sa.BigInteger(),
            nullable=True,
            comment="Milliseconds from sending the request to receiving the reply, by a monotonic clock.",
        ),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="Requests sent for this tick."),
        sa.Column(
            "exchange_status", sa.Integer(), nullable=True, comment="Binance: status. HTTP-style status of the reply."
        ),
        sa.Column("error_code", sa.Integer(), nullable=True, comment="Binance: error.code, such as -1021."),
        sa.Column(
            "error_message",
            sa.Text(),
            nullable=True,
            comment="Why the tick is not ok: Binance: error.msg or our own words.",
        ),
        sa.Column(
            "weight_used",
            sa.Integer(),
            nullable=True,
            comment="Binance: rateLimits count. Request weight that our IP address has used in this minute.",
        ),
        sa.Column(
            "weight_limit",
            sa.Integer(),
            nullable=True,
            comment="Binance: rateLimits limit. Request weight that one IP address has in a minute.",
        ),
        sa.Column(
            "clock_offset_ms",
            sa.BigInteger(),
            nullable=True,
            comment="Milliseconds that the exchange was ahead of the host's clock; null before it was measured.",
        ),
        sa.Column(
            "assets_seen",
            sa.Integer(),
            nullable=True,
            comment="Assets in the reply, zero ones included; null unless ok.",
        ),
        sa.Column(
            "positions_seen",
            sa.Integer(),
            nullable=True,
            comment="Positions in the reply, zero ones included; null unless ok.",
        ),
        sa.Column("instance", sa.Text(), nullable=False, comment="The run that polled, see runs."),
        sa.Column(
            "renormalized_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the rows of this poll were made again from the kept reply; else null.",
        ),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_polls_market")),
        sa.CheckConstraint(
            (
                "status IN ('ok', 'timeout', 'disconnected', 'rate_limited', 'banned', 'rejected', "
                "'unauthorized', 'clock_skew', 'exchange_error', 'malformed', 'paused', 'skipped')"
            ),
            name=op.f("ck_polls_status"),
        ),
        sa.PrimaryKeyConstraint("time", "account", "market", name=op.f("pk_polls")),
        schema="poller",
        postgresql_partition_by=partition_clause(tier),
        comment=(
            "One row for every tick that a living process decided on, also the failed and the skipped. A "
            "tick without an ok row is unknown, see poll_gaps."
        ),
    )
    op.create_index(op.f("ix_polls_account_market_time"), "polls", ["account", "market", "time"], schema="poller")
    partition_table(op.get_bind(), tier, "polls")


def downgrade() -> None:
    op.drop_table("polls", schema="poller")
    op.execute("DROP SCHEMA poller_parts")
