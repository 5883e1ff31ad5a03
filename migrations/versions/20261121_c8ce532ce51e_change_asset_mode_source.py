"""Change asset_mode_source: exchange is one.

Revises: df034904f586
"""

from alembic import op

revision = "c8ce532ce51e"
down_revision = "df034904f586"

_CONSTRAINT = "ck_account_totals_asset_mode_source"
_COMMENT = (
    "Where asset_mode is known from: config, exchange (it told so) or payload (the totals themselves); null when "
    "asset_mode is, as it is where the exchange and the totals disagree."
)
_OLD_COMMENT = "Where asset_mode is known from: config or payload."

# New partitions take the comments of the table; those that exist keep theirs.
_COMMENT_EVERYWHERE = """
DO $$
DECLARE
    part regclass;
BEGIN
    COMMENT ON COLUMN poller.account_totals.asset_mode_source IS '{comment}';
    FOR part IN
        SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON pg_class.oid = inhparent
        WHERE inhparent = 'poller.account_totals'::regclass AND relkind = 'p'
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.asset_mode_source IS %L', part, '{comment}');
    END LOOP;
END
$$
"""


def upgrade() -> None:
    op.drop_constraint(op.f(_CONSTRAINT), "account_totals", schema="poller")
    # To look at all rows would take as long as they are many, and nothing could be stored meanwhile; the next migration
    # does it without a lock.
    op.create_check_constraint(
        op.f(_CONSTRAINT),
        "account_totals",
        "asset_mode_source IN ('config', 'exchange', 'payload')",
        schema="poller",
        postgresql_not_valid=True,
    )
    op.execute(_COMMENT_EVERYWHERE.format(comment=_COMMENT))


def downgrade() -> None:
    op.drop_constraint(op.f(_CONSTRAINT), "account_totals", schema="poller")
    op.execute(
        "UPDATE poller.account_totals SET asset_mode = NULL, asset_mode_source = NULL, totals_asset = NULL "
        "WHERE asset_mode_source = 'exchange'"
    )
    op.create_check_constraint(
        op.f(_CONSTRAINT), "account_totals", "asset_mode_source IN ('config', 'payload')", schema="poller"
    )
    op.execute(_COMMENT_EVERYWHERE.format(comment=_OLD_COMMENT))
