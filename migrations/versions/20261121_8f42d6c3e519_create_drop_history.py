"""Create drop_history.

Revises: 1c7e0b94a6d3
"""

from alembic import op

from poller.storage.tier import drop_parts, parts_with_ends, tier_to_build

revision = "8f42d6c3e519"
down_revision = "1c7e0b94a6d3"

_DROP_HISTORY = """
CREATE FUNCTION poller.drop_history(history text, before timestamptz) RETURNS integer
LANGUAGE plpgsql VOLATILE
-- A role that records may drop what is old enough, and nothing else.
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- Whoever reads or writes the table waits behind the lock that a drop waits for.
SET lock_timeout = '500ms'
-- The ends of partitions are read as text.
SET timezone = 'UTC' SET datestyle = 'ISO'
AS $$
DECLARE
    part regclass;
    doomed regclass[];
    until timestamptz;
BEGIN
    IF history IS NULL
        OR history NOT IN ('polls', 'account_totals', 'asset_balances', 'positions', 'raw_payloads')
    THEN
        RAISE '%% is not a table of the history', coalesce(quote_literal(history), 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF before IS NULL OR before > now() THEN
        RAISE 'history can be dropped before an instant of the past, not before %%', coalesce(before::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- A partition that is being made must not be dropped meanwhile.
    PERFORM pg_advisory_xact_lock(hashtext('poller.ensure_partitions'));
    SELECT array_agg(parts.part ORDER BY parts.ends), max(parts.ends) INTO doomed, until
    FROM (
        %(parts)s
    ) AS parts
    WHERE parts.ends <= before;
    IF doomed IS NULL THEN
        RETURN 0;
    END IF;
    %(drop)s
    INSERT INTO poller.dropped_history AS noted (history, before) VALUES (drop_history.history, until)
    ON CONFLICT ON CONSTRAINT pk_dropped_history
    DO UPDATE SET before = greatest(noted.before, excluded.before), dropped_at = now();
    RETURN cardinality(doomed);
END
$$
"""

_COMMENT = """
COMMENT ON FUNCTION poller.drop_history(text, timestamptz) IS 'Drops the partitions or chunks of a table of the \
history that end at or before an instant, as wholes, and notes in dropped_history how far it went. Returns how many it \
dropped. Raises 22023 for another table and for an instant in the future, and 55P03 while somebody uses what is to be \
dropped.'
"""


def upgrade() -> None:
    tier = tier_to_build(op.get_bind())
    parts, drop = parts_with_ends(tier).strip(), drop_parts(op.get_bind(), tier).strip()
    op.execute(_DROP_HISTORY % {"parts": parts, "drop": drop})
    op.execute(_COMMENT)
    op.execute("REVOKE ALL ON FUNCTION poller.drop_history(text, timestamptz) FROM PUBLIC")


def downgrade() -> None:
    op.execute("DROP FUNCTION poller.drop_history(text, timestamptz)")
