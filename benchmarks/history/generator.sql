-- A made-up history. What is laid down beforehand are the prices at full hours, the lives of positions and the holes of
-- the recorder; every day then follows from them by itself, so that days can be made in any order and side by side.
-- Chance is a hash of what it decides and of the seed: the same settings give the same rows.

CREATE SCHEMA history;

CREATE TABLE history.settings (
    seed integer,
    interval_seconds integer,
    positions integer,
    accounts integer,
    since timestamptz,
    until timestamptz
);

CREATE TABLE history.symbols (
    number integer PRIMARY KEY,
    symbol text,
    base_asset text,
    margin_asset text,
    price double precision,
    digits integer
);

-- The logarithm of a price against the first one.
CREATE TABLE history.levels (number integer, hour timestamptz, level double precision, PRIMARY KEY (number, hour));

CREATE TABLE history.accounts (
    account text PRIMARY KEY,
    positions integer,
    instance text,
    since timestamptz,
    until timestamptz
);

CREATE TABLE history.lives (
    account text,
    number integer,
    opened_at timestamptz,
    closed_at timestamptz,
    amount numeric,
    entry numeric,
    leverage integer,
    isolated_wallet numeric,
    realised numeric
);

CREATE TABLE history.wallets (account text, asset text, since timestamptz, until timestamptz, balance numeric);

-- Without a status nobody polled; with one, nobody was answered.
CREATE TABLE history.holes (account text, since timestamptz, until timestamptz, status text);

