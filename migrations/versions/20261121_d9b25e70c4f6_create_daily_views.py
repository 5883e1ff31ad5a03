"""Create the daily views.

Revises: e17d4c96b0a5
"""

import sqlalchemy as sa
from alembic import op

revision = "d9b25e70c4f6"
down_revision = "e17d4c96b0a5"

_DAILY_TICKS = """
CREATE VIEW poller.daily_ticks AS
SELECT (hour AT TIME ZONE 'UTC')::date AS day, account, market,
    sum(ticks_stored) AS ticks_stored, sum(ticks_failed) AS ticks_failed, sum(ticks_missed) AS ticks_missed,
    min(first_ok_at) AS first_ok_at, max(last_ok_at) AS last_ok_at
FROM poller.hourly_ticks
GROUP BY day, account, market
"""

_DAILY_EQUITY = """
CREATE VIEW poller.daily_equity AS
SELECT (hour AT TIME ZONE 'UTC')::date AS day, account, market, scope, asset,
    min(first_at) AS first_at, max(last_at) AS last_at,
    (array_agg(first_equity ORDER BY hour))[1] AS first_equity,
    (array_agg(last_equity ORDER BY hour DESC))[1] AS last_equity,
    min(min_equity) AS min_equity,
    (array_agg(min_at ORDER BY min_equity, hour) FILTER (WHERE min_equity IS NOT NULL))[1] AS min_at,
    max(max_equity) AS max_equity,
    (array_agg(max_at ORDER BY max_equity DESC, hour) FILTER (WHERE max_equity IS NOT NULL))[1] AS max_at,
    (array_agg(last_wallet_balance ORDER BY hour DESC))[1] AS last_wallet_balance,
    (array_agg(last_unrealized_pnl ORDER BY hour DESC))[1] AS last_unrealized_pnl
FROM poller.hourly_equity
GROUP BY day, account, market, scope, asset
"""

_DAILY_MARGIN = """
CREATE VIEW poller.daily_margin AS
SELECT (hour AT TIME ZONE 'UTC')::date AS day, account, market, pool, asset, symbol, position_side,
    min(first_at) AS first_at, max(last_at) AS last_at,
    (array_agg(last_maintenance_margin ORDER BY hour DESC))[1] AS last_maintenance_margin,
    (array_agg(last_margin_balance ORDER BY hour DESC))[1] AS last_margin_balance,
    max(max_margin_ratio) AS max_margin_ratio,
    (array_agg(max_margin_ratio_at ORDER BY max_margin_ratio DESC, hour) FILTER (WHERE max_margin_ratio IS NOT NULL))[1]
        AS max_margin_ratio_at,
    sum(seconds_above_50) AS seconds_above_50, sum(seconds_above_80) AS seconds_above_80,
    sum(seconds_above_95) AS seconds_above_95, sum(seconds_at_liquidation) AS seconds_at_liquidation
FROM poller.hourly_margin
GROUP BY day, account, market, pool, asset, symbol, position_side
"""

_DAILY_EXPOSURE = """
CREATE VIEW poller.daily_exposure AS
SELECT (hour AT TIME ZONE 'UTC')::date AS day, account, market, base_asset, margin_asset,
    min(first_at) AS first_at, max(last_at) AS last_at,
    (array_agg(last_gross_exposure ORDER BY hour DESC))[1] AS last_gross_exposure,
    (array_agg(last_net_exposure ORDER BY hour DESC))[1] AS last_net_exposure,
    max(max_gross_exposure) AS max_gross_exposure,
    (
        array_agg(max_gross_exposure_at ORDER BY max_gross_exposure DESC, hour)
            FILTER (WHERE max_gross_exposure IS NOT NULL)
    )[1] AS max_gross_exposure_at
FROM poller.hourly_exposure
GROUP BY day, account, market, base_asset, margin_asset
"""

