"""Create the views of what changed from one ok poll to the next.

Revises: 1f6d0c8e2b47
"""

import sqlalchemy as sa
from alembic import op

revision = "8a3e5b7d9f10"
down_revision = "1f6d0c8e2b47"

# A window function would read a whole history for one hour of it: a filter on time does not reach below a window.
_CONSECUTIVE_POLLS = """
CREATE VIEW poller.consecutive_polls AS
SELECT polls.time, polls.account, polls.market, previous.time AS previous_time, polls.time - previous.time AS elapsed
FROM poller.polls
CROSS JOIN LATERAL (
    SELECT earlier.time FROM poller.polls AS earlier
    WHERE earlier.account = polls.account AND earlier.market = polls.market
        AND earlier.time < polls.time AND earlier.status = 'ok'
    ORDER BY earlier.time DESC
    LIMIT 1
) AS previous
WHERE polls.status = 'ok'
"""

# Without a row an amount is zero, with a row that lacks it unknown: then nothing can be said of a change.
_POSITION_EVENTS = """
CREATE VIEW poller.position_events AS
SELECT poll.time, poll.account, poll.market, change.symbol, change.position_side,
    CASE
        WHEN previous_amount = 0 THEN 'opened'
        WHEN position_amount = 0 THEN 'closed'
        WHEN sign(position_amount) <> sign(previous_amount) THEN 'flipped'
        WHEN abs(position_amount) > abs(previous_amount) THEN 'increased'
        ELSE 'reduced'
    END AS event,
    previous_amount, position_amount, position_amount - previous_amount AS change,
    poll.previous_time, poll.elapsed
FROM poller.consecutive_polls AS poll
CROSS JOIN LATERAL (
    SELECT symbol, position_side,
        CASE WHEN latter.known THEN latter.position_amount ELSE 0 END AS position_amount,
        CASE WHEN former.known THEN former.position_amount ELSE 0 END AS previous_amount
    FROM (
        SELECT symbol, position_side, position_amount, true AS known FROM poller.positions
        WHERE positions.time = poll.time AND positions.account = poll.account AND positions.market = poll.market
    ) AS latter
    FULL JOIN (
        SELECT symbol, position_side, position_amount, true AS known FROM poller.positions
        WHERE positions.time = poll.previous_time AND positions.account = poll.account
            AND positions.market = poll.market
    ) AS former USING (symbol, position_side)
) AS change
WHERE position_amount <> previous_amount
"""

_WALLET_CHANGES = """
CREATE VIEW poller.wallet_changes AS
SELECT poll.time, poll.account, poll.market, change.asset,
    previous_balance, wallet_balance, wallet_balance - previous_balance AS change,
    ARRAY(
        SELECT symbol
        FROM (
            SELECT symbol, position_side, position_amount FROM poller.positions
            WHERE positions.time = poll.time AND positions.account = poll.account AND positions.market = poll.market
                AND position_amount <> 0
        ) AS latter
        FULL JOIN (
            SELECT symbol, position_side, position_amount FROM poller.positions
            WHERE positions.time = poll.previous_time AND positions.account = poll.account
                AND positions.market = poll.market AND position_amount <> 0
        ) AS former USING (symbol, position_side)
        WHERE latter.position_amount IS DISTINCT FROM former.position_amount
        GROUP BY symbol
        ORDER BY symbol
    ) AS symbols,
    poll.previous_time, poll.elapsed
FROM poller.consecutive_polls AS poll
CROSS JOIN LATERAL (
    SELECT asset,
        CASE WHEN latter.known THEN latter.wallet_balance ELSE 0 END AS wallet_balance,
        CASE WHEN former.known THEN former.wallet_balance ELSE 0 END AS previous_balance
    FROM (
        SELECT asset, wallet_balance, true AS known FROM poller.asset_balances AS balance
        WHERE balance.time = poll.time AND balance.account = poll.account AND balance.market = poll.market
    ) AS latter
    FULL JOIN (
        SELECT asset, wallet_balance, true AS known FROM poller.asset_balances AS balance
        WHERE balance.time = poll.previous_time AND balance.account = poll.account AND balance.market = poll.market
    ) AS former USING (asset)
) AS change
WHERE wallet_balance <> previous_balance
"""

