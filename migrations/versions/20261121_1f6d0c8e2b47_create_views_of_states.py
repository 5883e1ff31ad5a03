"""Create the views of what an account holds at an instant.

Revises: 5d0e7a61f2c8
"""

import sqlalchemy as sa
from alembic import op

revision = "1f6d0c8e2b47"
down_revision = "5d0e7a61f2c8"

_PROMISES = """
CREATE VIEW poller.promises AS
SELECT account, market, interval_seconds, lower(valid) AS valid_from, upper(valid) AS valid_to
FROM (
    SELECT account, market, interval_seconds, unnest(valid - coalesce(shorter, '{}')) AS valid
    FROM (
        SELECT account, market, interval_seconds,
            range_agg(tstzrange(valid_from, valid_to)) AS valid,
            (
                SELECT range_agg(tstzrange(other.valid_from, other.valid_to)) FROM poller.schedules AS other
                WHERE other.account = mine.account AND other.market = mine.market
                    AND other.interval_seconds < mine.interval_seconds
            ) AS shorter
        FROM poller.schedules AS mine
        GROUP BY account, market, interval_seconds
    ) AS promised
) AS merged
"""

_EQUITY = """
CREATE VIEW poller.equity AS
SELECT time, account, market, 'asset' AS scope, asset, wallet_balance, unrealized_pnl, margin_balance AS equity
FROM poller.asset_balances
UNION ALL
SELECT time, account, market, 'account', totals_asset, wallet_balance, unrealized_pnl, margin_balance
FROM poller.account_totals
WHERE asset_mode = 'multi_assets'
"""

# The exchange rounds what it sends to 8 digits: what is divided by it has about as many that mean something.
_POSITION_STATES = """
CREATE VIEW poller.position_states AS
SELECT
    positions.time, positions.account, positions.market, positions.symbol, positions.position_side,
    contracts.base_asset, contracts.quote_asset, contracts.margin_asset, contracts.contract_size,
    position_amount,
    CASE positions.market WHEN 'usdm' THEN position_amount ELSE notional END AS quantity,
    notional AS exposure,
    trim_scale(round(
        CASE positions.market
            WHEN 'usdm' THEN notional / nullif(position_amount, 0)
            ELSE position_amount * contract_size / nullif(notional, 0)
        END,
        12
    )) AS mark_price,
    coalesce(
        entry_price,
        CASE positions.market
            WHEN 'usdm' THEN trim_scale(round((notional - unrealized_pnl) / nullif(position_amount, 0), 12))
        END
    ) AS entry_price,
    break_even_price,
    unrealized_pnl,
    initial_margin, maintenance_margin,
    is_isolated AS isolated,
    isolated_wallet,
    leverage,
    CASE WHEN is_isolated AND isolated_wallet + unrealized_pnl > 0
        THEN round(abs(notional) / (isolated_wallet + unrealized_pnl), 8)
        WHEN NOT is_isolated THEN (
            SELECT round(
                abs(notional) / nullif(greatest(balance.cross_wallet_balance + balance.cross_unrealized_pnl, 0), 0), 8
            )
            FROM poller.asset_balances AS balance
            JOIN poller.account_totals AS totals USING (time, account, market)
            WHERE balance.time = positions.time AND balance.account = positions.account
                AND balance.market = positions.market AND balance.asset = contracts.margin_asset
                AND (positions.market = 'coinm' OR totals.asset_mode = 'single_asset')
        )
    END AS effective_leverage,
    positions.exchange_updated_at
FROM poller.positions
CROSS JOIN LATERAL (SELECT coalesce(isolated, isolated_wallet <> 0) AS is_isolated) AS margin
JOIN poller.accounts ON accounts.account = positions.account
LEFT JOIN poller.contracts ON contracts.environment = accounts.environment
    AND contracts.market = positions.market AND contracts.symbol = positions.symbol
"""

