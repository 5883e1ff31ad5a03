"""Change the latest views: they look up polls by functions, whose plans know when those were.

Revises: a3ecef27a009
"""

from alembic import op

revision = "7bdcdd55ddcd"
down_revision = "a3ecef27a009"

# A plan that is made for some days has their partitions in it. One that waits for the time to come out of a join has
# all: of a year of chunks by columns, only to make it takes twenty times as long as to answer.
_LOOK_UP = """LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 20
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column"""

_NEWEST = """
CREATE FUNCTION poller.newest_{history}() RETURNS SETOF poller.{history}
{look_up}
DECLARE
    promised CONSTANT bigint := (
        SELECT count(DISTINCT (account, market)) FROM poller.schedules WHERE valid_to IS NULL OR valid_to > now()
    );
    since timestamptz;
    found poller.{history}[] := '{{}}';
BEGIN
    FOREACH since IN ARRAY ARRAY[now() - INTERVAL '1 day', now() - INTERVAL '30 days', '-infinity'] LOOP
        found := found || ARRAY(
            SELECT newest.seen
            FROM (
                SELECT account, market FROM poller.schedules WHERE valid_to IS NULL OR valid_to > now()
                EXCEPT
                SELECT account, market FROM unnest(found)
            ) AS series
            CROSS JOIN LATERAL (
                SELECT seen FROM poller.{history} AS seen
                WHERE seen.account = series.account AND seen.market = series.market AND seen.time >= since
                ORDER BY seen.time DESC
                LIMIT 1
            ) AS newest
        );
        EXIT WHEN cardinality(found) = promised;
    END LOOP;
    RETURN QUERY SELECT * FROM unnest(found);
END
$$
"""

# OFFSET keeps each look-up apart: joined freely, rows are sought by time alone, among those of all accounts.
_OF_NEWEST = """
CREATE FUNCTION poller.newest_{history}() RETURNS SETOF poller.{history}
{look_up}
DECLARE
    polls CONSTANT poller.account_totals[] := ARRAY(SELECT totals FROM poller.newest_account_totals() AS totals);
    since CONSTANT timestamptz := (SELECT min(time) FROM unnest(polls));
    until CONSTANT timestamptz := (SELECT max(time) FROM unnest(polls));
BEGIN
    RETURN QUERY
    SELECT found.*
    FROM unnest(polls) AS poll
    CROSS JOIN LATERAL (
        SELECT {columns}
        FROM poller.{history} AS seen
        WHERE seen.time = poll.time AND seen.account = poll.account AND seen.market = poll.market
            AND seen.time >= since AND seen.time <= until
        OFFSET 0
    ) AS found;
END
$$
"""

# The look-up of the balance in position_states would be planned for all times: a range of time does not reach below an
# expression.
_STATES = """time, account, market, symbol, position_side, base_asset, quote_asset, margin_asset, contract_size,
            position_amount, quantity, exposure, mark_price, entry_price, break_even_price, unrealized_pnl,
            initial_margin, maintenance_margin, isolated, isolated_wallet, leverage,
            CASE WHEN isolated AND isolated_wallet + unrealized_pnl > 0
                THEN round(abs(exposure) / (isolated_wallet + unrealized_pnl), 8)
                WHEN NOT isolated AND (poll.market = 'coinm' OR poll.asset_mode = 'single_asset') THEN (
                    SELECT round(
                        abs(exposure)
                            / nullif(greatest(balance.cross_wallet_balance + balance.cross_unrealized_pnl, 0), 0),
                        8
                    )
                    FROM poller.asset_balances AS balance
                    WHERE balance.time = poll.time AND balance.account = poll.account AND balance.market = poll.market
                        AND balance.time >= since AND balance.time <= until AND balance.asset = seen.margin_asset
                )
            END AS effective_leverage,
            exchange_updated_at"""

_FUNCTIONS = {
    "newest_polls": _NEWEST.format(history="polls", look_up=_LOOK_UP),
    "newest_account_totals": _NEWEST.format(history="account_totals", look_up=_LOOK_UP),
    "newest_asset_balances": _OF_NEWEST.format(history="asset_balances", look_up=_LOOK_UP, columns="*"),
    "newest_position_states": _OF_NEWEST.format(history="position_states", look_up=_LOOK_UP, columns=_STATES),
    "newest_margin_pools": _OF_NEWEST.format(history="margin_pools", look_up=_LOOK_UP, columns="*"),
}

