"""Change the chart functions: a plan knows which polls it reads, and is made for one series of polls at a time.

Revises: 3f9a6c1d07be
"""

from collections.abc import Mapping
from typing import Any

from alembic import op

revision = "a3ecef27a009"
down_revision = "3f9a6c1d07be"

_POLLS_FROM = """
CREATE FUNCTION poller.chart_polls_from("from" timestamptz, "to" timestamptz, step interval) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT greatest(
        "from",
        CASE WHEN extract(epoch FROM step) % 3600 = 0 THEN coalesce(
            (SELECT min(hour) FROM poller.rollup_queue WHERE hour >= "from" AND hour < "to" + step), 'infinity'
        ) END,
        (
            SELECT max(before) FROM poller.dropped_history
            WHERE history IN ('polls', 'account_totals', 'asset_balances', 'positions')
        )
    )
$$
"""

_POLLS_FROM_COMMENT = """
COMMENT ON FUNCTION poller.chart_polls_from(timestamptz, timestamptz, interval) IS 'From when on a chart of this range \
reads polls; what is before comes from the rollups. Of the charts: without it, a plan has to consider every partition.
from: As of the chart.
to: As of the chart.
step: As of the chart; infinity is returned for whole hours of which none is queued.'
"""

# A plan for each call knows the range, and with it the partitions; one made once for all would not. The setting
# keeps the functions from being inlined, as PL/pgSQL does; nothing is lost: a grid is not filtered before it is made.
_CHART_POLLS = """
CREATE OR REPLACE FUNCTION poller.chart_polls(
    "from" timestamptz, "to" timestamptz, step interval, account text DEFAULT NULL, market text DEFAULT NULL
) RETURNS SETOF poller.poll_point
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan{settings}
AS $$
#variable_conflict use_column
DECLARE
    seconds CONSTANT numeric := extract(epoch FROM step);
    width CONSTANT interval := make_interval(secs => seconds);
    by_hours CONSTANT boolean := seconds % 3600 = 0;
    first_point timestamptz;
    points integer;
    ends timestamptz;
    kept_from timestamptz;{declare_polls}
BEGIN
    IF "from" IS NULL OR "to" IS NULL OR NOT isfinite("from") OR NOT isfinite("to") THEN
        RAISE 'a chart needs two instants, "from" and "to"' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF seconds IS NULL OR seconds <= 0 OR extract(year FROM step) <> 0 OR extract(month FROM step) <> 0 THEN
        RAISE 'step must be a time of days or less, such as 1 hour, not %', coalesce(step::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Months differ in length: take days.';
    END IF;
    first_point := date_bin(width, "from", 'epoch');
    first_point := first_point + CASE WHEN first_point < "from" THEN width ELSE '0' END;
    IF extract(epoch FROM "to" - first_point) / seconds > 10000 THEN
        RAISE '% points are too many: a series has at most 10000',
            ceil(extract(epoch FROM "to" - first_point) / seconds)
            USING ERRCODE = 'invalid_parameter_value', HINT = format(
                'Take a step of %s seconds or more.', ceil(extract(epoch FROM "to" - first_point) / 10000)
            );
    END IF;
    points := greatest(ceil(extract(epoch FROM "to" - first_point) / seconds), 0);
    ends := first_point + points * width;
    kept_from := coalesce(
        (
            SELECT max(before) FROM poller.dropped_history
            WHERE history IN ('polls', 'account_totals', 'asset_balances', 'positions')
        ),
        '-infinity'
    );{begin_polls}
    RETURN QUERY
    WITH series AS MATERIALIZED (
        SELECT accounts.account, markets.market
        FROM poller.accounts
        CROSS JOIN (VALUES ('usdm'), ('coinm')) AS markets(market)
        WHERE (chart_polls.account IS NULL OR accounts.account = chart_polls.account)
            AND (chart_polls.market IS NULL OR markets.market = chart_polls.market)
            AND (
                -- Every hour with polls is in one of them; to look for the polls themselves could read them all.
                EXISTS (
                    SELECT FROM poller.hourly_ticks AS made
                    WHERE made.account = accounts.account AND made.market = markets.market
                        AND made.hour >= date_bin('1 hour', first_point, 'epoch') AND made.hour < ends
                )
                OR EXISTS (
                    SELECT FROM poller.rollup_queue AS queued
                    WHERE queued.account = accounts.account AND queued.market = markets.market
                        AND queued.hour >= date_bin('1 hour', first_point, 'epoch') AND queued.hour < ends
                )
            )
    ),
    grid AS MATERIALIZED (
        SELECT first_point + n * width AS time FROM generate_series(0, points - 1) AS n
    ),
    queued AS MATERIALIZED (
        SELECT DISTINCT hour, account, market
        FROM poller.rollup_queue
        JOIN series USING (account, market)
        WHERE by_hours AND hour >= first_point AND hour < ends AND hour >= kept_from
    ),
    found AS (
        SELECT account, market, date_bin(width, made.last_ok_at, 'epoch') AS time, made.last_ok_at AS polled_at,
            true AS rolled
        FROM poller.hourly_ticks AS made
        JOIN series USING (account, market)
        WHERE made.hour >= date_bin('1 hour', first_point, 'epoch') AND made.hour < ends
            AND made.last_ok_at >= first_point AND made.last_ok_at < ends
            AND (made.hour < kept_from OR by_hours)
            AND (hour, account, market) NOT IN (SELECT hour, account, market FROM queued)
        UNION ALL
        SELECT account, market, date_bin(width, newest.time, 'epoch'), newest.time, false
        FROM queued
        CROSS JOIN LATERAL (
            SELECT polls.time FROM poller.polls
            WHERE polls.account = queued.account AND polls.market = queued.market AND status = 'ok'
                AND polls.time >= queued.hour AND polls.time < queued.hour + INTERVAL '1 hour'{within}
            ORDER BY polls.time DESC
            LIMIT 1
        ) AS newest{sampled}
    )
    SELECT time, account, market, newest.polled_at, newest.rolled
    FROM grid
    CROSS JOIN series
    LEFT JOIN (
        SELECT DISTINCT ON (account, market, time) account, market, time, polled_at, rolled
        FROM found
        ORDER BY account, market, time, polled_at DESC
    ) AS newest USING (time, account, market)
    ORDER BY account, market, time;
END
$$
"""

