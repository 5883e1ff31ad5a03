"""The queries of the dashboard positions."""

from typing import Final

from grafana.generator.sql import CHOSEN, MARGIN_ASSETS, SINCE, SYMBOLS, UNTIL, amount, chart, known, with_grid

_OF_SYMBOL: Final = f"symbol = ANY ({SYMBOLS})"
OPEN: Final = (
    f"position_amount <> 0 AND {CHOSEN} AND {_OF_SYMBOL} AND coalesce(margin_asset, 'unknown') = ANY ({MARGIN_ASSETS})"
)
_SERIES: Final = "account, market, symbol, position_side"
NAME: Final = "${__field.labels.account} ${__field.labels.symbol} ${__field.labels.position_side}"

COUNT: Final = f"""
SELECT now() AS time, CASE WHEN isolated THEN 'isolated' ELSE 'cross' END AS metric, count(*) AS positions
FROM poller.latest_positions
WHERE {OPEN}
GROUP BY 2
ORDER BY 2
"""
STATE: Final = f"""
SELECT account, market, symbol, position_side, {amount("unrealized_pnl")} AS unrealized_pnl,
    unrealized_pnl / nullif(abs(exposure - unrealized_pnl), 0) AS pnl_ratio,
    {amount("exposure")} AS exposure, margin_asset, position_amount, entry_price, mark_price,
    CASE WHEN isolated THEN 'isolated' ELSE 'cross' END AS margin, effective_leverage, leverage,
    {amount("maintenance_margin")} AS maintenance_margin, {amount("isolated_wallet")} AS isolated_wallet,
    extract(epoch FROM age) AS age
FROM poller.latest_positions
WHERE {OPEN}
ORDER BY unrealized_pnl, account, symbol
"""
# By how much each series was worth at its most: a sign for each, and no more series than can be told apart.
LIFE: Final = f"""
{with_grid(chart("chart_position"))}
SELECT time, account, symbol, position_side, sign(position_amount) AS side
FROM point
WHERE {_OF_SYMBOL} AND ({_SERIES}) IN (
    SELECT {_SERIES} FROM point WHERE {_OF_SYMBOL} GROUP BY {_SERIES}
    HAVING max(abs(position_amount)) > 0
    ORDER BY max(abs(exposure)) DESC NULLS LAST
    LIMIT 40
)
ORDER BY time
"""
EVENTS: Final = f"""
SELECT time, account, symbol, position_side, event, change, position_amount, extract(epoch FROM elapsed) AS elapsed
FROM poller.position_events
WHERE {CHOSEN} AND {_OF_SYMBOL} AND time >= greatest({SINCE}, {UNTIL} - INTERVAL '1 day') AND time < {UNTIL}
ORDER BY time DESC
LIMIT 200
"""


BY_UNIT: Final = f"""
SELECT coalesce(margin_asset, 'unknown') AS unit, {amount("sum(unrealized_pnl)")} AS unrealized_pnl,
    {amount("sum(exposure)")} AS net_exposure, {amount("sum(abs(exposure))")} AS gross_exposure,
    coalesce(sum(abs(exposure)) FILTER (WHERE isolated), 0) AS isolated, count(*) AS positions
FROM poller.latest_positions
WHERE {OPEN}
GROUP BY margin_asset
ORDER BY margin_asset NOT LIKE 'USD%', margin_asset
"""


def by_symbol(value: str) -> str:
    """Return the query of a value of the largest positions over time."""
    return f"""
{with_grid(chart("chart_position"))},
named AS (
    SELECT point.*
    FROM point
    JOIN poller.accounts USING (account)
    LEFT JOIN poller.contracts USING (environment, market, symbol)
    WHERE {_OF_SYMBOL} AND coalesce(margin_asset, 'unknown') = ANY ({MARGIN_ASSETS})
)
SELECT time, account, symbol, position_side, {amount(value)} AS {value}
FROM named
WHERE ({_SERIES}) IN (
    SELECT {_SERIES} FROM named GROUP BY {_SERIES} ORDER BY max(abs(exposure)) DESC NULLS LAST LIMIT 20
)
ORDER BY time
"""


def _looked_up(*values: str) -> str:
    """Begin a query that looks the positions of each point's poll up by key."""
    return f"""
{with_grid(chart("chart_polls"))},
looked_up AS MATERIALIZED (
    SELECT point.time, point.account, point.market, state.*
    FROM point
    CROSS JOIN LATERAL (
        SELECT symbol, position_side, {", ".join(values)}
        FROM poller.position_states AS seen
        WHERE seen.time = point.polled_at AND seen.account = point.account AND seen.market = point.market
            AND seen.time >= {SINCE} AND seen.time < {UNTIL} AND seen.position_amount <> 0
            AND {_OF_SYMBOL} AND coalesce(margin_asset, 'unknown') = ANY ({MARGIN_ASSETS})
        OFFSET 0
    ) AS state
)
"""


LEVERAGE: Final = f"""
{_looked_up("effective_leverage")},
series AS (
    SELECT {_SERIES} FROM looked_up GROUP BY {_SERIES}
    HAVING max(effective_leverage) IS NOT NULL
    ORDER BY max(effective_leverage) DESC
    LIMIT 20
)
SELECT point.time, series.account, series.symbol, series.position_side, state.effective_leverage
FROM series
JOIN point USING (account, market)
LEFT JOIN looked_up AS state ON state.time = point.time AND state.account = series.account
    AND state.market = series.market AND state.symbol = series.symbol AND state.position_side = series.position_side
ORDER BY time
"""
# Where the positions of old polls were dropped, nothing is known.
ISOLATED: Final = f"""
{_looked_up("exposure", "isolated")},
summed AS (
    SELECT time, account, market, sum(abs(exposure)) FILTER (WHERE isolated) AS isolated,
        sum(abs(exposure)) FILTER (WHERE NOT isolated) AS cross_margined
    FROM looked_up
    GROUP BY time, account, market
),
kept AS (
    SELECT coalesce(max(before), '-infinity') AS since FROM poller.dropped_history
    WHERE history IN ('polls', 'positions')
)
SELECT point.time,
    {known("CASE WHEN count(polled) > 0 THEN coalesce(sum(isolated), 0) END", "polled")} AS isolated,
    {known("CASE WHEN count(polled) > 0 THEN coalesce(sum(cross_margined), 0) END", "polled")} AS "cross"
FROM (
    SELECT time, account, market, CASE WHEN polled_at >= since THEN polled_at END AS polled FROM point CROSS JOIN kept
) AS point
LEFT JOIN summed USING (time, account, market)
WHERE (account, market) IN (SELECT account, market FROM summed)
GROUP BY point.time
ORDER BY time
"""
