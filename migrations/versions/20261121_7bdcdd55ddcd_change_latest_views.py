"""Change the latest views: they look up a poll by functions, whose plans know its time.

Revises: a3ecef27a009
"""

from alembic import op

revision = "7bdcdd55ddcd"
down_revision = "a3ecef27a009"

# A plan that is made for one time has one partition in it. One that waits for the time to come out of a join has them
# all: of a year of chunks by columns, only to make it takes twenty times as long as to answer.
_LOOK_UP = """LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE ROWS {rows}
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column"""

_NEWEST = """
CREATE FUNCTION poller.{name}(account text, market text) RETURNS SETOF poller.{history}
{look_up}
DECLARE
    since timestamptz;
BEGIN
    FOREACH since IN ARRAY ARRAY[now() - INTERVAL '1 day', now() - INTERVAL '30 days', '-infinity'] LOOP
        RETURN QUERY
        SELECT * FROM poller.{history} AS seen
        WHERE seen.account = {name}.account AND seen.market = {name}.market AND seen.time >= since
        ORDER BY seen.time DESC
        LIMIT 1;
        EXIT WHEN FOUND;
    END LOOP;
END
$$
"""

_AT = """
CREATE FUNCTION poller.{name}("time" timestamptz, account text, market text) RETURNS SETOF poller.{history}
{look_up}
BEGIN
    RETURN QUERY
    SELECT {columns} FROM poller.{history} AS seen
    WHERE seen.time = {name}.time AND seen.account = {name}.account AND seen.market = {name}.market;
END
$$
"""

# The look-up of the balance in position_states would be planned for all times: a time that is compared does not reach
# below an expression. This one is the same for one time.
_STATES = """time, account, market, symbol, position_side, base_asset, quote_asset, margin_asset, contract_size,
        position_amount, quantity, exposure, mark_price, entry_price, break_even_price, unrealized_pnl, initial_margin,
        maintenance_margin, isolated, isolated_wallet, leverage,
        CASE WHEN isolated AND isolated_wallet + unrealized_pnl > 0
            THEN round(abs(exposure) / (isolated_wallet + unrealized_pnl), 8)
            WHEN NOT isolated THEN (
                SELECT round(
                    abs(exposure) / nullif(greatest(balance.cross_wallet_balance + balance.cross_unrealized_pnl, 0), 0),
                    8
                )
                FROM poller.asset_balances AS balance
                JOIN poller.account_totals AS totals USING (time, account, market)
                WHERE balance.time = position_states_at.time AND balance.account = position_states_at.account
                    AND balance.market = position_states_at.market AND balance.asset = seen.margin_asset
                    AND (position_states_at.market = 'coinm' OR totals.asset_mode = 'single_asset')
            )
        END,
        exchange_updated_at"""

# Template, name, what it returns, about how many rows, and what it selects.
_FUNCTIONS = (
    (_NEWEST, "newest_poll", "polls", 1, "*"),
    (_NEWEST, "newest_account_totals", "account_totals", 1, "*"),
    (_AT, "account_totals_at", "account_totals", 1, "*"),
    (_AT, "asset_balances_at", "asset_balances", 5, "*"),
    (_AT, "position_states_at", "position_states", 10, _STATES),
    (_AT, "margin_pools_at", "margin_pools", 5, "*"),
)

_OF_NEWEST = "account: Our permanent label of the API key.\nmarket: usdm: USDⓈ-M futures, coinm: COIN-M futures."
_OF_AT = f"time: The scheduled instant of the poll, as in polls.\n{_OF_NEWEST}"

_COMMENTS = {
    "newest_poll(text, text)": f"The newest tick of an account and market that was decided, ok or not.\n{_OF_NEWEST}",
    "newest_account_totals(text, text)": f"The account-wide part of the newest ok poll.\n{_OF_NEWEST}",
    "account_totals_at(timestamptz, text, text)": f"The account-wide part of one poll, see account_totals.\n{_OF_AT}",
    "asset_balances_at(timestamptz, text, text)": f"The assets of one poll, see asset_balances.\n{_OF_AT}",
    "position_states_at(timestamptz, text, text)": f"The positions of one poll, see position_states.\n{_OF_AT}",
    "margin_pools_at(timestamptz, text, text)": f"The margin pools of one poll, see margin_pools.\n{_OF_AT}",
}

