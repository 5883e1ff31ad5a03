"""Create raw_payloads and rejected_payloads.

Revises: 93f4e6989f95
"""

import sqlalchemy as sa
from alembic import op

from poller.storage.tier import partition_clause, partition_table, tier_to_build

revision = "ff92ea81f29a"
down_revision = "93f4e6989f95"


def upgrade() -> None:
    tier = tier_to_build(op.get_bind())
    op.create_table(
        "raw_payloads",
        sa.Column(
            "time",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The scheduled instant of the poll in exchange time, a multiple of the interval.",
        ),
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column("codec", sa.SmallInteger(), nullable=False, comment="How body is compressed."),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="The reply as received, compressed."),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_raw_payloads_market")),
        sa.PrimaryKeyConstraint("time", "account", "market", name=op.f("pk_raw_payloads")),
        schema="poller",
        postgresql_partition_by=partition_clause(tier),
        comment="The reply behind every ok poll, kept for a limited time.",
    )
    # The bytes are compressed already.
    op.execute("ALTER TABLE poller.raw_payloads ALTER COLUMN body SET STORAGE EXTERNAL")
    partition_table(op.get_bind(), tier, "raw_payloads")
    op.create_table(
        "rejected_payloads",
        sa.Column(
            "time",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The scheduled instant of the poll in exchange time, a multiple of the interval.",
        ),
        sa.Column("account", sa.Text(), nullable=False, comment="Our permanent label of the API key."),
        sa.Column("market", sa.Text(), nullable=False, comment="usdm: USDⓈ-M futures, coinm: COIN-M futures."),
        sa.Column(
            "environment", sa.Text(), nullable=False, comment="live, testnet or simulated: which exchange replied."
        ),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the reply arrived, in exchange time.",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why the reply could not be normalised or stored."),
        sa.Column("codec", sa.SmallInteger(), nullable=False, comment="How body is compressed."),
        sa.Column(
            "body",
            sa.LargeBinary(),
            nullable=True,
            comment="The reply, compressed: whole up to 1 MiB, else its first 64 KiB; null when none was kept.",
        ),
        sa.Column(
            "body_bytes",
            sa.BigInteger(),
            nullable=True,
            comment="Length of the whole reply in bytes, before compression.",
        ),
        sa.Column(
            "body_sha256", sa.LargeBinary(), nullable=True, comment="SHA-256 of the whole reply, before compression."
        ),
        sa.CheckConstraint(
            "environment IN ('live', 'testnet', 'simulated')", name=op.f("ck_rejected_payloads_environment")
        ),
        sa.CheckConstraint("market IN ('usdm', 'coinm')", name=op.f("ck_rejected_payloads_market")),
        sa.PrimaryKeyConstraint("time", "account", "market", "environment", name=op.f("pk_rejected_payloads")),
        schema="poller",
        comment=(
            "Replies that could not be normalised or stored, until a release understands them; never dropped "
            "by age. One without a malformed poll is from another environment than its account or from an "
            "impossible time."
        ),
    )
    op.execute("ALTER TABLE poller.rejected_payloads ALTER COLUMN body SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.drop_table("rejected_payloads", schema="poller")
    op.drop_table("raw_payloads", schema="poller")
