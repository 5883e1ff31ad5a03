"""The queries of the dashboard recording."""

from typing import Final

from grafana.generator.sql import A_DAY, ACCOUNTS, CHOSEN, GAPS, MARKETS, SINCE, UNTIL, inner, with_grid

_HOURS: Final = f"hour > {SINCE} - INTERVAL '1 hour' AND hour < {UNTIL}"

SUCCESS: Final = f"""
SELECT now() AS time, 'recorded' AS metric,
    sum(ticks_stored)::numeric / nullif(sum(ticks_stored) + sum(ticks_missed), 0) AS recorded
FROM poller.hourly_ticks
WHERE {CHOSEN} AND {_HOURS}
HAVING count(*) > 0
"""
MISSED: Final = f"""
SELECT now() AS time, 'ticks missed' AS metric, sum(ticks_missed) AS missed
FROM poller.hourly_ticks
WHERE {CHOSEN} AND {_HOURS}
HAVING count(*) > 0
"""
NEWEST: Final = f"""
SELECT now() AS time, account || ' ' || market AS metric, extract(epoch FROM coalesce(age, now() - promised)) AS age
FROM poller.latest_polls
JOIN (
    SELECT account, market, min(valid_from) AS promised
    FROM poller.schedules
    WHERE valid_to IS NULL
    GROUP BY account, market
) AS promise USING (account, market)
WHERE {CHOSEN}
ORDER BY 3 DESC
LIMIT 1
"""
_LAST: Final = f"""
SELECT now() AS time, metric, value
FROM (
    SELECT weight_used::numeric / nullif(weight_limit, 0) AS weight, clock_offset_ms / 1000.0 AS offset_seconds,
        extract(epoch FROM stored_at - received_at) AS delay
    FROM poller.latest_polls AS latest
    JOIN poller.polls ON polls.account = latest.account AND polls.market = latest.market
        AND polls.time = latest.time
    WHERE latest.account = ANY ({ACCOUNTS}) AND latest.market = ANY ({MARKETS})
    ORDER BY latest.time DESC
    LIMIT 1
) AS newest
"""


def last(name: str, value: str) -> str:
    """Return the query of what the newest poll of all measured."""
    return _LAST.replace("metric, value", f"'{name}' AS metric, {value} AS value")


# Up to a day every poll; in longer ranges a dozen of each series for each point, looked up by key. In a range that is
# not its own, each part reads nothing: it ends where it begins.
_POLLED: Final = f"""
polled AS (
    SELECT date_bin(step, polls.time, 'epoch') AS time, polls.market, latency_ms, weight_used, weight_limit,
        clock_offset_ms, stored_at - received_at AS delay
    FROM grid
    CROSS JOIN poller.polls
    WHERE {CHOSEN} AND polls.time >= CASE WHEN {A_DAY} THEN {SINCE} ELSE {UNTIL} END AND polls.time < {UNTIL}
    UNION ALL
    SELECT date_bin(step, point.polled_at, 'epoch'), point.market, latency_ms, weight_used, weight_limit,
        clock_offset_ms, stored_at - received_at
    FROM grid
    CROSS JOIN unnest({ACCOUNTS}) AS chosen(account)
    CROSS JOIN LATERAL poller.chart_polls(
        CASE WHEN {A_DAY} THEN {UNTIL} ELSE {SINCE} END, {UNTIL},
        make_interval(secs => ceil(extract(epoch FROM step) / 12)), chosen.account
    ) AS point
    CROSS JOIN LATERAL (
        SELECT * FROM poller.polls AS seen
        WHERE seen.account = point.account AND seen.market = point.market AND seen.time = point.polled_at
            AND seen.time >= {SINCE} AND seen.time < {UNTIL}
        OFFSET 0
    ) AS seen
    WHERE point.market = ANY ({MARKETS})
)
"""


def over_time(values: str) -> str:
    """Return series of what polls measured; null in a step without a poll."""
    return f"""
{with_grid(_POLLED)},
market AS (SELECT DISTINCT market FROM polled)
SELECT step.time, market.market, {values}
FROM grid
CROSS JOIN generate_series(date_bin(step, {SINCE}, 'epoch'), {UNTIL} - INTERVAL '1 second', step) AS step(time)
CROSS JOIN market
LEFT JOIN polled ON polled.time = step.time AND polled.market = market.market
GROUP BY step.time, market.market
ORDER BY time
"""


LATENCY: Final = over_time(
    ", ".join(
        f"percentile_cont({part}) WITHIN GROUP (ORDER BY latency_ms) / 1000 AS p{name}"
        for part, name in ((0.5, 50), (0.95, 95), (0.99, 99))
    )
)
TICKS: Final = f"""
{with_grid()}
SELECT date_bin(step, polls.time, 'epoch') AS time, status AS metric, count(*) AS ticks
FROM grid
CROSS JOIN poller.polls
WHERE {CHOSEN} AND polls.time >= CASE WHEN {A_DAY} THEN {SINCE} ELSE {UNTIL} END AND polls.time < {UNTIL}
GROUP BY 1, status
UNION ALL
SELECT date_bin(greatest(step, INTERVAL '1 hour'), hour, 'epoch'), how.ended, sum(how.ticks)
FROM grid
CROSS JOIN poller.hourly_ticks
CROSS JOIN LATERAL (
    VALUES ('ok', ticks_stored), ('failed', ticks_failed), ('missed', greatest(ticks_missed - ticks_failed, 0))
) AS how(ended, ticks)
WHERE NOT {A_DAY} AND {CHOSEN} AND {_HOURS}
GROUP BY 1, how.ended
ORDER BY time
"""
LONGEST_GAPS: Final = f"""
SELECT account, market, "from", "to", missed_ticks, cause
FROM {inner(GAPS)} AS gap
ORDER BY missed_ticks DESC, "from" DESC
LIMIT 200
"""
RUNS: Final = f"""
SELECT started_at, stopped_at, stop_reason, version, instance, schema_revision
FROM poller.runs
WHERE started_at < {UNTIL}
ORDER BY started_at DESC
LIMIT 50
"""