_UNREALIZED_PNL_CHANGE = """
CREATE VIEW poller.unrealized_pnl_change AS
SELECT poll.time, poll.account, poll.market, change.symbol, change.position_side, contracts.margin_asset,
    previous_unrealized_pnl, unrealized_pnl, unrealized_pnl - previous_unrealized_pnl AS change,
    poll.previous_time, poll.elapsed
FROM poller.consecutive_polls AS poll
CROSS JOIN LATERAL (
    SELECT symbol, position_side,
        CASE WHEN latter.known THEN latter.unrealized_pnl ELSE 0 END AS unrealized_pnl,
        CASE WHEN former.known THEN former.unrealized_pnl ELSE 0 END AS previous_unrealized_pnl
    FROM (
        SELECT symbol, position_side, unrealized_pnl, true AS known FROM poller.positions
        WHERE positions.time = poll.time AND positions.account = poll.account AND positions.market = poll.market
    ) AS latter
    FULL JOIN (
        SELECT symbol, position_side, unrealized_pnl, true AS known FROM poller.positions
        WHERE positions.time = poll.previous_time AND positions.account = poll.account
            AND positions.market = poll.market
    ) AS former USING (symbol, position_side)
) AS change
JOIN poller.accounts ON accounts.account = poll.account
LEFT JOIN poller.contracts ON contracts.environment = accounts.environment
    AND contracts.market = poll.market AND contracts.symbol = change.symbol
"""

_VIEWS = {
    "consecutive_polls": _CONSECUTIVE_POLLS,
    "position_events": _POSITION_EVENTS,
    "wallet_changes": _WALLET_CHANGES,
    "unrealized_pnl_change": _UNREALIZED_PNL_CHANGE,
}

_DESCRIPTIONS = {
    "consecutive_polls": "Every ok poll with the ok poll before it; the first of an account and market has none and no "
    "row. Where elapsed is longer than the interval, what happened in between is unknown: see poll_gaps.",
    "position_events": "What became of a position from one ok poll to the next. Several trades within elapsed show as "
    "one event, and a position that was opened and closed within it as none.",
    "wallet_changes": "Every change of the wallet balance of an asset from one ok poll to the next, and the symbols "
    "whose position changed with it. Realised PnL, commission, funding and transfers are not told apart by the "
    "replies: without a symbol it was not a trade that changed a position.",
    "unrealized_pnl_change": "By how much the unrealised PnL of every position changed from one ok poll to the next, "
    "those that were closed included. Realised PnL is not in the replies: what a closed position leaves is minus its "
    "last unrealised PnL here, and what it really earned is in wallet_changes.",
}

_SHARED = {
    "account": "Our permanent label of the API key.",
    "market": "usdm: USDⓈ-M futures, coinm: COIN-M futures.",
    "time": "The scheduled instant of the latter ok poll, in exchange time.",
    "previous_time": "The scheduled instant of the former ok poll.",
    "elapsed": "From previous_time to time: the change happened somewhere in it.",
    "symbol": "Binance: symbol, such as BTCUSDT or BTCUSD_PERP.",
    "position_side": "Binance: positionSide: BOTH in one-way mode, LONG or SHORT in hedge mode.",
    "event": "opened, increased, reduced, flipped (from long to short or back) or closed.",
    "previous_amount": "position_amount at previous_time, 0 when there was no position. usdm: in units of the base "
    "asset; coinm: in contracts.",
    "position_amount": "Binance: positionAmt at time, 0 when there is no position. usdm: in units of the base asset; "
    "coinm: in contracts.",
    "asset": "The unit of this row, such as USDT or BTC.",
    "previous_balance": "wallet_balance at previous_time. In units of asset.",
    "wallet_balance": "Binance: walletBalance at time. In units of asset.",
    "symbols": "The symbols whose position_amount differs between the two polls; empty when none does.",
    "margin_asset": "The unit of this row, from contracts.",
    "previous_unrealized_pnl": "unrealized_pnl at previous_time, 0 when there was no position. In units of "
    "margin_asset.",
    "unrealized_pnl": "Binance: unrealizedProfit at time, 0 when there is no position. In units of margin_asset.",
}

_CHANGE = {
    "position_events": "position_amount - previous_amount. usdm: in units of the base asset; coinm: in contracts.",
    "wallet_changes": "wallet_balance - previous_balance. In units of asset.",
    "unrealized_pnl_change": "unrealized_pnl - previous_unrealized_pnl. In units of margin_asset.",
}


def upgrade() -> None:
    for view, definition in _VIEWS.items():
        op.execute(definition)
        _comment(f"VIEW poller.{view}", _DESCRIPTIONS[view])
        for column in sa.inspect(op.get_bind()).get_columns(view, schema="poller"):
            name = column["name"]
            _comment(f"COLUMN poller.{view}.{name}", _CHANGE[view] if name == "change" else _SHARED[name])


def _comment(target: str, comment: str) -> None:
    quoted = comment.replace("'", "''")
    op.execute(f"COMMENT ON {target} IS '{quoted}'")


def downgrade() -> None:
    for view in reversed(_VIEWS):
        op.execute(f"DROP VIEW poller.{view}")