_DAILY_POSITIONS = """
CREATE VIEW poller.daily_positions AS
SELECT (hour AT TIME ZONE 'UTC')::date AS day, account, market, symbol, position_side,
    min(first_at) AS first_at, max(last_at) AS last_at,
    (array_agg(last_position_amount ORDER BY hour DESC))[1] AS last_position_amount,
    (array_agg(last_exposure ORDER BY hour DESC))[1] AS last_exposure,
    (array_agg(last_unrealized_pnl ORDER BY hour DESC))[1] AS last_unrealized_pnl
FROM poller.hourly_positions
GROUP BY day, account, market, symbol, position_side
"""

_DAILY_CLOSE = """
CREATE VIEW poller.daily_close AS
SELECT day, account, market, pool.scope, pool.asset,
    CASE WHEN pool.last_at = poll.last_ok_at THEN pool.last_equity ELSE 0 END AS equity,
    CASE WHEN pool.last_at = poll.last_ok_at THEN pool.last_wallet_balance ELSE 0 END AS wallet_balance,
    CASE WHEN pool.last_at = poll.last_ok_at THEN pool.last_unrealized_pnl ELSE 0 END AS unrealized_pnl,
    poll.last_ok_at AS polled_at,
    (day + 1) AT TIME ZONE 'UTC' - poll.last_ok_at AS before_midnight
FROM poller.daily_equity AS pool
JOIN poller.daily_ticks AS poll USING (day, account, market)
"""

_DRAWDOWN = """
CREATE VIEW poller.drawdown_including_transfers AS
SELECT hour, account, market, scope, asset, polled_at, equity, peak,
    peak - equity AS drawdown,
    CASE WHEN peak > 0 THEN round((peak - equity) / peak, 8) END AS drawdown_ratio
FROM (
    SELECT hour, account, market, pool.scope, pool.asset, poll.last_ok_at AS polled_at,
        CASE WHEN pool.last_at = poll.last_ok_at THEN pool.last_equity ELSE 0 END AS equity,
        max(pool.max_equity) OVER (PARTITION BY account, market, pool.scope, pool.asset ORDER BY hour) AS peak
    FROM poller.hourly_equity AS pool
    JOIN poller.hourly_ticks AS poll USING (hour, account, market)
) AS closed
"""

_VIEWS = {
    "daily_ticks": _DAILY_TICKS,
    "daily_equity": _DAILY_EQUITY,
    "daily_margin": _DAILY_MARGIN,
    "daily_exposure": _DAILY_EXPOSURE,
    "daily_positions": _DAILY_POSITIONS,
    "daily_close": _DAILY_CLOSE,
    "drawdown_including_transfers": _DRAWDOWN,
}

_DESCRIPTIONS = {
    "daily_ticks": "How the ticks of every UTC day ended, from hourly_ticks.",
    "daily_equity": "The equity of every asset, and in multi-assets mode of the account, on every UTC day, from "
    "hourly_equity. Never add up rows of different assets.",
    "daily_margin": "How close every margin pool came to its liquidation on every UTC day, from hourly_margin.",
    "daily_exposure": "What the positions were worth by base asset on every UTC day, from hourly_exposure.",
    "daily_positions": "Every position as it was last seen on every UTC day, from hourly_positions.",
    "daily_close": "What every pool of equity was worth at the last ok poll of every UTC day, of today so far: 0 for "
    "one that the day has seen and that poll has not. before_midnight tells how good a closing value it is.",
    "drawdown_including_transfers": "How far the equity of every pool was below its highest so far, at the last ok "
    "poll of every hour. Transfers are not in the replies: a withdrawal looks like a loss.",
}