_CHART = """
CREATE OR REPLACE FUNCTION poller.{chart}(
    "from" timestamptz, "to" timestamptz, step interval, account text DEFAULT NULL, market text DEFAULT NULL,
    {parameters}
) RETURNS SETOF poller.{point}
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    polls_from CONSTANT timestamptz := poller.chart_polls_from("from", "to", step);
    ends CONSTANT timestamptz := "to" + step;
    shown record;
BEGIN
    FOR shown IN
        SELECT account, market, array_agg(time) AS times, array_agg(polled_at) AS polled_at,
            array_agg(polled_at) FILTER (WHERE NOT rolled) AS polled,
            array_agg(date_bin('1 hour', polled_at, 'epoch')) FILTER (WHERE rolled) AS hours
        FROM poller.chart_polls("from", "to", step, {chart}.account, {chart}.market)
        GROUP BY account, market
        ORDER BY account, market
    LOOP
        RETURN QUERY
        WITH point AS MATERIALIZED (
            SELECT time, polled_at FROM unnest(shown.times, shown.polled_at) AS point(time, polled_at)
        ),
        sampled AS MATERIALIZED (
            SELECT time AS polled_at, {keys}, {raw_values}
            FROM poller.{history} AS seen
            WHERE seen.account = shown.account AND seen.market = shown.market AND seen.time = ANY (shown.polled)
                AND seen.time >= polls_from AND seen.time < ends AND {narrowed}
            UNION ALL
            SELECT last_at, {keys}, {rolled_values}
            FROM poller.{rollup} AS seen
            JOIN poller.hourly_ticks AS made USING (account, market, hour)
            WHERE seen.account = shown.account AND seen.market = shown.market AND seen.hour = ANY (shown.hours)
                AND seen.last_at = made.last_ok_at AND {narrowed}
        ),
        -- What came and went between two points has a series, too.
        key AS (
            SELECT {keys} FROM sampled
            UNION
            SELECT {keys}
            FROM poller.{rollup} AS seen
            WHERE seen.account = shown.account AND seen.market = shown.market
                AND seen.hour > "from" - INTERVAL '1 hour' AND seen.hour < "to"
                AND seen.last_at >= "from" AND seen.first_at < "to" AND {narrowed}
        )
        -- Each point of each series, and before it what was sampled for it.
        SELECT DISTINCT ON ({keys}, time) time, shown.account, shown.market, {keys},
            {shown_values},
            polled_at
        FROM (
            SELECT time, {keys}, {no_values}, polled_at, false AS had_row
            FROM point
            CROSS JOIN key
            UNION ALL
            SELECT date_bin(step, polled_at, 'epoch'), {keys}, {values}, polled_at, true
            FROM sampled
        ) AS part
        ORDER BY {keys}, time, polled_at DESC NULLS LAST, had_row DESC;
    END LOOP;
END
$$
"""

