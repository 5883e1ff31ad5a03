"""The queries of the dashboard overview."""

from typing import Final

from grafana.generator.sql import (
    CHOSEN,
    LATEST_EQUITY,
    WORST_POOLS,
    amount,
    chart,
    inner,
    total,
    with_grid,
)

SILENT: Final = f"""
SELECT now() AS time, 'not recorded' AS metric,
    count(*) FILTER (WHERE coalesce(extract(epoch FROM age) > 3 * interval_seconds, true)) AS silent
FROM poller.latest_polls
WHERE {CHOSEN}
HAVING count(*) > 0
"""
ACCOUNTS: Final = f"""
SELECT account, market, margin_ratio, pool, positions, last_status, extract(epoch FROM age) AS age, last_error
FROM poller.latest_polls
LEFT JOIN (
    SELECT DISTINCT ON (account, market) account, market, margin_ratio, pool
    FROM {inner(WORST_POOLS)} AS pools
    ORDER BY account, market, margin_ratio DESC NULLS LAST
) AS worst USING (account, market)
LEFT JOIN (
    SELECT account, market, count(*) FILTER (WHERE position_amount <> 0) AS positions
    FROM poller.latest_positions
    WHERE {CHOSEN}
    GROUP BY account, market
) AS held USING (account, market)
WHERE {CHOSEN}
ORDER BY margin_ratio DESC NULLS LAST, account, market
"""
BY_UNIT: Final = f"""
SELECT unit, {amount("sum(equity)")} AS equity, {amount("sum(unrealized_pnl)")} AS unrealized_pnl,
    count(DISTINCT account) AS accounts
FROM {inner(LATEST_EQUITY)} AS pool
GROUP BY unit
ORDER BY unit NOT LIKE 'USD%', unit
"""
WORTH: Final = f"""
SELECT account, market, unit, {amount("equity")} AS equity, {amount("unrealized_pnl")} AS unrealized_pnl,
    {amount("(equity - before)")} AS change
FROM {inner(LATEST_EQUITY)} AS pool
LEFT JOIN LATERAL (
    SELECT CASE WHEN closed.last_at = made.last_ok_at THEN closed.last_equity ELSE 0 END AS before
    FROM poller.hourly_ticks AS made
    LEFT JOIN poller.hourly_equity AS closed ON closed.account = made.account AND closed.market = made.market
        AND closed.hour = made.hour AND closed.scope = pool.scope AND closed.asset = pool.asset
    WHERE made.account = pool.account AND made.market = pool.market AND made.last_ok_at IS NOT NULL
        AND made.hour = date_trunc('hour', now()) - INTERVAL '25 hours'
) AS day ON true
ORDER BY unrealized_pnl, account, market, unit
"""
EXPOSURE_NOW: Final = f"""
SELECT coalesce(margin_asset, 'unknown') AS unit, symbol,
    {amount("sum(exposure)")} AS net, {amount("sum(abs(exposure))")} AS gross,
    {amount("sum(unrealized_pnl)")} AS unrealized_pnl, count(DISTINCT account) AS accounts
FROM poller.latest_positions
WHERE position_amount <> 0 AND {CHOSEN}
GROUP BY margin_asset, symbol
ORDER BY unit, sum(abs(exposure)) DESC
"""
TOGETHER: Final = f"""
{with_grid(chart("chart_equity", by_asset="asset"))}
SELECT time, CASE scope WHEN 'account' THEN 'multi-assets accounts' ELSE 'wallets' END AS metric,
    {amount("equity")} AS equity
FROM (SELECT time, scope, {total("equity")} AS equity FROM point GROUP BY time, scope) AS summed
ORDER BY time
"""
EXPOSURE: Final = f"""
{with_grid(chart("chart_exposure", by_asset="margin_asset"))}
SELECT time, coalesce(base_asset, 'unknown') AS metric, {amount("net_exposure")} AS net_exposure
FROM (SELECT time, base_asset, {total("net_exposure")} AS net_exposure FROM point GROUP BY time, base_asset) AS summed
ORDER BY time
"""


def by_account(value: str) -> str:
    """Return the query of a value of each account over time."""
    return f"""
{with_grid(chart("chart_equity", by_asset="asset"))}
SELECT time, account, market, scope, {amount(value)} AS {value}
FROM point
ORDER BY time
"""
