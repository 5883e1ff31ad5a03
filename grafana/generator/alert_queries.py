"""What alerts watch in the database: a value of each account and market that somebody promises to poll now."""

from typing import Final

_LINE: Final = "\n"

# One row for each account and market that is polled, with its interval and the time for which polls are looked at:
# two intervals at least, and at most 300 polls.
_SERIES: Final = """
SELECT account, market, interval_seconds, valid_from, step,
    now() - greatest(2 * step, INTERVAL '5 minutes') AS recently
FROM poller.promises
CROSS JOIN LATERAL make_interval(secs => interval_seconds) AS step
WHERE valid_from <= now() AND (valid_to IS NULL OR valid_to > now())
"""


def _series(value: str, rest: str) -> str:
    """Return a query for a value of each account and market, from what is joined to them."""
    return f"""
WITH series AS (
    {_SERIES.strip().replace(_LINE, _LINE + "    ")}
)
SELECT now() AS time, series.account, series.market,
    ({value.replace(_LINE, _LINE + "    ")})::double precision AS value
FROM series
{rest.strip()}
ORDER BY series.account, series.market
"""


_NEWEST: Final = """
LEFT JOIN LATERAL (
    SELECT * FROM poller.polls
    WHERE polls.account = series.account AND polls.market = series.market
    ORDER BY time DESC
    LIMIT 1
) AS newest ON true
"""


def _recent(columns: str) -> str:
    return f"""
CROSS JOIN LATERAL (
    SELECT {columns}
    FROM poller.polls
    WHERE polls.account = series.account AND polls.market = series.market AND polls.time > recently
) AS recent
"""


AGE: Final = _series(
    "extract(epoch FROM now() - greatest(newest.time, valid_from)) / interval_seconds",
    _NEWEST,
)
"""Intervals since the newest poll that was stored, whatever came of it."""

# What was promised since then but is not older than two intervals may still come.
MISSED: Final = _series(
    "greatest(promised.ticks - stored.ticks, 0)",
    """
CROSS JOIN LATERAL (
    SELECT greatest(valid_from, now() - greatest(10 * step, INTERVAL '5 minutes')) AS since,
        now() - 2 * step AS until
) AS span
CROSS JOIN LATERAL (
    SELECT 1 + floor(extract(epoch FROM until) / interval_seconds)
        - ceil(extract(epoch FROM since) / interval_seconds) AS ticks
) AS promised
CROSS JOIN LATERAL (
    SELECT count(*) AS ticks
    FROM poller.polls
    WHERE polls.account = series.account AND polls.market = series.market AND status = 'ok'
        AND time >= since AND time <= until AND date_bin(step, time, 'epoch') = time
) AS stored
""",
)
"""Promised ticks without an `ok` poll, of the last ten intervals or five minutes."""

MARGIN: Final = """
SELECT now() AS time, account, market,
    concat_ws(' ', pool, coalesce(symbol, asset, 'of unknown unit'), position_side) AS pool,
    (CASE WHEN at_liquidation THEN greatest(margin_ratio, 1) ELSE coalesce(margin_ratio, 0) END)::double precision
        AS value
FROM poller.latest_margin_pools
WHERE maintenance_margin IS NOT NULL AND margin_balance IS NOT NULL
ORDER BY account, market, pool
"""
"""The margin ratio of each pool, as it was last seen; at least 1 at liquidation, also where there is none."""

REFUSED: Final = _series(
    """coalesce(
    status IN ('unauthorized', 'rejected') OR status = 'paused' AND (
        error_message LIKE 'the exchange refuses this account%'
        OR error_message LIKE 'the exchange rejects the request%'
    ),
    false
)::integer""",
    _NEWEST,
)
"""Whether the newest tick ended because the exchange refuses the account."""

SILENCED: Final = _series(
    "silenced",
    _recent(
        """count(*) FILTER (
        WHERE status IN ('rate_limited', 'banned') OR status = 'paused' AND (
            error_message LIKE 'the exchange asked for silence%'
            OR error_message LIKE 'the exchange has banned this address%'
        )
    ) AS silenced"""
    ),
)
"""Ticks of late that ended because the exchange wants silence from the address."""

WEIGHT: Final = _series(
    "weight",
    _recent(
        """coalesce(max(
        CASE WHEN status = 'paused' AND error_message LIKE 'the weight budget of this minute is used up%' THEN 1
            ELSE weight_used::numeric / nullif(weight_limit, 0) END
    ), 0) AS weight"""
    ),
)
"""Which part of the limit the address has used in a minute of late; 1 where our own share held a poll back."""

STORED_LATE: Final = _series(
    "coalesce(extract(epoch FROM stored_at - coalesce(received_at, requested_at, newest.time)), 0)",
    _NEWEST,
)
"""Seconds from the reply of the newest poll to its row."""

DRIFT: Final = _series(
    "malformed + unknown",
    _recent("count(*) FILTER (WHERE status = 'malformed') AS malformed")
    + """\
CROSS JOIN LATERAL (
    SELECT count(extra) AS unknown
    FROM (
        SELECT time FROM poller.account_totals AS totals
        WHERE totals.account = series.account AND totals.market = series.market
        ORDER BY time DESC
        LIMIT 1
    ) AS newest
    CROSS JOIN LATERAL (
        SELECT extra FROM poller.account_totals AS totals
        WHERE totals.time = newest.time AND totals.account = series.account AND totals.market = series.market
        UNION ALL
        SELECT extra FROM poller.asset_balances AS balance
        WHERE balance.time = newest.time AND balance.account = series.account AND balance.market = series.market
        UNION ALL
        SELECT extra FROM poller.positions
        WHERE positions.time = newest.time AND positions.account = series.account AND positions.market = series.market
    ) AS row
) AS found
""",
)
"""Fields of the newest `ok` reply that nobody knows, and replies of late that nobody understood."""

CLOCK: Final = _series("coalesce(abs(clock_offset_ms), 0) / 1000.0", _NEWEST)
"""Seconds by which the host's clock differs from the exchange's."""