# Parts of one poll meet by grouping: a join would look up the positions anew for every asset of every poll, and a
# filter on time reaches below GROUP BY, windows by the key and UNION ALL alike.
#
# What an isolated position needs is in its margin asset, not in USD: without a rate it cannot be taken off the totals.
_MARGIN_POOLS = """
CREATE OR REPLACE VIEW poller.margin_pools AS
SELECT time, account, market, pool, asset, symbol, position_side, maintenance_margin, margin_balance,
    CASE WHEN margin_balance > 0 THEN round(maintenance_margin / margin_balance, 8) END AS margin_ratio,
    maintenance_margin > 0 AND maintenance_margin >= margin_balance AS at_liquidation
FROM (
    SELECT time, account, market, 'cross' AS pool, coalesce(asset, totals_asset) AS asset,
        NULL AS symbol, NULL AS position_side,
        CASE
            WHEN asset_mode = 'multi_assets' THEN CASE WHEN NOT some_isolated THEN maintenance_margin END
            WHEN (market = 'coinm' OR asset_mode = 'single_asset') AND NOT unknown
                THEN maintenance_margin - isolated_margin
        END AS maintenance_margin,
        margin_balance
    FROM (
        SELECT time, account, market, asset,
            bool_or(part = 'balance') AS has_balance,
            bool_or(part = 'totals') AS has_totals,
            max(totals_asset) AS totals_asset,
            max(maintenance_margin) FILTER (WHERE part <> 'isolated') AS maintenance_margin,
            max(margin_balance) AS margin_balance,
            coalesce(sum(maintenance_margin) FILTER (WHERE part = 'isolated'), 0) AS isolated_margin,
            bool_or(bool_or(part = 'isolated' AND maintenance_margin IS DISTINCT FROM 0)) OVER poll AS some_isolated,
            bool_or(bool_or(part = 'isolated' AND asset IS NULL AND maintenance_margin IS DISTINCT FROM 0)) OVER poll
                AS unknown,
            bool_or(bool_or(part = 'totals')) OVER poll AS poll_has_totals,
            max(max(asset_mode)) OVER poll AS asset_mode
        FROM (
            SELECT time, account, market, 'balance' AS part, asset, maintenance_margin,
                cross_wallet_balance + cross_unrealized_pnl AS margin_balance, NULL AS asset_mode, NULL AS totals_asset
            FROM poller.asset_balances
            UNION ALL
            SELECT time, account, market, 'isolated', margin_asset, maintenance_margin, NULL, NULL, NULL
            FROM poller.position_states
            WHERE isolated
            UNION ALL
            SELECT time, account, market, 'totals', NULL, maintenance_margin,
                cross_wallet_balance + cross_unrealized_pnl, asset_mode, totals_asset
            FROM poller.account_totals
        ) AS part
        GROUP BY time, account, market, asset
        WINDOW poll AS (PARTITION BY time, account, market)
    ) AS asset
    WHERE CASE WHEN asset_mode = 'multi_assets' THEN has_totals ELSE has_balance AND poll_has_totals END
    UNION ALL
    SELECT time, account, market, 'isolated', margin_asset, symbol, position_side, maintenance_margin,
        isolated_wallet + unrealized_pnl
    FROM poller.position_states
    WHERE isolated AND position_amount <> 0
) AS pools
"""

