"""Create dropped_history.

Revises: 8a3e5b7d9f10
"""

import sqlalchemy as sa
from alembic import op

revision = "1c7e0b94a6d3"
down_revision = "8a3e5b7d9f10"


def upgrade() -> None:
    op.create_table(
        "dropped_history",
        sa.Column("history", sa.Text(), nullable=False, comment="Name of the table of the history."),
        sa.Column(
            "before",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="End of what was dropped, itself excluded: of earlier times, rows are missing.",
        ),
        sa.Column(
            "dropped_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When rows were dropped for the last time, by the database's clock.",
        ),
        sa.PrimaryKeyConstraint("history", name=op.f("pk_dropped_history")),
        schema="poller",
        comment=(
            "How far each table of the history was dropped because of its age. Before that instant, the absence of a "
            "row says nothing."
        ),
    )


def downgrade() -> None:
    op.drop_table("dropped_history", schema="poller")
