"""Create the functions that change what was recorded before.

Revises: 7d25f08b3ce1
"""

from alembic import op

revision = "c41d7e93ab58"
down_revision = "7d25f08b3ce1"

# A role that records may insert rows, and change polls. Each of these changes rows beside them with the owner's rights:
# one exact change, which what is in the tables must allow. Parameters are written with their function's name, since a
# column of the same name comes first.

_START_RUN = """
CREATE FUNCTION poller.start_run(
    instance text, recorder text, version text, schema_revision text, started_at timestamptz, promises json
) RETURNS void
LANGUAGE sql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH run AS (
        INSERT INTO poller.runs (instance, recorder, version, schema_revision, started_at)
        VALUES (
            start_run.instance, start_run.recorder, start_run.version, start_run.schema_revision, start_run.started_at
        )
        ON CONFLICT DO NOTHING
        RETURNING
            runs.recorder,
            runs.started_at,
            -- A run that arrives after one that started later promises only up to that one's start.
            (
                SELECT min(later.started_at) FROM poller.runs AS later
                WHERE later.recorder = runs.recorder AND later.started_at > runs.started_at
            ) AS until
    ),
    promise AS (
        SELECT run.recorder, promise.*, run.started_at, run.until
        FROM run, json_to_recordset(promises) AS promise(account text, market text, interval_seconds integer)
    ),
    closed AS (
        -- The clock may have been set back between two runs: a promise never ends before it began.
        UPDATE poller.schedules SET valid_to = greatest(schedules.valid_from, run.started_at)
        FROM run
        WHERE schedules.recorder = run.recorder AND schedules.valid_to IS NULL AND run.until IS NULL
            AND NOT EXISTS (
                SELECT FROM promise
                WHERE (promise.account, promise.market, promise.interval_seconds)
                    = (schedules.account, schedules.market, schedules.interval_seconds)
            )
    )
    INSERT INTO poller.schedules (recorder, account, market, interval_seconds, valid_from, valid_to)
    SELECT * FROM promise
    WHERE NOT EXISTS (
        SELECT FROM poller.schedules
        WHERE (schedules.recorder, schedules.account, schedules.market, schedules.interval_seconds)
                = (promise.recorder, promise.account, promise.market, promise.interval_seconds)
            AND schedules.valid_from <= promise.started_at
            AND (schedules.valid_to IS NULL OR schedules.valid_to > promise.started_at)
    )
    ON CONFLICT DO NOTHING
$$
"""

_STOP_RUN = """
CREATE FUNCTION poller.stop_run(instance text, stopped_at timestamptz, stop_reason text) RETURNS void
LANGUAGE sql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE poller.runs SET stopped_at = stop_run.stopped_at, stop_reason = stop_run.stop_reason
    WHERE runs.instance = stop_run.instance AND runs.stopped_at IS NULL
$$
"""

# A row stands for a run of equal measurements, from valid_from to confirmed_at, and holds until the next row begins. A
# measurement that agrees with the row before it confirms that row. One that differs and falls into the run came too
# late to be believed against those around it. Any other ends the row and begins a new one, or lets the next one begin
# earlier if that says the same.
_SAVE_MODES = """
CREATE FUNCTION poller.save_modes(account text, source text, measured_at timestamptz, modes json) RETURNS void
LANGUAGE sql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH told AS (
        SELECT * FROM json_to_recordset(modes) AS told(market text, asset_mode text, position_mode text)
    ),
    story AS (
        SELECT
            told.*,
            before.valid_from AS before,
            before.valid_to AS before_to,
            after.valid_from AS after,
            agrees,
            NOT agrees AND coalesce(before.confirmed_at < measured_at, true) AS differs,
            after.valid_from IS NOT NULL
                AND (after.asset_mode, after.position_mode) IS NOT DISTINCT FROM (told.asset_mode, told.position_mode)
                AS foretold
        FROM told
        LEFT JOIN LATERAL (
            SELECT * FROM poller.account_modes
            WHERE account_modes.account = save_modes.account AND account_modes.market = told.market
                AND valid_from <= measured_at
            ORDER BY valid_from DESC
            LIMIT 1
        ) AS before ON true
        LEFT JOIN LATERAL (
            SELECT * FROM poller.account_modes
            WHERE account_modes.account = save_modes.account AND account_modes.market = told.market
                AND valid_from > measured_at
            ORDER BY valid_from
            LIMIT 1
        ) AS after ON true
        CROSS JOIN LATERAL (
            SELECT before.valid_from IS NOT NULL
                AND (before.asset_mode, before.position_mode)
                    IS NOT DISTINCT FROM (told.asset_mode, told.position_mode) AS agrees
        ) AS compared
    ),
    confirmed AS (
        UPDATE poller.account_modes SET confirmed_at = measured_at
        FROM story
        WHERE account_modes.account = save_modes.account AND account_modes.market = story.market
            AND account_modes.valid_from = story.before
            AND story.agrees AND account_modes.confirmed_at < measured_at
    ),
    ended AS (
        -- Compared once more, for another writer may have ended the row while this one waited for it.
        UPDATE poller.account_modes SET valid_to = measured_at
        FROM story
        WHERE account_modes.account = save_modes.account AND account_modes.market = story.market
            AND account_modes.valid_from = story.before
            AND story.differs AND account_modes.valid_to IS NOT DISTINCT FROM story.before_to
        RETURNING account_modes.market
    ),
    beginning AS (
        -- Asking for the ended row also makes its end come first: two rows without an end are refused.
        SELECT * FROM story
        WHERE differs AND (before IS NULL OR EXISTS (SELECT FROM ended WHERE ended.market = story.market))
    ),
    moved AS (
        UPDATE poller.account_modes SET valid_from = measured_at
        FROM beginning
        WHERE account_modes.account = save_modes.account AND account_modes.market = beginning.market
            AND account_modes.valid_from = beginning.after AND beginning.foretold
    )
    INSERT INTO poller.account_modes (
        account, market, valid_from, valid_to, asset_mode, position_mode, source, confirmed_at
    )
    SELECT save_modes.account, market, measured_at, after, asset_mode, position_mode, save_modes.source, measured_at
    FROM beginning WHERE NOT foretold
    ON CONFLICT DO NOTHING
$$
"""

