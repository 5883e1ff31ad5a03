"""What the queries of several panels have in common.

Values of variables are always written as arrays of `:sqlstring`: quoted the same way by every version of Grafana, for
one value as for several, and an empty array where there is nothing to choose from.
"""

from textwrap import dedent, indent
from typing import Final

ACCOUNTS: Final = "ARRAY[${account:sqlstring}]::text[]"
MARKETS: Final = "ARRAY[${market:sqlstring}]::text[]"
ASSETS: Final = "ARRAY[${asset:sqlstring}]::text[]"
MARGIN_ASSETS: Final = "ARRAY[${margin_asset:sqlstring}]::text[]"
SYMBOLS: Final = "ARRAY[${symbol:sqlstring}]::text[]"
SINCE: Final = "$__timeFrom()::timestamptz"
UNTIL: Final = "$__timeTo()::timestamptz"
CHOSEN: Final = f"account = ANY ({ACCOUNTS}) AND market = ANY ({MARKETS})"
A_DAY: Final = f"{UNTIL} - {SINCE} <= INTERVAL '1 day'"

_RATIO: Final = "CASE WHEN at_liquidation THEN greatest(margin_ratio, 1) ELSE margin_ratio END"
"""At or beyond liquidation it is 1 or more, also where no ratio can be told."""

WORST_POOLS: Final = f"""
SELECT account, market, time, age, maintenance_margin, margin_balance, asset, {_RATIO} AS margin_ratio,
    concat_ws(' ', pool, coalesce(symbol, asset, 'of unknown unit'), position_side) AS pool
FROM poller.latest_margin_pools
WHERE {CHOSEN}
"""

LATEST_EQUITY: Final = f"""
SELECT account, market, 'asset' AS scope, asset, asset AS unit, wallet_balance, unrealized_pnl,
    margin_balance AS equity, available_balance
FROM poller.latest_assets
WHERE {CHOSEN}
UNION ALL
SELECT account, market, 'account', totals_asset, totals_asset || ' multi', wallet_balance, unrealized_pnl,
    margin_balance, available_balance
FROM poller.latest_accounts
WHERE asset_mode = 'multi_assets' AND totals_asset IS NOT NULL AND {CHOSEN}
"""

# All series have the same points, each with room for a poll of the rarest: a point between two polls would be null.
_GRID: Final = f"""
grid AS (
    SELECT make_interval(secs => seconds * ceil(extract(epoch FROM {UNTIL} - {SINCE}) / seconds / 1900)) AS step
    FROM (
        SELECT greatest($__interval_ms / 1000.0, max(interval_seconds)) AS seconds
        FROM poller.schedules
        WHERE {CHOSEN} AND valid_from < {UNTIL} AND (valid_to IS NULL OR valid_to > {SINCE})
    ) AS longest
)
"""


def clean(sql: str) -> str:
    """Return a query without the blank around it."""
    return dedent(sql).strip()


def inner(sql: str) -> str:
    """Return a query as it stands within brackets."""
    return f"(\n{indent(sql.strip(), '    ')}\n)"


def with_grid(*tables: str) -> str:
    """Begin a query that has a `grid` with its `step`, and tables made of it."""
    return "WITH " + ",\n".join(table.strip() for table in (_GRID, *tables))


def chart(function: str, *, by_asset: str | None = None) -> str:
    """Return the table `point`: a chart function for the chosen accounts and markets.

    Attributes:
        by_asset: The argument that takes the unit; None reads the series of every unit.
    """
    unit = f"\n    CROSS JOIN unnest({ASSETS}) AS unit(asset)" if by_asset else ""
    narrowed = f", {by_asset} => unit.asset" if by_asset else ""
    return f"""
point AS (
    SELECT point.*
    FROM grid
    CROSS JOIN unnest({ACCOUNTS}) AS chosen(account){unit}
    CROSS JOIN LATERAL poller.{function}({SINCE}, {UNTIL}, step, chosen.account{narrowed}) AS point
    WHERE point.market = ANY ({MARKETS})
)
"""


def known(value: str, part: str) -> str:
    """Return an aggregate of the rows of `point`; null where `part` is unknown in one that should have been polled."""
    return f"""CASE WHEN NOT bool_or({part} IS NULL AND EXISTS (
        SELECT FROM poller.schedules AS promise
        WHERE promise.account = point.account AND promise.market = point.market
            AND promise.valid_from <= point.time AND (promise.valid_to IS NULL OR promise.valid_to > point.time)
    )) THEN {value} END"""


def total(value: str) -> str:
    """Add up the rows of `point`; null as soon as one that should have been polled is unknown."""
    return known(f"sum({value})", value)


def amount(value: str) -> str:
    """Round an amount to what a reader of a table needs: cents of hundreds, and six digits of what is less."""
    return f"round({value}, CASE WHEN abs({value}) >= 100 THEN 2 ELSE 6 END)"


GAPS: Final = f"""
SELECT account, market, "from", "to", missed_ticks, cause
FROM poller.gaps_between(CASE WHEN {A_DAY} THEN {SINCE} ELSE {UNTIL} END, {UNTIL})
WHERE {CHOSEN}
UNION ALL
SELECT account, market, min(hour), max(hour) + INTERVAL '1 hour', sum(ticks_missed), 'see a range of a day'
FROM (
    SELECT account, market, hour, ticks_missed,
        hour - INTERVAL '1 hour' * row_number() OVER (PARTITION BY account, market ORDER BY hour) AS stretch
    FROM poller.hourly_ticks
    WHERE NOT {A_DAY} AND ticks_missed > 0 AND {CHOSEN} AND hour >= {SINCE} AND hour < {UNTIL}
) AS missed
GROUP BY account, market, stretch
"""
"""Exact up to a day; in a longer range the hours that have gaps, from the rollups."""
