"""How close margin pools are to liquidation: what the overview and the dashboard of an account both show first."""

from typing import Final

from grafana.generator.panels import Json, lines, ratio, stat
from grafana.generator.sql import WORST_POOLS, chart, inner, with_grid

_WORST: Final = f"""
SELECT now() AS time, account || ' ' || market || ' ' || pool AS metric, margin_ratio
FROM {inner(WORST_POOLS)} AS worst
WHERE margin_ratio IS NOT NULL
ORDER BY margin_ratio DESC
LIMIT 1
"""
_OVER_TIME: Final = f"""
{with_grid(chart("chart_margin"))},
named AS (
    SELECT time, account, margin_ratio,
        concat_ws(' ', market, pool, coalesce(symbol, asset, 'of unknown unit'), position_side) AS pool
    FROM point
)
SELECT time, account, pool, margin_ratio
FROM named
WHERE (account, pool) IN (
    SELECT account, pool FROM named GROUP BY account, pool ORDER BY max(margin_ratio) DESC NULLS LAST LIMIT 20
)
ORDER BY time
"""


def worst_now() -> Json:
    """Return the figure that matters most."""
    return stat(
        "Worst margin ratio",
        "Maintenance margin / margin balance of the pool closest to liquidation, which is at 100 %. A pool is what is "
        "liquidated on its own: the cross margin of an asset or of a whole multi-assets account, or an isolated "
        "position.",
        _WORST,
        ratio("No margin pool"),
    )


def over_time() -> Json:
    """Return the ratios of the worst pools."""
    return lines(
        "Margin ratio, the 20 worst pools",
        "Of the last ok poll of each step: maintenance margin / margin balance. Liquidation is at 100 %; the dashed "
        "lines are at 50, 80 and 95 %. Pools are chosen by their highest ratio in the range.",
        _OVER_TIME,
        ratio("No margin pool in this range", "${__field.labels.account} ${__field.labels.pool}"),
    )