_EXPOSURE = """
CREATE VIEW poller.exposure AS
SELECT time, account, market, base_asset, margin_asset,
    sum(abs(exposure)) AS gross_exposure,
    sum(exposure) AS net_exposure,
    sum(exposure) FILTER (WHERE exposure > 0) AS long_exposure,
    sum(exposure) FILTER (WHERE exposure < 0) AS short_exposure,
    sum(quantity) AS net_quantity,
    sum(unrealized_pnl) AS unrealized_pnl,
    count(*) FILTER (WHERE position_amount <> 0) AS positions,
    CASE WHEN base_asset IS NULL THEN symbol END AS symbol
FROM poller.position_states
GROUP BY time, account, market, base_asset, margin_asset, CASE WHEN base_asset IS NULL THEN symbol END
"""

# The threshold is compared by multiplying, so that a pool without a positive balance is above it, too.
#
# Parts of one poll meet by grouping: a join would look up the positions anew for every asset of every poll, and a
# filter on time reaches below GROUP BY, windows by the key and UNION ALL alike. EXISTS may be answered from a hash of
# all rows that could match, which are those of all times; a value with a LIMIT may not.
_MARGIN_POOLS = """
CREATE VIEW poller.margin_pools AS
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

_LATEST_POLLS = """
CREATE VIEW poller.latest_polls AS
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

_LATEST_ACCOUNTS = """
CREATE VIEW poller.latest_accounts AS
SELECT account, market, time, age, last_tick, last_status, last_error, interval_seconds,
    asset_mode, totals_asset, wallet_balance, unrealized_pnl, margin_balance, initial_margin, maintenance_margin,
    available_balance, max_withdraw_amount, fee_tier, can_trade, can_deposit, can_withdraw
FROM poller.latest_polls
LEFT JOIN poller.account_totals USING (time, account, market)
"""

# OFFSET keeps each look-up apart: joined freely, children are sought by time alone, among those of all accounts.
_LATEST_ASSETS = """
CREATE VIEW poller.latest_assets AS
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

_LATEST_POSITIONS = """
CREATE VIEW poller.latest_positions AS
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

_LATEST_MARGIN_POOLS = """
CREATE VIEW poller.latest_margin_pools AS
SELECT poll.account, poll.market, pool, asset, symbol, position_side, poll.time, age, last_tick, last_status,
    maintenance_margin, margin_balance, margin_ratio, at_liquidation
FROM poller.latest_polls AS poll
CROSS JOIN LATERAL (
    SELECT * FROM poller.margin_pools AS pool
    WHERE pool.time = poll.time AND pool.account = poll.account AND pool.market = poll.market
    OFFSET 0
) AS state
"""

_VIEWS = {
    "promises": _PROMISES,
    "equity": _EQUITY,
    "position_states": _POSITION_STATES,
    "exposure": _EXPOSURE,
    "margin_pools": _MARGIN_POOLS,
    "latest_polls": _LATEST_POLLS,
    "latest_accounts": _LATEST_ACCOUNTS,
    "latest_assets": _LATEST_ASSETS,
    "latest_positions": _LATEST_POSITIONS,
    "latest_margin_pools": _LATEST_MARGIN_POOLS,
}

_DESCRIPTIONS = {
    "promises": "Which ticks were promised: the multiples of interval_seconds since 1970-01-01 UTC from valid_from "
    "until before valid_to. Recorders that promise the same promise it once; of several intervals the shortest counts.",
    "equity": "What every asset of every ok poll was worth, in that asset; in multi-assets mode also the account, in "
    "USD. Never add up rows of different assets, nor the account to its assets. An asset without a row at the time of "
    "an ok poll is zero; a time without an ok poll is unknown.",
    "position_states": "Every position of every ok poll with its units and what follows from it: quantity, mark and "
    "entry price, leverage. A position without a row at the time of an ok poll is closed; a time without an ok poll is "
    "unknown. Derived values are null where contracts does not have the symbol yet.",
    "exposure": "What the positions of every ok poll are worth by base asset, added up within one unit only. A base "
    "asset without a row at the time of an ok poll has no position; a time without an ok poll is unknown.",
    "margin_pools": "What every margin pool of every ok poll needed and had. Pools are liquidated each on its own: "
    "in multi-assets mode one cross pool in USD from the totals, otherwise one for each asset, and one for each "
    "isolated position. The totals of a single-asset account cover USDT only and are not used here.",
    "latest_polls": "The last ok poll of every account and market whose promise holds, and how its newest tick ended.",
    "latest_accounts": "The account-wide part of the last ok poll of every account and market whose promise holds.",
    "latest_assets": "Every asset of the last ok poll of every account and market whose promise holds.",
    "latest_positions": "Every position of the last ok poll of every account and market whose promise holds.",
    "latest_margin_pools": "Every margin pool, see margin_pools, of the last ok poll of every account and market whose "
    "promise holds.",
}

