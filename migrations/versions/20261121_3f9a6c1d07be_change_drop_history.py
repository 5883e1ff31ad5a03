"""Change drop_history.

Revises: c41d8e6f7a93
"""

from alembic import op

from poller.storage.tier import drop_parts, parts_with_ends, tier_to_build

revision = "3f9a6c1d07be"
down_revision = "c41d8e6f7a93"

_DROP_HISTORY = """
CREATE OR REPLACE FUNCTION poller.drop_history(history text, before timestamptz) RETURNS integer
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
    %(guard)sSELECT array_agg(parts.part ORDER BY parts.ends), max(parts.ends) INTO doomed, until
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

_GUARD = """IF history <> 'raw_payloads' THEN
        -- What rollups are still to be made of stays until they are: after an upgrade that can take minutes.
        before := least(before, (SELECT min(hour) FROM poller.rollup_queue));
    END IF;
    """

_COMMENT = (
    "COMMENT ON FUNCTION poller.drop_history(text, timestamptz) IS 'Drops the partitions or chunks of a table of the "
    "history that end at or before an instant, as wholes, and notes in dropped_history how far it went.%s Returns how "
    "many it dropped. Raises 22023 for another table and for an instant in the future, and 55P03 while somebody uses "
    "what is to be dropped.'"
)
_KEPT = " Keeps, but for raw_payloads, what is of the hours in rollup_queue and younger."


def upgrade() -> None:
    _replace(guard=_GUARD, kept=_KEPT)


def downgrade() -> None:
    _replace(guard="", kept="")


def _replace(*, guard: str, kept: str) -> None:
    tier = tier_to_build(op.get_bind())
    parts, drop = parts_with_ends(tier).strip(), drop_parts(op.get_bind(), tier).strip()
    op.execute(_DROP_HISTORY % {"parts": parts, "drop": drop, "guard": guard})
    op.execute(_COMMENT % kept)