_SHARED = {
    "day": "The UTC day.",
    "hour": "Begin of the hour, in UTC.",
    "account": "Our permanent label of the API key.",
    "market": "usdm: USDⓈ-M futures, coinm: COIN-M futures.",
    "ticks_stored": "How many ok polls there are.",
    "ticks_failed": "How many polls there are that are not ok.",
    "ticks_missed": "How many promised ticks have no ok poll, see promises and poll_gaps.",
    "first_ok_at": "The first ok poll; null when there is none.",
    "last_ok_at": "The last ok poll; null when there is none.",
    "first_at": "The first ok poll of the day that has this row.",
    "last_at": "The last ok poll of the day that has this row; where last_ok_at of daily_ticks is later, it is zero.",
    "scope": "asset: one asset, or account: all assets of a multi-assets account, in USD. See equity.",
    "asset": "The unit of this row's amounts, such as USDT or BTC.",
    "first_equity": "equity at first_at. In units of asset.",
    "last_equity": "equity at last_at. In units of asset.",
    "min_equity": "The lowest equity. In units of asset.",
    "min_at": "The first ok poll with min_equity.",
    "max_equity": "The highest equity. In units of asset.",
    "max_at": "The first ok poll with max_equity.",
    "last_wallet_balance": "wallet_balance at last_at. In units of asset.",
    "last_unrealized_pnl": "unrealized_pnl at last_at. In units of asset.",
    "pool": "cross: shared by positions, or isolated: of one position.",
    "symbol": "Binance: symbol; in daily_margin of an isolated position, else null.",
    "position_side": "Binance: positionSide; in daily_margin of an isolated position, else null.",
    "last_maintenance_margin": "maintenance_margin at last_at. In units of asset.",
    "last_margin_balance": "margin_balance at last_at. In units of asset.",
    "max_margin_ratio": "The highest margin_ratio; null when margin_balance was never positive.",
    "max_margin_ratio_at": "The first ok poll with max_margin_ratio.",
    "seconds_above_50": "For how long maintenance_margin was above 50 % of margin_balance, see hourly_margin.",
    "seconds_above_80": "For how long maintenance_margin was above 80 % of margin_balance, see hourly_margin.",
    "seconds_above_95": "For how long maintenance_margin was above 95 % of margin_balance, see hourly_margin.",
    "seconds_at_liquidation": "For how long at_liquidation was true, counted likewise.",
    "base_asset": "The coin that is traded, from contracts.",
    "margin_asset": "The unit of this row's amounts, from contracts.",
    "last_gross_exposure": "gross_exposure at last_at. In units of margin_asset.",
    "last_net_exposure": "net_exposure at last_at, shorts being negative. In units of margin_asset.",
    "max_gross_exposure": "The highest gross_exposure. In units of margin_asset.",
    "max_gross_exposure_at": "The first ok poll with max_gross_exposure.",
    "last_position_amount": "position_amount at last_at, negative when short. usdm: in units of the base asset; coinm: "
    "in contracts.",
    "last_exposure": "Worth at mark price at last_at, negative when short. In units of the symbol's margin asset.",
    "equity": "wallet_balance + unrealized_pnl at polled_at. In units of asset.",
    "wallet_balance": "Binance: walletBalance at polled_at. In units of asset.",
    "unrealized_pnl": "Binance: unrealizedProfit at polled_at. In units of asset.",
    "polled_at": "The ok poll that is shown: the last one.",
    "before_midnight": "From polled_at to the end of the day.",
    "peak": "The highest equity up to the end of the hour, at any ok poll. In units of asset.",
    "drawdown": "peak - equity. In units of asset.",
    "drawdown_ratio": "A ratio: drawdown / peak; null when peak is not positive.",
}

_OWN = {"daily_positions": {"last_unrealized_pnl": "unrealized_pnl at last_at. In units of the symbol's margin asset."}}


def upgrade() -> None:
    for view, definition in _VIEWS.items():
        op.execute(definition)
        _comment(f"VIEW poller.{view}", _DESCRIPTIONS[view])
        for column in sa.inspect(op.get_bind()).get_columns(view, schema="poller"):
            name = column["name"]
            _comment(f"COLUMN poller.{view}.{name}", _OWN.get(view, {}).get(name) or _SHARED[name])


def _comment(target: str, comment: str) -> None:
    quoted = comment.replace("'", "''")
    op.execute(f"COMMENT ON {target} IS '{quoted}'")


def downgrade() -> None:
    for view in reversed(_VIEWS):
        op.execute(f"DROP VIEW poller.{view}")
