"""Create the triggers that queue the hours of changed promises and contracts.

Revises: 2d6be8f0c417
"""

from alembic import op

revision = "5b91f3a6d0e8"
down_revision = "2d6be8f0c417"

# What lies in the future is queued as time goes by.
_QUEUE_PROMISED = """
CREATE FUNCTION poller.queue_promised_hours() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO poller.rollup_queue (hour, account, market)
    SELECT hour, new.account, new.market
    FROM generate_series(
        date_bin(
            '1 hour',
            CASE WHEN tg_op = 'UPDATE' AND new.valid_from = old.valid_from
                THEN least(new.valid_to, old.valid_to) ELSE new.valid_from END,
            'epoch'
        ),
        least(
            now(),
            CASE WHEN tg_op = 'UPDATE' AND num_nulls(new.valid_to, old.valid_to) = 0
                THEN greatest(new.valid_to, old.valid_to)
                WHEN tg_op = 'INSERT' THEN new.valid_to END
        ),
        INTERVAL '1 hour'
    ) AS hour;
    RETURN NULL;
END
$$
"""

_QUEUE_CHANGED = """
CREATE FUNCTION poller.queue_hours_of_contracts() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- An INSERT has no table of former rows, which must not even be named then.
    IF tg_op = 'UPDATE' THEN
        IF NOT EXISTS (
            SELECT environment, market, symbol, base_asset, margin_asset, contract_size FROM changed
            EXCEPT
            SELECT environment, market, symbol, base_asset, margin_asset, contract_size FROM former
        ) THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO poller.rollup_queue (hour, account, market)
    SELECT DISTINCT made.hour, made.account, made.market
    FROM changed
    JOIN poller.accounts USING (environment)
    JOIN poller.hourly_positions AS made ON made.account = accounts.account AND made.market = changed.market
        AND made.symbol = changed.symbol;
    RETURN NULL;
END
$$
"""

_TRIGGERS = (
    """
    CREATE TRIGGER queue_promised_hours AFTER INSERT OR UPDATE ON poller.schedules
    FOR EACH ROW EXECUTE FUNCTION poller.queue_promised_hours()
    """,
    """
    CREATE TRIGGER queue_hours_of_new_contracts AFTER INSERT ON poller.contracts
    REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION poller.queue_hours_of_contracts()
    """,
    """
    CREATE TRIGGER queue_hours_of_changed_contracts AFTER UPDATE ON poller.contracts
    REFERENCING OLD TABLE AS former NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION poller.queue_hours_of_contracts()
    """,
)

_COMMENTS = {
    "queue_promised_hours": "Queues the hours of the past in which a promise that is made, or ended, later counts.",
    "queue_hours_of_contracts": "Queues the hours that had a position in a symbol whose contract became known or "
    "changed: their units follow from it.",
}


def upgrade() -> None:
    op.execute(_QUEUE_PROMISED)
    op.execute(_QUEUE_CHANGED)
    for trigger in _TRIGGERS:
        op.execute(trigger)
    for function, comment in _COMMENTS.items():
        op.execute(f"COMMENT ON FUNCTION poller.{function}() IS '{comment}'")
        op.execute(f"REVOKE ALL ON FUNCTION poller.{function}() FROM PUBLIC")


def downgrade() -> None:
    op.execute("DROP TRIGGER queue_hours_of_changed_contracts ON poller.contracts")
    op.execute("DROP TRIGGER queue_hours_of_new_contracts ON poller.contracts")
    op.execute("DROP TRIGGER queue_promised_hours ON poller.schedules")
    op.execute("DROP FUNCTION poller.queue_hours_of_contracts()")
    op.execute("DROP FUNCTION poller.queue_promised_hours()")