_OLD_CHART = """
CREATE OR REPLACE FUNCTION poller.{chart}(
    "from" timestamptz, "to" timestamptz, step interval, account text DEFAULT NULL, market text DEFAULT NULL,
    {parameters}
) RETURNS SETOF poller.{point}
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH point AS MATERIALIZED (
        SELECT * FROM poller.chart_polls("from", "to", step, {chart}.account, {chart}.market)
    ),
    chosen AS MATERIALIZED (
        SELECT account, market,
            array_agg(polled_at) FILTER (WHERE NOT rolled) AS polled,
            array_agg(date_bin('1 hour', polled_at, 'epoch')) FILTER (WHERE rolled) AS hours
        FROM point
        GROUP BY account, market
    ),
    sampled AS MATERIALIZED (
        SELECT raw.time AS polled_at, account, market, {keys}, {values}
        FROM chosen
        CROSS JOIN LATERAL (
            SELECT time, {keys}, {raw_values}
            FROM poller.{history} AS seen
            WHERE seen.account = chosen.account AND seen.market = chosen.market AND seen.time = ANY (chosen.polled)
                AND seen.time >= "from" AND seen.time < "to" + step AND {narrowed}
            OFFSET 0 -- looked up by key: a join would read the whole range and compare each row with all of polled
        ) AS raw
        UNION ALL
        SELECT rolled.last_at, account, market, {keys}, {values}
        FROM chosen
        CROSS JOIN LATERAL (
            SELECT last_at, {keys}, {rolled_values}
            FROM poller.{rollup} AS seen
            JOIN poller.hourly_ticks AS made USING (account, market, hour)
            WHERE seen.account = chosen.account AND seen.market = chosen.market AND seen.hour = ANY (chosen.hours)
                AND seen.last_at = made.last_ok_at AND {narrowed}
            OFFSET 0
        ) AS rolled
    ),
    -- What came and went between two points has a series, too.
    key AS (
        SELECT account, market, {keys} FROM sampled
        UNION
        SELECT account, market, {keys}
        FROM chosen
        JOIN poller.{rollup} AS seen USING (account, market)
        WHERE seen.hour > "from" - INTERVAL '1 hour' AND seen.hour < "to"
            AND seen.last_at >= "from" AND seen.first_at < "to" AND {narrowed}
    )
    -- Each point of each series, and before it what was sampled for it: a join would be planned for a handful of rows.
    SELECT DISTINCT ON (account, market, {keys}, time) time, account, market, {keys},
        {shown_values},
        polled_at
    FROM (
        SELECT time, account, market, {keys}, {no_values}, polled_at, false AS had_row
        FROM point
        JOIN key USING (account, market)
        UNION ALL
        SELECT date_bin(step, polled_at, 'epoch'), account, market, {keys}, {values}, polled_at, true
        FROM sampled
    ) AS part
    ORDER BY account, market, {keys}, time, polled_at DESC NULLS LAST, had_row DESC;
END
$$
"""

_RATIO = "CASE WHEN last_margin_balance > 0 THEN round(last_maintenance_margin / last_margin_balance, 8) END"

# Of each chart: the point that it returns, where it reads, what tells its series apart (those that a caller can choose
# by are parameters), and its values as the history and as the rollups have them.
_CHARTS = {
    "chart_equity": {
        "point": "equity_point",
        "history": "equity",
        "rollup": "hourly_equity",
        "keys": ("scope", "asset"),
        "parameters": ("scope", "asset"),
        "values": {
            "equity": ("equity", "last_equity"),
            "wallet_balance": ("wallet_balance", "last_wallet_balance"),
            "unrealized_pnl": ("unrealized_pnl", "last_unrealized_pnl"),
        },
    },
    "chart_margin": {
        "point": "margin_point",
        "history": "margin_pools",
        "rollup": "hourly_margin",
        "keys": ("pool", "asset", "symbol", "position_side"),
        "parameters": ("pool", "asset", "symbol"),
        "values": {
            "margin_ratio": ("margin_ratio", _RATIO),
            "maintenance_margin": ("maintenance_margin", "last_maintenance_margin"),
            "margin_balance": ("margin_balance", "last_margin_balance"),
        },
    },
    "chart_exposure": {
        "point": "exposure_point",
        "history": "exposure",
        "rollup": "hourly_exposure",
        "keys": ("base_asset", "margin_asset"),
        "parameters": ("base_asset", "margin_asset"),
        "values": {
            "gross_exposure": ("gross_exposure", "last_gross_exposure"),
            "net_exposure": ("net_exposure", "last_net_exposure"),
        },
    },
    "chart_position": {
        "point": "position_point",
        "history": "positions",
        "rollup": "hourly_positions",
        "keys": ("symbol", "position_side"),
        "parameters": ("symbol", "position_side"),
        "values": {
            "position_amount": ("position_amount", "last_position_amount"),
            "exposure": ("notional", "last_exposure"),
            "unrealized_pnl": ("unrealized_pnl", "last_unrealized_pnl"),
        },
    },
}