_OLD_MARGIN_POOLS = """
CREATE OR REPLACE VIEW poller.margin_pools AS
SELECT time, account, market, pool, asset, symbol, position_side, maintenance_margin, margin_balance,
    CASE WHEN margin_balance > 0 THEN round(maintenance_margin / margin_balance, 8) END AS margin_ratio,
    maintenance_margin > 0 AND maintenance_margin >= margin_balance AS at_liquidation
FROM (
    SELECT totals.time, totals.account, totals.market, 'cross' AS pool, totals.totals_asset AS asset,
        NULL AS symbol, NULL AS position_side,
        -- What an isolated position needs is in its margin asset, not in USD: without a rate it cannot be taken off.
        CASE WHEN (
            SELECT true FROM poller.positions
            WHERE positions.time = totals.time AND positions.account = totals.account
                AND positions.market = totals.market AND coalesce(isolated, isolated_wallet <> 0)
                AND maintenance_margin IS DISTINCT FROM 0
            LIMIT 1
        ) IS NULL THEN totals.maintenance_margin END AS maintenance_margin,
        totals.cross_wallet_balance + totals.cross_unrealized_pnl AS margin_balance
    FROM poller.account_totals AS totals
    WHERE totals.asset_mode = 'multi_assets'
    UNION ALL
    SELECT time, account, market, 'cross', asset, NULL, NULL,
        CASE WHEN (market = 'coinm' OR asset_mode = 'single_asset') AND NOT unknown
            THEN maintenance_margin - isolated_margin END,
        margin_balance
    FROM (
        SELECT time, account, market, asset,
            bool_or(part = 'balance') AS has_balance,
            max(maintenance_margin) FILTER (WHERE part = 'balance') AS maintenance_margin,
            max(margin_balance) AS margin_balance,
            coalesce(sum(maintenance_margin) FILTER (WHERE part = 'isolated'), 0) AS isolated_margin,
            bool_or(bool_or(part = 'isolated' AND asset IS NULL AND maintenance_margin IS DISTINCT FROM 0)) OVER poll
                AS unknown,
            bool_or(bool_or(part = 'totals')) OVER poll AS has_totals,
            max(max(asset_mode)) OVER poll AS asset_mode
        FROM (
            SELECT time, account, market, 'balance' AS part, asset, maintenance_margin,
                cross_wallet_balance + cross_unrealized_pnl AS margin_balance, NULL AS asset_mode
            FROM poller.asset_balances
            UNION ALL
            SELECT time, account, market, 'isolated', margin_asset, maintenance_margin, NULL, NULL
            FROM poller.position_states
            WHERE isolated
            UNION ALL
            SELECT time, account, market, 'totals', NULL, NULL, NULL, asset_mode
            FROM poller.account_totals
        ) AS part
        GROUP BY time, account, market, asset
        WINDOW poll AS (PARTITION BY time, account, market)
    ) AS asset
    WHERE has_balance AND has_totals AND asset_mode IS DISTINCT FROM 'multi_assets'
    UNION ALL
    SELECT time, account, market, 'isolated', margin_asset, symbol, position_side, maintenance_margin,
        isolated_wallet + unrealized_pnl
    FROM poller.position_states
    WHERE isolated AND position_amount <> 0
) AS pools
"""

_POLLS = """
CREATE OR REPLACE VIEW poller.latest_polls AS
SELECT series.account, series.market, ok.time, now() - ok.time AS age,
    newest.time AS last_tick, newest.status AS last_status, newest.error_message AS last_error,
    series.interval_seconds
FROM (
    SELECT account, market, min(interval_seconds) AS interval_seconds
    FROM poller.schedules
    WHERE valid_to IS NULL OR valid_to > now()
    GROUP BY account, market
) AS series
LEFT JOIN LATERAL {newest} AS newest ON true
-- It has a row for every ok poll and for no other, however many failures came since.
LEFT JOIN LATERAL {ok} AS ok ON true
"""

_ACCOUNTS = """
CREATE OR REPLACE VIEW poller.latest_accounts AS
SELECT poll.account, poll.market, poll.time, age, last_tick, last_status, last_error, interval_seconds,
    asset_mode, totals_asset, wallet_balance, unrealized_pnl, margin_balance, initial_margin, maintenance_margin,
    available_balance, max_withdraw_amount, fee_tier, can_trade, can_deposit, can_withdraw
FROM poller.latest_polls AS poll
{totals}
"""