_COMMENTS = {
    "newest_polls": "The newest tick of every account and market whose promise holds, ok or not.",
    "newest_account_totals": "The account-wide part of the newest ok poll of every account and market whose promise "
    "holds.",
    "newest_asset_balances": "The assets of the newest ok polls, as in asset_balances.",
    "newest_position_states": "The positions of the newest ok polls, as in position_states.",
    "newest_margin_pools": "The margin pools of the newest ok polls, as in margin_pools.",
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
LEFT JOIN poller.newest_polls() AS newest USING (account, market)
-- It has a row for every ok poll and for no other, however many failures came since.
LEFT JOIN poller.newest_account_totals() AS ok USING (account, market)
"""

_ACCOUNTS = """
CREATE OR REPLACE VIEW poller.latest_accounts AS
SELECT poll.account, poll.market, poll.time, age, last_tick, last_status, last_error, interval_seconds,
    asset_mode, totals_asset, wallet_balance, unrealized_pnl, margin_balance, initial_margin, maintenance_margin,
    available_balance, max_withdraw_amount, fee_tier, can_trade, can_deposit, can_withdraw
FROM poller.latest_polls AS poll
LEFT JOIN poller.newest_account_totals() AS totals USING (time, account, market)
"""

_ASSETS = """
CREATE OR REPLACE VIEW poller.latest_assets AS
SELECT poll.account, poll.market, asset, poll.time, now() - poll.time AS age, last_tick, last_status,
    wallet_balance, unrealized_pnl, margin_balance, initial_margin, maintenance_margin, position_initial_margin,
    open_order_initial_margin, cross_wallet_balance, cross_unrealized_pnl, available_balance, max_withdraw_amount,
    exchange_updated_at
FROM poller.newest_asset_balances() AS poll
JOIN (
    SELECT account, market, time AS last_tick, status AS last_status FROM poller.newest_polls()
) AS newest USING (account, market)
"""

_POSITIONS = """
CREATE OR REPLACE VIEW poller.latest_positions AS
SELECT poll.account, poll.market, symbol, position_side, poll.time, now() - poll.time AS age, last_tick, last_status,
    base_asset, quote_asset, margin_asset, position_amount, quantity, exposure, mark_price, entry_price,
    break_even_price, unrealized_pnl, initial_margin, maintenance_margin, isolated, isolated_wallet, leverage,
    effective_leverage, exchange_updated_at
FROM poller.newest_position_states() AS poll
JOIN (
    SELECT account, market, time AS last_tick, status AS last_status FROM poller.newest_polls()
) AS newest USING (account, market)
"""

_LATEST_MARGIN_POOLS = """
CREATE OR REPLACE VIEW poller.latest_margin_pools AS
SELECT poll.account, poll.market, pool, asset, symbol, position_side, poll.time, now() - poll.time AS age, last_tick,
    last_status,
    maintenance_margin, margin_balance, margin_ratio, at_liquidation
FROM poller.newest_margin_pools() AS poll
JOIN (
    SELECT account, market, time AS last_tick, status AS last_status FROM poller.newest_polls()
) AS newest USING (account, market)
"""

_VIEWS = (_POLLS, _ACCOUNTS, _ASSETS, _POSITIONS, _LATEST_MARGIN_POOLS)

_OLD_POLLS = """
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
LEFT JOIN LATERAL (
    SELECT time, status, error_message FROM poller.polls
    WHERE polls.account = series.account AND polls.market = series.market
    ORDER BY time DESC
    LIMIT 1
) AS newest ON true
LEFT JOIN LATERAL (
    -- It has a row for every ok poll and for no other, however many failures came since.
    SELECT time FROM poller.account_totals AS totals
    WHERE totals.account = series.account AND totals.market = series.market
    ORDER BY time DESC
    LIMIT 1
) AS ok ON true
"""

_OLD_ACCOUNTS = """
CREATE OR REPLACE VIEW poller.latest_accounts AS
SELECT account, market, time, age, last_tick, last_status, last_error, interval_seconds,
    asset_mode, totals_asset, wallet_balance, unrealized_pnl, margin_balance, initial_margin, maintenance_margin,
    available_balance, max_withdraw_amount, fee_tier, can_trade, can_deposit, can_withdraw
FROM poller.latest_polls
LEFT JOIN poller.account_totals USING (time, account, market)
"""

_OLD_ASSETS = """
CREATE OR REPLACE VIEW poller.latest_assets AS
SELECT poll.account, poll.market, asset, poll.time, age, last_tick, last_status,
    wallet_balance, unrealized_pnl, margin_balance, initial_margin, maintenance_margin, position_initial_margin,
    open_order_initial_margin, cross_wallet_balance, cross_unrealized_pnl, available_balance, max_withdraw_amount,
    exchange_updated_at
FROM poller.latest_polls AS poll
CROSS JOIN LATERAL (
    SELECT * FROM poller.asset_balances AS balance
    WHERE balance.time = poll.time AND balance.account = poll.account AND balance.market = poll.market
    OFFSET 0
) AS balance
"""

_OLD_POSITIONS = """
CREATE OR REPLACE VIEW poller.latest_positions AS
SELECT poll.account, poll.market, symbol, position_side, poll.time, age, last_tick, last_status,
    base_asset, quote_asset, margin_asset, position_amount, quantity, exposure, mark_price, entry_price,
    break_even_price, unrealized_pnl, initial_margin, maintenance_margin, isolated, isolated_wallet, leverage,
    effective_leverage, exchange_updated_at
FROM poller.latest_polls AS poll
CROSS JOIN LATERAL (
    SELECT * FROM poller.position_states AS state
    WHERE state.time = poll.time AND state.account = poll.account AND state.market = poll.market
    OFFSET 0
) AS state
"""

_OLD_LATEST_MARGIN_POOLS = """
CREATE OR REPLACE VIEW poller.latest_margin_pools AS
SELECT poll.account, poll.market, pool, asset, symbol, position_side, poll.time, age, last_tick, last_status,
    maintenance_margin, margin_balance, margin_ratio, at_liquidation
FROM poller.latest_polls AS poll
CROSS JOIN LATERAL (
    SELECT * FROM poller.margin_pools AS pool
    WHERE pool.time = poll.time AND pool.account = poll.account AND pool.market = poll.market
    OFFSET 0
) AS state
"""

_OLD_VIEWS = (_OLD_POLLS, _OLD_ACCOUNTS, _OLD_ASSETS, _OLD_POSITIONS, _OLD_LATEST_MARGIN_POOLS)


def upgrade() -> None:
    op.execute(_MARGIN_POOLS)
    for name, function in _FUNCTIONS.items():
        op.execute(function)
        op.execute(f"COMMENT ON FUNCTION poller.{name}() IS '{_COMMENTS[name]}'")
    for view in _VIEWS:
        op.execute(view)


def downgrade() -> None:
    for view in _OLD_VIEWS:
        op.execute(view)
    for name in reversed(_FUNCTIONS):
        op.execute(f"DROP FUNCTION poller.{name}()")
    op.execute(_OLD_MARGIN_POOLS)