# What is known before a plan is made, keeps all other partitions out of it: to plan them takes longer than to read what
# is asked for, most of all where they are chunks by columns. There, a look-up for each point unpacks a thousand polls
# each time, and a list that is not known is compared one by one.
_KNOWN = {
    "settings": " SET jit = off",
    "declare_polls": """
    polls_from timestamptz;
    -- Polls are either those of queued hours, or all of each step are read, or the last one of each is sought.
    queued_from timestamptz := 'infinity';
    read_from timestamptz := 'infinity';
    sought_from timestamptz := 'infinity';""",
    "begin_polls": """
    polls_from := poller.chart_polls_from("from", "to", step);
    IF by_hours THEN
        queued_from := polls_from;
    ELSIF seconds <= 12 * (
        SELECT min(interval_seconds) FROM poller.schedules
        WHERE (chart_polls.account IS NULL OR schedules.account = chart_polls.account)
            AND (chart_polls.market IS NULL OR schedules.market = chart_polls.market)
    ) THEN
        read_from := polls_from;
    ELSE
        sought_from := polls_from;
    END IF;""",
    "within": "\n                AND polls.time >= queued_from AND polls.time < ends",
    "sampled": """
        UNION ALL
        SELECT account, market, date_bin(width, polls.time, 'epoch'), max(polls.time), false
        FROM series
        JOIN poller.polls USING (account, market)
        WHERE status = 'ok' AND polls.time >= greatest(read_from, first_point) AND polls.time < ends
        GROUP BY account, market, date_bin(width, polls.time, 'epoch')
        UNION ALL
        SELECT account, market, grid.time, newest.time, false
        FROM series
        CROSS JOIN grid
        CROSS JOIN LATERAL (
            SELECT polls.time FROM poller.polls
            WHERE polls.account = series.account AND polls.market = series.market AND status = 'ok'
                AND polls.time >= greatest(grid.time, kept_from) AND polls.time < grid.time + width
                AND polls.time >= sought_from AND polls.time < ends
            ORDER BY polls.time DESC
            LIMIT 1
        ) AS newest""",
}
_UNKNOWN = dict.fromkeys(_KNOWN, "") | {
    "sampled": """
        UNION ALL
        SELECT account, market, grid.time, newest.time, false
        FROM series
        CROSS JOIN grid
        CROSS JOIN LATERAL (
            SELECT polls.time FROM poller.polls
            WHERE polls.account = series.account AND polls.market = series.market AND status = 'ok'
                AND polls.time >= greatest(grid.time, kept_from) AND polls.time < grid.time + width
            ORDER BY polls.time DESC
            LIMIT 1
        ) AS newest
        WHERE NOT by_hours"""
}


def _chart(template: str, name: str, chart: Mapping[str, Any]) -> str:
    keys, values = chart["keys"], chart["values"]
    return template.format(
        chart=name,
        point=chart["point"],
        history=chart["history"],
        rollup=chart["rollup"],
        parameters=", ".join(f"{key} text DEFAULT NULL" for key in chart["parameters"]),
        keys=", ".join(keys),
        values=", ".join(values),
        raw_values=", ".join(f"{raw} AS {value}" for value, (raw, _) in values.items()),
        rolled_values=", ".join(f"{rolled} AS {value}" for value, (_, rolled) in values.items()),
        narrowed=" AND ".join(f"({name}.{key} IS NULL OR seen.{key} = {name}.{key})" for key in chart["parameters"]),
        no_values=", ".join(f"NULL::numeric AS {value}" for value in values),
        shown_values=",\n        ".join(
            f"CASE WHEN had_row THEN {value} WHEN polled_at IS NOT NULL THEN 0 END" for value in values
        ),
    )


def upgrade() -> None:
    op.execute(_POLLS_FROM)
    op.execute(_POLLS_FROM_COMMENT)
    op.execute(_CHART_POLLS.format(**_KNOWN))
    for name, chart in _CHARTS.items():
        op.execute(_chart(_CHART, name, chart))


def downgrade() -> None:
    for name, chart in _CHARTS.items():
        op.execute(_chart(_OLD_CHART, name, chart))
    op.execute(_CHART_POLLS.format(**_UNKNOWN))
    op.execute("DROP FUNCTION poller.chart_polls_from")
