"""Create runs and schedules.

Revises: 6b2911c7e8b9
"""

import sqlalchemy as sa
from alembic import op

revision = "a195add258d3"
down_revision = "6b2911c7e8b9"


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("instance", sa.Text(), nullable=False, comment="Identity of this run of the daemon."),
        sa.Column(
            "recorder",
            sa.Text(),
            nullable=False,
            comment="Identity of the daemon's spool: the runs of one recorder follow each other.",
        ),
        sa.Column("version", sa.Text(), nullable=False, comment="The release that ran."),
        sa.Column("schema_revision", sa.Text(), nullable=False, comment="Revision of the schema that it wrote to."),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=False, comment="When it began to poll, in exchange time."
        ),
        sa.Column(
            "stopped_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it ended in good order, in exchange time; null while it runs and after a crash.",
        ),
        sa.Column("stop_reason", sa.Text(), nullable=True, comment="Why it ended in good order."),
        sa.PrimaryKeyConstraint("instance", name=op.f("pk_runs")),
        schema="poller",
        comment=(
            "Every run of the daemon. A run without stopped_at that another of its recorder followed has crashed."
        ),
    )
    op.create_table(
        "schedules",
        sa.Column("recorder", sa.Text(), nullable=False, comment="Who promised, see runs."),
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column(
            "interval_seconds",
            sa.Integer(),
            nullable=False,
            comment="Seconds between two polls; ticks are the multiples of it since 1970-01-01 UTC.",
        ),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False, comment="First instant of the promise."),
        sa.Column(
            "valid_to",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="End of the promise, itself excluded; null while it holds.",
        ),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_schedules_market")),
        sa.CheckConstraint("interval_seconds > 0", name=op.f("ck_schedules_interval_seconds")),
        sa.CheckConstraint("valid_from <= valid_to", name=op.f("ck_schedules_valid_to")),
        sa.ForeignKeyConstraint(["account"], ["poller.accounts.account"], name=op.f("fk_schedules_account_accounts")),
        sa.PrimaryKeyConstraint("recorder", "account", "market", "valid_from", name=op.f("pk_schedules")),
        schema="poller",
        comment="What was promised to be polled: with polls and runs it makes every expected tick countable.",
    )


def downgrade() -> None:
    op.drop_table("schedules", schema="poller")
    op.drop_table("runs", schema="poller")