_SAVE_CONTRACTS = """
CREATE FUNCTION poller.save_contracts(environment text, market text, listed json) RETURNS integer
LANGUAGE sql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH changed AS (
        INSERT INTO poller.contracts (
            environment, market, symbol, base_asset, quote_asset, margin_asset, contract_size, contract_type
        )
        SELECT save_contracts.environment, save_contracts.market, given.*
        FROM json_to_recordset(listed) AS given(
            symbol text, base_asset text, quote_asset text, margin_asset text, contract_size numeric, contract_type text
        )
        ON CONFLICT (environment, market, symbol) DO UPDATE SET
            base_asset = excluded.base_asset,
            quote_asset = excluded.quote_asset,
            margin_asset = excluded.margin_asset,
            contract_size = excluded.contract_size,
            contract_type = excluded.contract_type,
            updated_at = now()
        WHERE (
            contracts.base_asset, contracts.quote_asset, contracts.margin_asset, contracts.contract_size,
            contracts.contract_type
        ) IS DISTINCT FROM (
            excluded.base_asset, excluded.quote_asset, excluded.margin_asset, excluded.contract_size,
            excluded.contract_type
        )
        RETURNING 1
    )
    SELECT count(*)::integer FROM changed
$$
"""

# Within the statement that replaces a poll it sees that poll, and what others committed while the statement waited for
# them: a volatile function looks at the tables anew.
_RELEASE_PAYLOAD = """
CREATE FUNCTION poller.release_payload("time" timestamptz, account text, market text) RETURNS boolean
LANGUAGE sql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH released AS (
        DELETE FROM poller.rejected_payloads
        USING poller.polls JOIN poller.accounts ON accounts.account = polls.account
        WHERE polls.time = release_payload.time AND polls.account = release_payload.account
            AND polls.market = release_payload.market
            AND polls.status = 'ok' AND polls.replaced_status = 'malformed'
            AND rejected_payloads.time = release_payload.time
            AND rejected_payloads.account = release_payload.account
            AND rejected_payloads.market = release_payload.market
            AND rejected_payloads.environment = accounts.environment
        RETURNING 1
    )
    SELECT EXISTS (SELECT FROM released)
$$
"""

_COMMENTS = {
    "start_run(text, text, text, text, timestamptz, json)": (
        "For the daemon. Stores a run that is not known yet and what it promises, a list of account, market and "
        "interval_seconds; ends the open promises of the same recorder that the run does not repeat."
    ),
    "stop_run(text, timestamptz, text)": "For the daemon. Stores the orderly end of a run that has none yet.",
    "save_modes(text, text, timestamptz, json)": (
        "For the daemon. Files a measurement of modes, a list of market, asset_mode and position_mode, among those of "
        "account_modes, whatever the order in which they come. What was confirmed stays."
    ),
    "save_contracts(text, text, json)": (
        "For the daemon. Stores the contracts of a list that are new or differ, and returns how many."
    ),
    "release_payload(timestamptz, text, text)": (
        "For the daemon. Deletes the rejected payload of a poll that was malformed and is ok now, of no other; returns "
        "whether there was one."
    ),
}


def upgrade() -> None:
    for function in (_START_RUN, _STOP_RUN, _SAVE_MODES, _SAVE_CONTRACTS, _RELEASE_PAYLOAD):
        op.execute(function)
    for function, comment in _COMMENTS.items():
        op.execute(f"COMMENT ON FUNCTION poller.{function} IS '{comment}'")
        op.execute(f"REVOKE ALL ON FUNCTION poller.{function} FROM PUBLIC")


def downgrade() -> None:
    for function in _COMMENTS:
        op.execute(f"DROP FUNCTION poller.{function}")
