-- The rows of one day, as the recorder would have stored them, from what was drawn for it; returns their number.

CREATE FUNCTION history.store_polls() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    stored bigint;
BEGIN
    INSERT INTO poller.polls (
        time, account, market, status, requested_at, received_at, stored_at, latency_ms, attempts, exchange_status,
        error_message, weight_used, weight_limit, clock_offset_ms, assets_seen, positions_seen, instance
    )
    SELECT time, account, 'usdm', status,
        CASE WHEN asked THEN time + INTERVAL '1.234 ms' END,
        CASE WHEN ok THEN time + INTERVAL '1.234 ms' + latency * INTERVAL '1 ms' END,
        time + INTERVAL '900 ms',
        CASE WHEN ok THEN latency END,
        asked::integer,
        CASE WHEN ok THEN 200 END,
        CASE WHEN NOT ok THEN 'made up' END,
        CASE WHEN ok THEN 5 + 5 * extract(second FROM time)::integer END,
        CASE WHEN ok THEN 2400 END,
        -3,
        CASE WHEN ok THEN 8 END,
        CASE WHEN ok THEN 20 END,
        instance
    FROM tick
    CROSS JOIN LATERAL (
        SELECT status = 'ok' AS ok, status IN ('ok', 'timeout', 'exchange_error') AS asked,
            20 + floor(history.chance(key, 2) ^ 8 * 800)::integer AS latency
    ) AS told
    ORDER BY time, account;
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END
$$;

CREATE FUNCTION history.store_positions() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    stored bigint;
BEGIN
    INSERT INTO poller.positions (
        time, account, market, symbol, position_side, position_amount, unrealized_pnl, notional, initial_margin,
        maintenance_margin, isolated_margin, isolated_wallet, exchange_updated_at
    )
    SELECT time, account, 'usdm', symbol, 'BOTH', amount, unrealized, notional, margin, maintenance,
        CASE WHEN isolated_wallet = 0 THEN 0.00000000 ELSE isolated_wallet + unrealized END, isolated_wallet, opened_at
    FROM held;
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END
$$;

CREATE FUNCTION history.store_balances(day timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    stored bigint;
BEGIN
    INSERT INTO poller.asset_balances (
        time, account, market, asset, wallet_balance, unrealized_pnl, margin_balance, maintenance_margin,
        initial_margin, position_initial_margin, open_order_initial_margin, cross_wallet_balance, cross_unrealized_pnl,
        available_balance, max_withdraw_amount, exchange_updated_at
    )
    SELECT time, account, 'usdm', asset, balance, unrealized, balance + unrealized, maintenance, margin, margin,
        0.00000000, balance - isolated, cross_unrealized,
        greatest(0, balance - isolated + cross_unrealized - cross_margin),
        greatest(0, balance - isolated + least(0, cross_unrealized) - cross_margin), since
    FROM (
        SELECT tick.time, account, asset, balance, since,
            coalesce(unrealized, 0.00000000) AS unrealized, coalesce(cross_unrealized, 0.00000000) AS cross_unrealized,
            coalesce(margin, 0.00000000) AS margin, coalesce(cross_margin, 0.00000000) AS cross_margin,
            coalesce(maintenance, 0.00000000) AS maintenance, coalesce(isolated, 0) AS isolated
        FROM tick
        JOIN (
            SELECT * FROM history.wallets WHERE since < day + INTERVAL '1 day' AND until > day
        ) AS wallet USING (account)
        LEFT JOIN (
            SELECT time, account, margin_asset AS asset, sum(unrealized) AS unrealized,
                sum(unrealized) FILTER (WHERE isolated_wallet = 0) AS cross_unrealized,
                sum(margin) AS margin, sum(margin) FILTER (WHERE isolated_wallet = 0) AS cross_margin,
                sum(maintenance) AS maintenance, sum(isolated_wallet) AS isolated
            FROM held
            GROUP BY time, account, margin_asset
        ) AS sums USING (time, account, asset)
        WHERE status = 'ok' AND tick.time >= since AND tick.time < until
    ) AS pool
    ORDER BY time, account, asset;
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END
$$;

-- In single-asset mode the totals are those of USDT.
CREATE FUNCTION history.store_totals(day timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    stored bigint;
BEGIN
    INSERT INTO poller.account_totals (
        time, account, market, asset_mode, asset_mode_source, totals_asset, wallet_balance, unrealized_pnl,
        margin_balance, initial_margin, maintenance_margin, position_initial_margin, open_order_initial_margin,
        cross_wallet_balance, cross_unrealized_pnl, available_balance, max_withdraw_amount
    )
    SELECT time, account, market, 'single_asset', 'exchange', 'USDT', wallet_balance, unrealized_pnl,
        margin_balance, initial_margin, maintenance_margin, position_initial_margin, open_order_initial_margin,
        cross_wallet_balance, cross_unrealized_pnl, available_balance, max_withdraw_amount
    FROM poller.asset_balances
    WHERE time >= day AND time < day + INTERVAL '1 day' AND asset = 'USDT'
    ORDER BY time, account;
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END
$$;

-- As long as the compressed reply of five positions, and as little compressible.
CREATE FUNCTION history.store_replies() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    stored bigint;
BEGIN
    INSERT INTO poller.raw_payloads (time, account, market, codec, body)
    SELECT time, account, 'usdm', 0, (
        SELECT string_agg(sha256(int8send(key + block)), '') FROM generate_series(1, 13) AS block
    )
    FROM tick
    WHERE status = 'ok'
    ORDER BY time, account;
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END
$$;

CREATE FUNCTION history.store_day(day timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    s CONSTANT history.settings := (SELECT settings FROM history.settings);
    stored bigint;
BEGIN
    CALL history.draw_prices(s, day);
    CALL history.draw_polls(s, day);
    stored := history.store_polls() + history.store_positions() + history.store_balances(day)
        + history.store_totals(day);
    -- Retention keeps replies for a week.
    IF day >= s.until - INTERVAL '7 days' THEN
        stored := stored + history.store_replies();
    END IF;
    RETURN stored;
END
$$;
