"""The queries of the dashboard account."""

from typing import Final

from grafana.generator.sql import (
    ACCOUNTS,
    ASSETS,
    CHOSEN,
    LATEST_EQUITY,
    MARKETS,
    SINCE,
    UNTIL,
    WORST_POOLS,
    amount,
    chart,
    inner,
    with_grid,
)

_OF_ASSET: Final = f"asset = ANY ({ASSETS})"

STATE: Final = f"""
SELECT poll.market, poll.last_status, extract(epoch FROM poll.age) AS age, poll.interval_seconds,
    replace(coalesce(totals.asset_mode, mode.asset_mode), '_', ' ') AS asset_mode,
    replace(mode.position_mode, '_', ' ') AS position_mode, poll.last_error
FROM poller.latest_polls AS poll
LEFT JOIN poller.latest_accounts AS totals USING (account, market)
LEFT JOIN poller.account_modes AS mode ON mode.account = poll.account AND mode.market = poll.market
    AND mode.valid_to IS NULL
WHERE poll.account = ANY ({ACCOUNTS}) AND poll.market = ANY ({MARKETS})
ORDER BY poll.account, poll.market
"""
BY_UNIT: Final = f"""
SELECT unit, {amount("sum(equity)")} AS equity, {amount("sum(wallet_balance)")} AS wallet_balance,
    {amount("sum(unrealized_pnl)")} AS unrealized_pnl, {amount("sum(available_balance)")} AS available_balance
FROM {inner(LATEST_EQUITY)} AS pool
GROUP BY unit
ORDER BY unit NOT LIKE 'USD%', unit
"""
POOLS: Final = f"""
SELECT market, pool, margin_ratio, {amount("maintenance_margin")} AS maintenance_margin,
    {amount("margin_balance")} AS margin_balance,
    {amount("(margin_balance - maintenance_margin)")} AS left_over, asset
FROM {inner(WORST_POOLS)} AS pools
ORDER BY margin_ratio DESC NULLS LAST, pool
"""
BALANCES: Final = f"""
SELECT market, asset, {amount("margin_balance")} AS equity, {amount("wallet_balance")} AS wallet_balance,
    {amount("unrealized_pnl")} AS unrealized_pnl, {amount("initial_margin")} AS initial_margin,
    {amount("maintenance_margin")} AS maintenance_margin, {amount("available_balance")} AS available_balance,
    {amount("max_withdraw_amount")} AS max_withdraw_amount
FROM poller.latest_assets
WHERE {CHOSEN} AND {_OF_ASSET}
ORDER BY market, asset
"""
EQUITY: Final = f"""
{with_grid(chart("chart_equity", by_asset="asset"))}
SELECT time, account, market, scope, {amount("equity")} AS equity, {amount("wallet_balance")} AS "wallet balance"
FROM point
ORDER BY time
"""
PNL: Final = f"""
{with_grid(chart("chart_equity", by_asset="asset"))}
SELECT time, account, market, scope, {amount("unrealized_pnl")} AS unrealized_pnl
FROM point
ORDER BY time
"""
# Each point looks its poll up by key. Where the rows of old polls were dropped, nothing is known.
MARGINS: Final = f"""
{with_grid(chart("chart_polls"))},
kept AS (
    SELECT coalesce(max(before), '-infinity') AS since FROM poller.dropped_history
    WHERE history IN ('polls', 'account_totals', 'asset_balances')
),
looked_up AS MATERIALIZED (
    SELECT point.time, point.account, point.market, point.polled_at, balance.*
    FROM point
    LEFT JOIN LATERAL (
        SELECT true AS found, initial_margin, maintenance_margin, available_balance
        FROM poller.asset_balances AS seen
        WHERE seen.time = point.polled_at AND seen.account = point.account AND seen.market = point.market
            AND seen.time >= {SINCE} AND seen.time < {UNTIL} AND {_OF_ASSET}
        UNION ALL
        SELECT true, initial_margin, maintenance_margin, available_balance
        FROM poller.account_totals AS seen
        WHERE seen.time = point.polled_at AND seen.account = point.account AND seen.market = point.market
            AND seen.time >= {SINCE} AND seen.time < {UNTIL} AND asset_mode = 'multi_assets'
            AND totals_asset = ANY ({ASSETS})
        LIMIT 1
    ) AS balance ON true
)
SELECT time, account, market,
    coalesce(initial_margin, CASE WHEN polled_at >= since THEN 0 END) AS "initial margin",
    coalesce(maintenance_margin, CASE WHEN polled_at >= since THEN 0 END) AS "maintenance margin",
    available_balance AS "available balance"
FROM looked_up
CROSS JOIN kept
WHERE (account, market) IN (SELECT account, market FROM looked_up WHERE found)
ORDER BY time
"""
DRAWDOWN: Final = f"""
{with_grid()},
hours AS (
    SELECT make_interval(secs => ceil(extract(epoch FROM step) / 3600) * 3600) AS step FROM grid
),
seen AS (
    SELECT date_bin(step, hour, 'epoch') AS time, account, market, scope, max(drawdown_ratio) AS deepest
    FROM poller.drawdown_including_transfers
    CROSS JOIN hours
    WHERE {CHOSEN} AND {_OF_ASSET} AND hour >= {SINCE} - INTERVAL '1 hour' AND hour < {UNTIL}
    GROUP BY 1, account, market, scope
)
SELECT point.time, series.account, series.market, series.scope, -seen.deepest AS drawdown
FROM hours
CROSS JOIN generate_series(date_bin(step, {SINCE}, 'epoch'), {UNTIL} - INTERVAL '1 second', step) AS point(time)
CROSS JOIN (SELECT DISTINCT account, market, scope FROM seen) AS series
LEFT JOIN seen ON seen.time = point.time AND seen.account = series.account AND seen.market = series.market
    AND seen.scope = series.scope
ORDER BY time
"""
DAILY: Final = f"""
SELECT day::timestamp AT TIME ZONE 'UTC' AS time, account, market, scope,
    CASE WHEN day_before = day - 1 THEN equity - equity_before END AS change
FROM (
    SELECT day, account, market, scope, equity,
        lag(day) OVER days AS day_before, lag(equity) OVER days AS equity_before
    FROM poller.daily_close
    WHERE {CHOSEN} AND {_OF_ASSET}
        AND day >= (greatest({SINCE}, {UNTIL} - INTERVAL '1999 days') AT TIME ZONE 'UTC')::date - 1
        AND day <= ({UNTIL} AT TIME ZONE 'UTC')::date
    WINDOW days AS (PARTITION BY account, market, scope, asset ORDER BY day)
) AS closed
WHERE day >= (greatest({SINCE}, {UNTIL} - INTERVAL '1999 days') AT TIME ZONE 'UTC')::date
ORDER BY time
"""
CHANGES: Final = f"""
SELECT time, market, asset, change, wallet_balance, array_to_string(symbols, ', ') AS symbols,
    extract(epoch FROM elapsed) AS elapsed
FROM poller.wallet_changes
WHERE {CHOSEN} AND {_OF_ASSET} AND time >= greatest({SINCE}, {UNTIL} - INTERVAL '1 day') AND time < {UNTIL}
ORDER BY time DESC
LIMIT 200
"""
