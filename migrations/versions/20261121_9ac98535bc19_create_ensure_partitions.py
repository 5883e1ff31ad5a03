"""Create ensure_partitions and is_storable.

Revises: ff92ea81f29a
"""

from alembic import op

revision = "9ac98535bc19"
down_revision = "ff92ea81f29a"

_IS_STORABLE = """
CREATE FUNCTION poller.is_storable(instant timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN instant >= TIMESTAMPTZ '2019-09-01 00:00:00+00'
    AND instant < (date_trunc('month', now() AT TIME ZONE 'UTC') + INTERVAL '4 months') AT TIME ZONE 'UTC'
"""

_ENSURE_PARTITIONS = """
CREATE FUNCTION poller.ensure_partitions(instant timestamptz DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql VOLATILE
-- A role that records may create the tables that history needs, and no others.
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    this_month CONSTANT timestamp := date_trunc('month', coalesce(instant, now()) AT TIME ZONE 'UTC');
    last_month CONSTANT timestamp := this_month + CASE WHEN instant IS NULL THEN INTERVAL '3 months' ELSE '0' END;
    month timestamp;
    parent regclass;
    part text;
    created integer := 0;
BEGIN
    IF NOT poller.is_storable(instant) THEN
        RAISE 'no history is kept for %', instant USING ERRCODE = 'datetime_field_overflow';
    END IF;
    -- Two callers would both find a month missing.
    PERFORM pg_advisory_xact_lock(hashtext('poller.ensure_partitions'));
    FOR month IN SELECT generate_series(this_month, last_month, INTERVAL '1 month') LOOP
        FOR parent IN
            SELECT oid FROM pg_class WHERE relnamespace = 'poller'::regnamespace AND relkind = 'p' ORDER BY relname
        LOOP
            part := (SELECT relname FROM pg_class WHERE oid = parent) || to_char(month, '_YYYY_MM');
            IF to_regclass(format('poller_parts.%I', part)) IS NULL THEN
                EXECUTE format('CREATE TABLE poller_parts.%I (LIKE %s INCLUDING ALL)', part, parent);
                created := created + 1;
            END IF;
            IF NOT (SELECT relispartition FROM pg_class WHERE oid = format('poller_parts.%I', part)::regclass) THEN
                -- CREATE TABLE ... PARTITION OF would lock the parent against its readers; ATTACH lets them read on.
                EXECUTE format(
                    'ALTER TABLE %s ATTACH PARTITION poller_parts.%I FOR VALUES FROM (%L) TO (%L)',
                    parent, part, month AT TIME ZONE 'UTC', (month + INTERVAL '1 month') AT TIME ZONE 'UTC'
                );
            END IF;
        END LOOP;
    END LOOP;
    RETURN created;
END
$$
"""

_COMMENT_IS_STORABLE = """
COMMENT ON FUNCTION poller.is_storable(timestamptz) IS 'Whether history is kept for an instant: \
from 2019-09, when the exchange began, to the end of the third month ahead.'
"""

_COMMENT_ENSURE_PARTITIONS = """
COMMENT ON FUNCTION poller.ensure_partitions(timestamptz) IS 'Creates the missing monthly partitions of the history: \
for the month of an instant, or without one for this month and the next three. Returns how many it created: \
always 0 where the tables are hypertables. Raises 22008 for an instant for which no history is kept.'
"""


def upgrade() -> None:
    op.execute(_IS_STORABLE)
    op.execute(_ENSURE_PARTITIONS)
    op.execute(_COMMENT_IS_STORABLE)
    op.execute(_COMMENT_ENSURE_PARTITIONS)
    op.execute("REVOKE ALL ON FUNCTION poller.ensure_partitions(timestamptz) FROM PUBLIC")
    op.execute("SELECT poller.ensure_partitions()")


def downgrade() -> None:
    op.execute("DROP FUNCTION poller.ensure_partitions(timestamptz)")
    op.execute("DROP FUNCTION poller.is_storable(timestamptz)")