-- A number from 0 until before 1.
CREATE FUNCTION history.chance(of bigint, salt bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (hashint8extended(of, salt) & 9007199254740991) / 9007199254740992.0::double precision;

-- Eight digits, as the exchange writes them.
CREATE FUNCTION history.exact(value double precision) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN round(value * 1e8)::bigint * 0.00000001;

-- On the straight line between two full hours: at what a life begins and ends.
CREATE FUNCTION history.price_at(of integer, at timestamptz) RETURNS numeric
LANGUAGE sql STABLE
RETURN (
    SELECT history.exact(
        symbols.price * exp(
            earlier.level + (later.level - earlier.level)
            * extract(epoch FROM at - earlier.hour)::double precision / 3600
        )
    )
    FROM history.symbols
    JOIN history.levels AS earlier ON earlier.number = symbols.number AND earlier.hour = date_trunc('hour', at)
    JOIN history.levels AS later ON later.number = symbols.number AND later.hour = earlier.hour + INTERVAL '1 hour'
    WHERE symbols.number = of
);

CREATE PROCEDURE history.lay_down_prices(s history.settings) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history.symbols
    SELECT number, base_asset || margin_asset, base_asset, margin_asset, price,
        CASE WHEN price > 100 THEN 3 WHEN price > 1 THEN 1 ELSE 0 END
    FROM (
        SELECT number, CASE WHEN number % 7 = 0 THEN 'USDC' ELSE 'USDT' END AS margin_asset,
            coalesce(
                (string_to_array('BTC ETH SOL BNB XRP DOGE ADA AVAX LINK DOT LTC BCH UNI AAVE NEAR TRX TON SUI', ' '))
                    [number],
                'COIN' || number
            ) AS base_asset,
            CASE number WHEN 1 THEN 98000 ELSE 3300 * exp(-0.5 * (number - 2) % 10) END AS price
        FROM generate_series(1, s.positions) AS number
    ) AS listed;

    INSERT INTO history.levels
    SELECT number, hour,
        sum(0.02 * (history.chance(number * 1000000::bigint + extract(epoch FROM hour)::bigint / 3600, s.seed) - 0.5))
            OVER (PARTITION BY number ORDER BY hour)
    FROM history.symbols
    CROSS JOIN generate_series(date_trunc('hour', s.since), s.until + INTERVAL '1 day', INTERVAL '1 hour') AS hour;
    ANALYZE history.symbols, history.levels;
END
$$;

-- A busy account for the whole time, a retired one for its first third, a new one for its last days; further accounts,
-- with two positions each, for the last 35 days.
CREATE PROCEDURE history.lay_down_accounts(s history.settings) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history.accounts
    SELECT account, least(positions, s.positions), md5(account || s.seed), greatest(began, s.since), ended
    FROM (
        VALUES ('main', s.positions, s.since, s.until),
            ('retired', 5, s.since, date_trunc('day', s.since + (s.until - s.since) / 3)),
            ('new', 5, s.until - INTERVAL '4 days', s.until)
        UNION ALL
        SELECT 'beside_' || number, 2, s.until - INTERVAL '35 days', s.until
        FROM generate_series(2, s.accounts) AS number
    ) AS known(account, positions, began, ended);

    -- Half of the lives begin where another ends: that position is increased, reduced or flipped.
    INSERT INTO history.lives
    SELECT account, number, opened_at, closed_at, amount, entry, leverage,
        CASE WHEN history.chance(key, 5) < 0.1 THEN round(abs(amount) * entry / leverage, 8) ELSE 0 END,
        round(amount * (history.price_at(number, least(closed_at, until)) - entry), 8)
    FROM (
        SELECT account, until, number, key, closed_at - lasts AS opened_at, closed_at, leverage,
            history.price_at(number, closed_at - lasts) AS entry,
            round((dollars / history.price_at(number, closed_at - lasts))::numeric, digits) AS amount
        FROM (
            SELECT account, until, number, digits, key, lasts,
                since + sum(waits + lasts) OVER (PARTITION BY account, number ORDER BY turn) AS closed_at,
                (ARRAY[3, 5, 10, 20])[1 + floor(history.chance(key, 3) * 4)::integer] AS leverage,
                (2000 + 60000 * history.chance(key, 4) ^ 2) * sign(history.chance(key, 6) - 0.5) AS dollars
            FROM (
                SELECT account, since, until, number, digits, turn, key,
                    make_interval(secs => 600 + floor(history.chance(key, 1) ^ 2 * 400000)) AS lasts,
                    make_interval(secs => floor(greatest(0, history.chance(key, 2) - 0.5) * 7200)) AS waits
                FROM history.accounts
                JOIN history.symbols ON number <= positions
                CROSS JOIN LATERAL generate_series(1, 30 + extract(epoch FROM until - since)::integer / 100000) AS turn
                CROSS JOIN LATERAL hashtextextended(concat_ws(' ', account, number, turn), s.seed) AS key
            ) AS drawn
        ) AS placed
        WHERE closed_at - lasts < until
    ) AS sized;

    -- Commission is paid in BNB.
    INSERT INTO history.wallets
    SELECT account, asset, since, coalesce(lead(since) OVER lasting, 'infinity'), sum(change) OVER lasting
    FROM (
        SELECT account, asset, since, sum(change) AS change
        FROM (
            SELECT account, asset, since, capital AS change
            FROM history.accounts
            CROSS JOIN (VALUES ('USDT', 400000.0), ('USDC', 80000.0), ('BNB', 37.25)) AS own(asset, capital)
            UNION ALL
            SELECT account, margin_asset, closed_at, realised FROM history.lives JOIN history.symbols USING (number)
            UNION ALL
            SELECT account, 'BNB', opened_at, -0.00012345 * leverage FROM history.lives
        ) AS each_change
        GROUP BY account, asset, since
    ) AS change
    WINDOW lasting AS (PARTITION BY account, asset ORDER BY since);

    INSERT INTO history.holes
    SELECT account, began, began + make_interval(secs => 30 + floor(history.chance(key, 2) ^ 4 * 20000)),
        (ARRAY[NULL, 'disconnected', 'exchange_error'])[1 + floor(history.chance(key, 3) * 3)::integer]
    FROM history.accounts
    CROSS JOIN LATERAL generate_series(since, until, INTERVAL '9 days') AS day
    CROSS JOIN LATERAL hashtextextended(concat_ws(' ', account, day), s.seed) AS key
    CROSS JOIN LATERAL (SELECT day + make_interval(secs => floor(history.chance(key, 1) * 777600)) AS began) AS hole;
    ANALYZE history.accounts, history.lives, history.wallets, history.holes;
END
$$;

-- The rows that give the history a meaning.
CREATE PROCEDURE history.register(s history.settings) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO poller.accounts (account, environment) SELECT account, 'simulated' FROM history.accounts;
    INSERT INTO poller.runs (instance, recorder, version, schema_revision, started_at)
    SELECT instance, 'made up', '0', '0', since FROM history.accounts;
    INSERT INTO poller.schedules (recorder, account, market, interval_seconds, valid_from, valid_to)
    SELECT 'made up', account, 'usdm', s.interval_seconds, since, nullif(until, s.until) FROM history.accounts;
    INSERT INTO poller.account_modes
        (account, market, valid_from, valid_to, asset_mode, position_mode, source, confirmed_at)
    SELECT account, 'usdm', since, NULL, 'single_asset', 'one_way', 'exchange', until FROM history.accounts;
    INSERT INTO poller.contracts (environment, market, symbol, base_asset, quote_asset, margin_asset, contract_type)
    SELECT 'simulated', 'usdm', symbol, base_asset, margin_asset, margin_asset, 'PERPETUAL' FROM history.symbols;
    -- Some tables are divided into months, replies into days.
    PERFORM poller.ensure_partitions(instant) FROM (
        SELECT generate_series(date_trunc('month', s.since AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', s.until, '1 month')
        UNION
        SELECT generate_series(s.until - INTERVAL '7 days', s.until, '1 day')
    ) AS needed(instant);
END
$$;

CREATE PROCEDURE history.lay_down() LANGUAGE plpgsql AS $$
DECLARE
    s CONSTANT history.settings := (SELECT settings FROM history.settings);
BEGIN
    CALL history.lay_down_prices(s);
    CALL history.lay_down_accounts(s);
    CALL history.register(s);
END
$$;

-- Between two full hours a price strays from the straight line, and comes back.
CREATE PROCEDURE history.draw_prices(s history.settings, day timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMPORARY TABLE IF NOT EXISTS mark (time timestamptz, number integer, price numeric);
    TRUNCATE mark;
    INSERT INTO mark
    SELECT strayed.time, number,
        history.exact(price * exp(
            level + (next_level - level) * share + stray - share * sum(step) OVER (PARTITION BY number, hour)
        ))
    FROM (
        SELECT drawn.*, extract(epoch FROM time - hour)::double precision / 3600 AS share,
            sum(step) OVER (PARTITION BY number, hour ORDER BY time) AS stray
        FROM (
            SELECT time, number, date_trunc('hour', time) AS hour,
                0.02 * sqrt(s.interval_seconds / 3600.0) * (history.chance(
                    number * 10000000000::bigint + extract(epoch FROM time)::bigint, s.seed
                ) - 0.5) AS step
            FROM history.symbols
            CROSS JOIN generate_series(
                day, day + INTERVAL '1 day' - INTERVAL '1 microsecond', make_interval(secs => s.interval_seconds)
            ) AS time
        ) AS drawn
    ) AS strayed
    JOIN (
        SELECT number, hour, level, lead(level) OVER (PARTITION BY number ORDER BY hour) AS next_level
        FROM history.levels
        WHERE hour BETWEEN day AND day + INTERVAL '1 day'
    ) AS levels USING (number, hour)
    JOIN history.symbols USING (number);
    ANALYZE mark;
END
$$;

-- What became of each tick, and what was held at those that were answered.
CREATE PROCEDURE history.draw_polls(s history.settings, day timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMPORARY TABLE IF NOT EXISTS tick (time timestamptz, account text, status text, instance text, key bigint);
    CREATE TEMPORARY TABLE IF NOT EXISTS held (
        time timestamptz, account text, symbol text, margin_asset text, amount numeric, isolated_wallet numeric,
        opened_at timestamptz, notional numeric, unrealized numeric, margin numeric, maintenance numeric
    );
    TRUNCATE tick, held;
    INSERT INTO tick
    SELECT time, accounts.account,
        CASE WHEN hole.since IS NOT NULL THEN hole.status
            WHEN history.chance(key, 1) < 0.001 THEN 'timeout'
            WHEN history.chance(key, 1) < 0.0013 THEN 'skipped'
            ELSE 'ok'
        END,
        instance, key
    FROM history.accounts
    CROSS JOIN LATERAL generate_series(
        greatest(day, accounts.since),
        least(day + INTERVAL '1 day', accounts.until) - INTERVAL '1 microsecond',
        make_interval(secs => s.interval_seconds)
    ) AS time
    CROSS JOIN LATERAL hashtextextended(accounts.account, extract(epoch FROM time)::bigint + s.seed) AS key
    LEFT JOIN history.holes AS hole
        ON hole.account = accounts.account AND time >= hole.since AND time < hole.until
    WHERE hole.since IS NULL OR hole.status IS NOT NULL
    ORDER BY time, accounts.account;
    ANALYZE tick;

    INSERT INTO held
    SELECT tick.time, account, symbol, margin_asset, amount, isolated_wallet, opened_at, notional,
        round(amount * (mark.price - entry), 8), round(abs(notional) / leverage, 8), round(abs(notional) * 0.02, 8)
    FROM tick
    JOIN mark ON mark.time = tick.time
    JOIN (
        SELECT * FROM history.lives WHERE opened_at < day + INTERVAL '1 day' AND closed_at > day
    ) AS life USING (account, number)
    JOIN history.symbols USING (number)
    CROSS JOIN LATERAL (SELECT round(amount * mark.price, 8) AS notional) AS worth
    WHERE status = 'ok' AND tick.time >= opened_at AND tick.time < closed_at
    ORDER BY tick.time, account, symbol;
    ANALYZE held;
END
$$;
