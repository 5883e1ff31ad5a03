"""Change contracts: which exchange lists them, and since when they are so.

Revises: e74237f5dec9
"""

import sqlalchemy as sa
from alembic import op

revision = "7acf851f0559"
down_revision = "e74237f5dec9"


def upgrade() -> None:
    # Rows that somebody may have made by hand do not say whose they are, and all can be asked for again.
    op.execute("DELETE FROM poller.contracts")
    op.add_column(
        "contracts",
        sa.Column(
            "environment",
            sa.Text(),
            nullable=False,
            comment="live, testnet or simulated: which exchange lists it, see accounts.",
        ),
        schema="poller",
    )
    op.add_column(
        "contracts",
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row got its present content, by the database's clock.",
        ),
        schema="poller",
    )
    op.alter_column("contracts", "contract_type", nullable=True, schema="poller")
    op.drop_constraint(op.f("pk_contracts"), "contracts", schema="poller")
    op.create_primary_key(op.f("pk_contracts"), "contracts", ["environment", "market", "symbol"], schema="poller")
    op.create_check_constraint(
        op.f("ck_contracts_environment"),
        "contracts",
        "environment IN ('live', 'testnet', 'simulated')",
        schema="poller",
    )
    op.create_table_comment(
        "contracts",
        "What a symbol is, from the exchange's public exchangeInfo; without it no amount of positions has a unit. "
        "A symbol that is listed no more keeps its row; a new one gets it within a day.",
        schema="poller",
    )


def downgrade() -> None:
    op.execute("DELETE FROM poller.contracts")
    op.drop_constraint(op.f("pk_contracts"), "contracts", schema="poller")
    op.drop_column("contracts", "environment", schema="poller")
    op.drop_column("contracts", "updated_at", schema="poller")
    op.create_primary_key(op.f("pk_contracts"), "contracts", ["market", "symbol"], schema="poller")
    op.alter_column("contracts", "contract_type", nullable=False, schema="poller")
    op.create_table_comment(
        "contracts",
        "What a symbol is, from the exchange's public exchangeInfo; without it no amount of positions has a unit.",
        schema="poller",
    )