_SHARED = {
    "account": "Our permanent label of the API key.",
    "market": "usdm: USDⓈ-M futures, coinm: COIN-M futures.",
    "time": "The scheduled instant of the ok poll that is shown, in exchange time.",
    "age": "How long ago that is, by the database's clock; null when there never was an ok poll.",
    "last_tick": "The newest tick that was decided, ok or not.",
    "last_status": "How that tick ended, see polls.status; unless ok, what is shown is older than one interval.",
    "last_error": "Why it ended so; null when it is ok.",
    "interval_seconds": "Seconds between two polls.",
    "valid_from": "First instant of the promise.",
    "valid_to": "End of the promise, itself excluded; null while it holds.",
    "symbol": "Binance: symbol, such as BTCUSDT or BTCUSD_PERP.",
    "position_side": "Binance: positionSide: BOTH in one-way mode, LONG or SHORT in hedge mode.",
    "base_asset": "The coin that is traded, from contracts.",
    "quote_asset": "The unit of prices, from contracts.",
    "margin_asset": "The unit of margins, profits and exposure, from contracts.",
    "asset_mode": "single_asset or multi_assets; null when unknown and for coinm.",
    "totals_asset": "USDT or USD: the unit of the totals; null for coinm.",
    "wallet_balance": "Binance: walletBalance. In units of asset.",
    "unrealized_pnl": "Binance: unrealizedProfit. In units of asset.",
    "maintenance_margin": "Binance: maintMargin. In units of asset.",
    "asset": "The unit of this row's amounts, such as USDT or BTC.",
    "position_amount": "Binance: positionAmt. Negative when short. usdm: in units of base_asset; coinm: in contracts.",
    "exchange_updated_at": "Binance: updateTime: last change on the exchange; null when 0.",
    "quantity": "How much is held, negative when short. usdm: position_amount; coinm: notionalValue, which is "
    "position_amount * contract_size / mark_price. In units of base_asset.",
    "exposure": "Binance: notional (usdm), notionalValue (coinm): worth at mark price, negative when short. In units "
    "of margin_asset.",
    "mark_price": "Derived, in units of quote_asset. usdm: exposure / position_amount; coinm: position_amount * "
    "contract_size / exposure.",
    "entry_price": "In units of quote_asset. coinm: Binance: entryPrice; usdm: derived, (exposure - unrealized_pnl) / "
    "position_amount.",
    "break_even_price": "Binance: breakEvenPrice (coinm). In units of quote_asset.",
    "leverage": "Binance: leverage (coinm), as it is set. A multiple; null for usdm, whose replies lack it.",
    "isolated": "Whether the position has a margin of its own. coinm: Binance: isolated; usdm: derived, "
    "isolated_wallet is not zero.",
    "isolated_wallet": "Binance: isolatedWallet. In units of margin_asset; 0 when cross.",
    "effective_leverage": "Derived: |exposure| / what stands behind it. A multiple. Isolated: isolated_wallet + "
    "unrealized_pnl; cross: cross_wallet_balance + cross_unrealized_pnl of margin_asset, "
    "shared with other positions; null in multi-assets mode, where that is in another unit.",
    "contract_size": "What one contract is worth, in units of quote_asset (coinm), from contracts.",
}

_OF_POSITIONS = {
    "unrealized_pnl": "Binance: unrealizedProfit. In units of margin_asset.",
    "initial_margin": "Binance: initialMargin. In units of margin_asset.",
    "maintenance_margin": "Binance: maintMargin. In units of margin_asset.",
}

