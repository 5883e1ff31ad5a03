"""Change ensure_partitions: raw_payloads is divided into days, since it is dropped by days.

Revises: 8f42d6c3e519
"""

from alembic import op

from poller.storage.tier import Tier, set_part_interval, tier_to_build

revision = "d52a9be07f16"
down_revision = "8f42d6c3e519"

_DROP_EMPTY_MONTHS = """
DO $$
DECLARE
    part regclass;
    is_empty boolean;
BEGIN
    -- What holds rows stays a month.
    LOCK TABLE poller.raw_payloads IN ACCESS EXCLUSIVE MODE;
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'poller.raw_payloads'::regclass LOOP
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %s)', part) INTO is_empty;
        IF is_empty THEN
            EXECUTE format('DROP TABLE %s', part);
        END IF;
    END LOOP;
END
$$
"""

_MERGE_DAYS = r"""
DO $$
DECLARE
    month record;
    day regclass;
BEGIN
    FOR month IN
        SELECT date_trunc('month', date) AS begins, 'raw_payloads' || to_char(date, '_YYYY_MM') AS part,
            array_agg(child ORDER BY date) AS days
        FROM (
            SELECT inhrelid::regclass AS child, to_date(right(relname, 10), 'YYYY_MM_DD')::timestamp AS date
            FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = 'poller.raw_payloads'::regclass AND relname ~ '_\d{4}_\d\d_\d\d$'
        ) AS daily
        GROUP BY 1, 2
    LOOP
        EXECUTE format('CREATE TABLE poller_parts.%I (LIKE poller.raw_payloads INCLUDING ALL)', month.part);
        FOREACH day IN ARRAY month.days LOOP
            EXECUTE format('INSERT INTO poller_parts.%I SELECT * FROM %s', month.part, day);
            EXECUTE format('DROP TABLE %s', day);
        END LOOP;
        EXECUTE format(
            'ALTER TABLE poller.raw_payloads ATTACH PARTITION poller_parts.%I FOR VALUES FROM (%L) TO (%L)', month.part,
            month.begins AT TIME ZONE 'UTC', (month.begins + INTERVAL '1 month') AT TIME ZONE 'UTC'
        );
    END LOOP;
END
$$
"""

_ENSURE_PARTITIONS = """
CREATE OR REPLACE FUNCTION poller.ensure_partitions(instant timestamptz DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql VOLATILE
-- A role that records may create the tables that history needs, and no others.
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted record;
    created integer := 0;
BEGIN
    IF NOT poller.is_storable(instant) THEN
        RAISE 'no history is kept for %', instant USING ERRCODE = 'datetime_field_overflow';
    END IF;
    -- Two callers would both find a partition missing.
    PERFORM pg_advisory_xact_lock(hashtext('poller.ensure_partitions'));
    FOR wanted IN
        SELECT history.oid::regclass AS parent, relname || to_char(begins, named) AS part,
            begins AT TIME ZONE 'UTC' AS "from", (begins + width) AT TIME ZONE 'UTC' AS "to"
        FROM pg_class AS history
        CROSS JOIN LATERAL (
            VALUES (relname = 'raw_payloads', 'day', INTERVAL '1 day', INTERVAL '7 days', '_YYYY_MM_DD'),
                (relname <> 'raw_payloads', 'month', INTERVAL '1 month', INTERVAL '3 months', '_YYYY_MM')
        ) AS kind (applies, unit, width, ahead, named)
        CROSS JOIN LATERAL date_trunc(unit, coalesce(instant, now()) AT TIME ZONE 'UTC') AS first
        CROSS JOIN LATERAL generate_series(
            first, first + CASE WHEN instant IS NULL THEN ahead ELSE '0' END, width
        ) AS begins
        WHERE relnamespace = 'poller'::regnamespace AND relkind = 'p' AND applies
            -- Where raw_payloads has a month from the time of its months, there is no room for days.
            AND NOT EXISTS (
                SELECT FROM pg_class AS month
                WHERE unit = 'day' AND month.relispartition
                    AND month.oid = to_regclass('poller_parts.' || history.relname || to_char(begins, '_YYYY_MM'))
            )
        ORDER BY begins, relname
    LOOP
        IF to_regclass(format('poller_parts.%I', wanted.part)) IS NULL THEN
            EXECUTE format('CREATE TABLE poller_parts.%I (LIKE %s INCLUDING ALL)', wanted.part, wanted.parent);
            created := created + 1;
        END IF;
        IF NOT (SELECT relispartition FROM pg_class WHERE oid = format('poller_parts.%I', wanted.part)::regclass) THEN
            -- CREATE TABLE ... PARTITION OF would lock the parent against its readers; ATTACH lets them read on.
            EXECUTE format(
                'ALTER TABLE %s ATTACH PARTITION poller_parts.%I FOR VALUES FROM (%L) TO (%L)',
                wanted.parent, wanted.part, wanted."from", wanted."to"
            );
        END IF;
    END LOOP;
    RETURN created;
END
$$
"""

_OLD_ENSURE_PARTITIONS = """
CREATE OR REPLACE FUNCTION poller.ensure_partitions(instant timestamptz DEFAULT NULL) RETURNS integer
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

_COMMENT = """
COMMENT ON FUNCTION poller.ensure_partitions(timestamptz) IS 'Creates the missing partitions of the history, a day \
each of raw_payloads and a month each of the others: for those of an instant, or without one for this month and the \
next three, this day and the next seven. Returns how many it created: always 0 where the tables are hypertables. \
Raises 22008 for an instant for which no history is kept.'
"""

_OLD_COMMENT = """
COMMENT ON FUNCTION poller.ensure_partitions(timestamptz) IS 'Creates the missing monthly partitions of the history: \
for the month of an instant, or without one for this month and the next three. Returns how many it created: \
always 0 where the tables are hypertables. Raises 22008 for an instant for which no history is kept.'
"""


def upgrade() -> None:
    tier = tier_to_build(op.get_bind())
    set_part_interval(op.get_bind(), tier, "raw_payloads", "1 day")
    if tier is Tier.PLAIN:
        op.execute(_DROP_EMPTY_MONTHS)
    op.execute(_ENSURE_PARTITIONS)
    op.execute(_COMMENT)
    op.execute("SELECT poller.ensure_partitions()")


def downgrade() -> None:
    tier = tier_to_build(op.get_bind())
    set_part_interval(op.get_bind(), tier, "raw_payloads", "7 days")
    if tier is Tier.PLAIN:
        op.execute("SET LOCAL statement_timeout = '10min'")  # rows are copied
        op.execute(_MERGE_DAYS)
    op.execute(_OLD_ENSURE_PARTITIONS)
    op.execute(_OLD_COMMENT)
    op.execute("SELECT poller.ensure_partitions()")