_ASSETS = """
CREATE OR REPLACE VIEW poller.latest_assets AS
SELECT poll.account, poll.market, asset, poll.time, age, last_tick, last_status,
    wallet_balance, unrealized_pnl, margin_balance, initial_margin, maintenance_margin, position_initial_margin,
    open_order_initial_margin, cross_wallet_balance, cross_unrealized_pnl, available_balance, max_withdraw_amount,
    exchange_updated_at
FROM poller.latest_polls AS poll
CROSS JOIN LATERAL {balances} AS balance
"""

_POSITIONS = """
CREATE OR REPLACE VIEW poller.latest_positions AS
SELECT poll.account, poll.market, symbol, position_side, poll.time, age, last_tick, last_status,
    base_asset, quote_asset, margin_asset, position_amount, quantity, exposure, mark_price, entry_price,
    break_even_price, unrealized_pnl, initial_margin, maintenance_margin, isolated, isolated_wallet, leverage,
    effective_leverage, exchange_updated_at
FROM poller.latest_polls AS poll
CROSS JOIN LATERAL {states} AS state
"""

_LATEST_MARGIN_POOLS = """
CREATE OR REPLACE VIEW poller.latest_margin_pools AS
SELECT poll.account, poll.market, pool, asset, symbol, position_side, poll.time, age, last_tick, last_status,
    maintenance_margin, margin_balance, margin_ratio, at_liquidation
FROM poller.latest_polls AS poll
CROSS JOIN LATERAL {pools} AS pool
"""

_LATEST = (_POLLS, _ACCOUNTS, _ASSETS, _POSITIONS, _LATEST_MARGIN_POOLS)

_BY_FUNCTIONS = {
    "newest": "poller.newest_poll(series.account, series.market)",
    "ok": "poller.newest_account_totals(series.account, series.market)",
    "totals": "LEFT JOIN LATERAL poller.account_totals_at(poll.time, poll.account, poll.market) AS totals ON true",
    "balances": "poller.asset_balances_at(poll.time, poll.account, poll.market)",
    "states": "poller.position_states_at(poll.time, poll.account, poll.market)",
    "pools": "poller.margin_pools_at(poll.time, poll.account, poll.market)",
}

_OLD_NEWEST = (
    "(SELECT {columns} FROM poller.{history} AS seen "
    "WHERE seen.account = series.account AND seen.market = series.market ORDER BY time DESC LIMIT 1)"
)
_OLD_AT = (
    "(SELECT * FROM poller.{history} AS seen "
    "WHERE seen.time = poll.time AND seen.account = poll.account AND seen.market = poll.market OFFSET 0)"
)
_BY_JOINS = {
    "newest": _OLD_NEWEST.format(columns="time, status, error_message", history="polls"),
    "ok": _OLD_NEWEST.format(columns="time", history="account_totals"),
    "totals": "LEFT JOIN poller.account_totals AS totals ON totals.time = poll.time "
    "AND totals.account = poll.account AND totals.market = poll.market",
    "balances": _OLD_AT.format(history="asset_balances"),
    "states": _OLD_AT.format(history="position_states"),
    "pools": _OLD_AT.format(history="margin_pools"),
}


def upgrade() -> None:
    op.execute(_MARGIN_POOLS)
    for template, name, history, rows, columns in _FUNCTIONS:
        look_up = _LOOK_UP.format(rows=rows)
        op.execute(template.format(name=name, history=history, columns=columns, look_up=look_up))
    for function, comment in _COMMENTS.items():
        op.execute(f"COMMENT ON FUNCTION poller.{function} IS '{comment}'")
    for view in _LATEST:
        op.execute(view.format(**_BY_FUNCTIONS))


def downgrade() -> None:
    for view in _LATEST:
        op.execute(view.format(**_BY_JOINS))
    for function in reversed(_COMMENTS):
        op.execute(f"DROP FUNCTION poller.{function}")
    op.execute(_OLD_MARGIN_POOLS)
