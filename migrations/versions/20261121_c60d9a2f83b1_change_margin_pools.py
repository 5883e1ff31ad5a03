"""Change margin_pools: each table of a span of time is read once, not for every asset.

Revises: a8e40b7c15d2
"""

from alembic import op

revision = "c60d9a2f83b1"
down_revision = "a8e40b7c15d2"

_OLD = """
CREATE OR REPLACE VIEW poller.margin_pools AS
SELECT time, account, market, pool, asset, symbol, position_side, maintenance_margin, margin_balance,
    CASE WHEN margin_balance > 0 THEN round(maintenance_margin / margin_balance, 8) END AS margin_ratio,
    maintenance_margin > 0 AND maintenance_margin >= margin_balance AS at_liquidation
FROM (
    SELECT totals.time, totals.account, totals.market, 'cross' AS pool, totals.totals_asset AS asset,
        NULL AS symbol, NULL AS position_side,
        -- What an isolated position needs is in its margin asset, not in USD: without a rate it cannot be taken off.
        CASE WHEN NOT EXISTS (
            SELECT FROM poller.positions
            WHERE positions.time = totals.time AND positions.account = totals.account
                AND positions.market = totals.market AND coalesce(isolated, isolated_wallet <> 0)
                AND maintenance_margin IS DISTINCT FROM 0
        ) THEN totals.maintenance_margin END AS maintenance_margin,
        totals.cross_wallet_balance + totals.cross_unrealized_pnl AS margin_balance
    FROM poller.account_totals AS totals
    WHERE totals.asset_mode = 'multi_assets'
    UNION ALL
    SELECT balance.time, balance.account, balance.market, 'cross', balance.asset, NULL, NULL,
        CASE WHEN (balance.market = 'coinm' OR totals.asset_mode = 'single_asset') AND NOT isolated.unknown
            THEN balance.maintenance_margin - isolated.maintenance_margin END,
        balance.cross_wallet_balance + balance.cross_unrealized_pnl
    FROM poller.asset_balances AS balance
    JOIN poller.account_totals AS totals USING (time, account, market)
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(maintenance_margin) FILTER (WHERE margin_asset = balance.asset), 0) AS maintenance_margin,
            coalesce(bool_or(margin_asset IS NULL AND maintenance_margin IS DISTINCT FROM 0), false) AS unknown
        FROM poller.position_states AS position
        WHERE position.time = balance.time AND position.account = balance.account
            AND position.market = balance.market AND isolated
    ) AS isolated
    WHERE totals.asset_mode IS DISTINCT FROM 'multi_assets'
    UNION ALL
    SELECT time, account, market, 'isolated', margin_asset, symbol, position_side, maintenance_margin,
        isolated_wallet + unrealized_pnl
    FROM poller.position_states
    WHERE isolated AND position_amount <> 0
) AS pools
"""

# Parts of one poll meet by grouping: a join would look up the positions anew for every asset of every poll, and a
# filter on time reaches below GROUP BY, windows by the key and UNION ALL alike.
_NEW = """
CREATE OR REPLACE VIEW poller.margin_pools AS
SELECT time, account, market, pool, asset, symbol, position_side, maintenance_margin, margin_balance,
    CASE WHEN margin_balance > 0 THEN round(maintenance_margin / margin_balance, 8) END AS margin_ratio,
    maintenance_margin > 0 AND maintenance_margin >= margin_balance AS at_liquidation
FROM (
    SELECT totals.time, totals.account, totals.market, 'cross' AS pool, totals.totals_asset AS asset,
        NULL AS symbol, NULL AS position_side,
        -- What an isolated position needs is in its margin asset, not in USD: without a rate it cannot be taken off.
        CASE WHEN NOT EXISTS (
            SELECT FROM poller.positions
            WHERE positions.time = totals.time AND positions.account = totals.account
                AND positions.market = totals.market AND coalesce(isolated, isolated_wallet <> 0)
                AND maintenance_margin IS DISTINCT FROM 0
        ) THEN totals.maintenance_margin END AS maintenance_margin,
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


def upgrade() -> None:
    op.execute(_NEW)


def downgrade() -> None:
    op.execute(_OLD)