_OF_POOLS = {
    "pool": "cross: shared by positions, or isolated: of one position.",
    "asset": "The unit of this row's amounts; null for an isolated position whose symbol contracts does not have.",
    "symbol": "Of an isolated position; else null.",
    "position_side": "Of an isolated position; else null.",
    "maintenance_margin": "What the pool must have or be liquidated. Cross: maintenance_margin of the asset (in "
    "multi-assets mode of the totals) without its isolated positions'; null while the asset mode or the unit of an "
    "isolated position is unknown. Isolated: the position's own. In units of asset.",
    "margin_balance": "What the pool has. Cross: cross_wallet_balance + cross_unrealized_pnl; isolated: "
    "isolated_wallet + unrealized_pnl. In units of asset.",
    "margin_ratio": "A ratio: maintenance_margin / margin_balance; liquidation is at 1; null when "
    "margin_balance is not positive.",
    "at_liquidation": "Whether maintenance_margin is above zero and not below margin_balance.",
}

_OWN = {
    "equity": {
        "wallet_balance": "Binance: walletBalance (totalWalletBalance where scope is account). In units of asset.",
        "unrealized_pnl": "Binance: unrealizedProfit (totalUnrealizedProfit where scope is account). In units of "
        "asset.",
        "scope": "asset: one asset, or account: all assets of a multi-assets account, in USD.",
        "equity": "Binance: marginBalance (totalMarginBalance): wallet_balance + unrealized_pnl. In units of asset.",
    },
    "position_states": _OF_POSITIONS,
    "exposure": {
        "gross_exposure": "Sum of |exposure|. In units of margin_asset.",
        "net_exposure": "Sum of exposure, shorts being negative. In units of margin_asset.",
        "long_exposure": "Sum of exposure where it is positive. In units of margin_asset; null when there is none.",
        "short_exposure": "Sum of exposure where it is negative. In units of margin_asset; null when there is none.",
        "net_quantity": "Sum of quantity. In units of base_asset.",
        "unrealized_pnl": "Sum of unrealized_pnl of position_states. In units of margin_asset.",
        "positions": "How many positions are open.",
        "symbol": "Of a symbol that contracts does not have, whose units are unknown: it has a row of its own; else "
        "null.",
    },
    "margin_pools": _OF_POOLS,
    "latest_accounts": {
        "wallet_balance": "Binance: totalWalletBalance (usdm). In units of totals_asset.",
        "unrealized_pnl": "Binance: totalUnrealizedProfit (usdm). In units of totals_asset.",
        "margin_balance": "Binance: totalMarginBalance (usdm). In units of totals_asset.",
        "initial_margin": "Binance: totalInitialMargin (usdm). In units of totals_asset.",
        "maintenance_margin": "Binance: totalMaintMargin (usdm). In units of totals_asset.",
        "available_balance": "Binance: availableBalance (usdm). In units of totals_asset.",
        "max_withdraw_amount": "Binance: maxWithdrawAmount (usdm). In units of totals_asset.",
        "fee_tier": "Binance: feeTier (coinm).",
        "can_trade": "Binance: canTrade (coinm).",
        "can_deposit": "Binance: canDeposit (coinm).",
        "can_withdraw": "Binance: canWithdraw (coinm).",
    },
    "latest_assets": {
        "margin_balance": "Binance: marginBalance. In units of asset.",
        "initial_margin": "Binance: initialMargin. In units of asset.",
        "position_initial_margin": "Binance: positionInitialMargin. In units of asset.",
        "open_order_initial_margin": "Binance: openOrderInitialMargin. In units of asset.",
        "cross_wallet_balance": "Binance: crossWalletBalance. In units of asset.",
        "cross_unrealized_pnl": "Binance: crossUnPnl. In units of asset.",
        "available_balance": "Binance: availableBalance. In units of asset; in multi-assets mode the account's, "
        "converted: do not sum.",
        "max_withdraw_amount": "Binance: maxWithdrawAmount. In units of asset; in multi-assets mode a virtual figure: "
        "do not sum.",
    },
    "latest_positions": _OF_POSITIONS,
    "latest_margin_pools": _OF_POOLS,
}


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
