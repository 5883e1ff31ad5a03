"""Create refresh_rollups.

Revises: 0cf56259eea3
"""

from alembic import op

revision = "2d6be8f0c417"
down_revision = "0cf56259eea3"

# Each statement sees what was committed before it began. A touch is committed together with its polls: what the DELETE
# takes away, the statements after it see, and what it does not see stays for the next time.
_REFRESH_ROLLUPS = """
CREATE FUNCTION poller.refresh_rollups(most integer DEFAULT 100) RETURNS integer
LANGUAGE plpgsql VOLATILE
-- A role that records may bring the rollups up to date, and change them in no other way.
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Hours before it are over, and polls of their last ticks had a minute to arrive; one that comes later is a touch.
    lasting_from CONSTANT timestamptz := date_bin('1 hour', now() - INTERVAL '1 minute', 'epoch');
    kept_from timestamptz;
    touched record;
    next_hour timestamptz;
    finished integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('poller.refresh_rollups')) THEN
        RETURN 0;
    END IF;
    -- Rows that are dropped while their hour is made anew would be missing in it.
    LOCK TABLE poller.dropped_history IN SHARE MODE;
    kept_from := coalesce(
        (
            SELECT max(before) FROM poller.dropped_history
            WHERE history IN ('polls', 'account_totals', 'asset_balances', 'positions')
        ),
        '-infinity'
    );
    -- No save touches an hour that lies dark.
    INSERT INTO poller.rollup_queue (hour, account, market)
    SELECT DISTINCT dark.hour, promised.account, promised.market
    FROM poller.schedules AS promised
    CROSS JOIN LATERAL (
        SELECT max(hour) AS hour FROM poller.hourly_ticks AS made
        WHERE made.account = promised.account AND made.market = promised.market AND made.hour < lasting_from
    ) AS last
    CROSS JOIN LATERAL generate_series(
        greatest(date_bin('1 hour', promised.valid_from, 'epoch'), last.hour + INTERVAL '1 hour'),
        least(lasting_from, promised.valid_to) - INTERVAL '1 microsecond',
        INTERVAL '1 hour'
    ) AS dark(hour)
    WHERE NOT EXISTS (
        SELECT FROM poller.rollup_queue AS queued
        WHERE queued.hour = dark.hour AND queued.account = promised.account AND queued.market = promised.market
    );
    FOR touched IN
        (
            SELECT hour, account, market, true AS is_over FROM poller.rollup_queue
            WHERE hour < lasting_from
            GROUP BY hour, account, market
            ORDER BY hour, account, market
            LIMIT most
        )
        UNION ALL
        (
            SELECT hour, account, market, false FROM poller.rollup_queue
            WHERE hour >= lasting_from
            GROUP BY hour, account, market
            ORDER BY hour, account, market
            LIMIT most
        )
    LOOP
        -- The rest is for the next call: a long one would run into the caller's statement_timeout.
        EXIT WHEN clock_timestamp() > statement_timestamp() + INTERVAL '4 seconds';
        next_hour := touched.hour + INTERVAL '1 hour';
        IF touched.is_over THEN
            DELETE FROM poller.rollup_queue AS queued
            WHERE queued.hour = touched.hour AND queued.account = touched.account AND queued.market = touched.market;
            finished := finished + 1;
        END IF;
        CONTINUE WHEN touched.hour < kept_from;

        DELETE FROM poller.hourly_ticks AS made
        WHERE made.account = touched.account AND made.market = touched.market AND made.hour = touched.hour;
        INSERT INTO poller.hourly_ticks (
            account, market, hour, ticks_stored, ticks_failed, ticks_missed, first_ok_at, last_ok_at
        )
        SELECT touched.account, touched.market, touched.hour, stored, failed, promised - kept, first_ok_at, last_ok_at
        FROM (
            SELECT
                count(*) FILTER (WHERE status = 'ok') AS stored,
                count(*) FILTER (WHERE status <> 'ok') AS failed,
                count(*) FILTER (
                    WHERE status = 'ok' AND date_bin(make_interval(secs => interval_seconds), time, 'epoch') = time
                ) AS kept,
                min(time) FILTER (WHERE status = 'ok') AS first_ok_at,
                max(time) FILTER (WHERE status = 'ok') AS last_ok_at,
                max(time) AS newest
            FROM poller.polls
            LEFT JOIN poller.promises ON promises.account = touched.account AND promises.market = touched.market
                AND valid_from <= time AND (valid_to > time OR valid_to IS NULL)
            WHERE polls.account = touched.account AND polls.market = touched.market
                AND time >= touched.hour AND time < next_hour
        ) AS poll
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(greatest(last_tick - tick_before, 0)), 0) AS promised
            FROM poller.promises
            CROSS JOIN LATERAL (
                SELECT
                    floor(
                        (extract(epoch FROM least(
                            valid_to,
                            next_hour,
                            CASE WHEN NOT touched.is_over THEN greatest(
                                newest + INTERVAL '1 microsecond',
                                now() - 2 * make_interval(secs => interval_seconds)
                            ) END
                        )) - 0.000001) / interval_seconds
                    ) AS last_tick,
                    floor(
                        (extract(epoch FROM greatest(valid_from, touched.hour)) - 0.000001) / interval_seconds
                    ) AS tick_before
            ) AS tick
            WHERE promises.account = touched.account AND promises.market = touched.market
        ) AS promise
        WHERE promised > 0 OR stored + failed > 0;

        DELETE FROM poller.hourly_equity AS made
        WHERE made.account = touched.account AND made.market = touched.market AND made.hour = touched.hour;
        INSERT INTO poller.hourly_equity (
            account, market, hour, scope, asset, first_at, last_at, first_equity, last_equity, min_equity, min_at,
            max_equity, max_at, last_wallet_balance, last_unrealized_pnl
        )
        SELECT touched.account, touched.market, touched.hour, scope, asset, min(time), max(time),
            (array_agg(equity ORDER BY time))[1],
            (array_agg(equity ORDER BY time DESC))[1],
            min(equity),
            (array_agg(time ORDER BY equity, time) FILTER (WHERE equity IS NOT NULL))[1],
            max(equity),
            (array_agg(time ORDER BY equity DESC, time) FILTER (WHERE equity IS NOT NULL))[1],
            (array_agg(wallet_balance ORDER BY time DESC))[1],
            (array_agg(unrealized_pnl ORDER BY time DESC))[1]
        FROM poller.equity
        WHERE equity.account = touched.account AND equity.market = touched.market
            AND time >= touched.hour AND time < next_hour
        GROUP BY scope, asset;

        DELETE FROM poller.hourly_margin AS made
        WHERE made.account = touched.account AND made.market = touched.market AND made.hour = touched.hour;
        INSERT INTO poller.hourly_margin (
            account, market, hour, pool, asset, symbol, position_side, first_at, last_at, last_maintenance_margin,
            last_margin_balance, max_margin_ratio, max_margin_ratio_at, seconds_above_50, seconds_above_80,
            seconds_above_95, seconds_at_liquidation
        )
        SELECT touched.account, touched.market, touched.hour, pool, asset, symbol, position_side, min(time), max(time),
            (array_agg(maintenance_margin ORDER BY time DESC))[1],
            (array_agg(margin_balance ORDER BY time DESC))[1],
            max(margin_ratio),
            (array_agg(time ORDER BY margin_ratio DESC, time) FILTER (WHERE margin_ratio IS NOT NULL))[1],
            coalesce(sum(interval_seconds) FILTER (
                WHERE maintenance_margin > 0 AND maintenance_margin > 0.50 * margin_balance
            ), 0),
            coalesce(sum(interval_seconds) FILTER (
                WHERE maintenance_margin > 0 AND maintenance_margin > 0.80 * margin_balance
            ), 0),
            coalesce(sum(interval_seconds) FILTER (
                WHERE maintenance_margin > 0 AND maintenance_margin > 0.95 * margin_balance
            ), 0),
            coalesce(sum(interval_seconds) FILTER (WHERE at_liquidation), 0)
        FROM poller.margin_pools
        LEFT JOIN poller.promises ON promises.account = touched.account AND promises.market = touched.market
            AND valid_from <= time AND (valid_to > time OR valid_to IS NULL)
        WHERE margin_pools.account = touched.account AND margin_pools.market = touched.market
            AND time >= touched.hour AND time < next_hour
        GROUP BY pool, asset, symbol, position_side;

        DELETE FROM poller.hourly_exposure AS made
        WHERE made.account = touched.account AND made.market = touched.market AND made.hour = touched.hour;
        INSERT INTO poller.hourly_exposure (
            account, market, hour, base_asset, margin_asset, first_at, last_at, last_gross_exposure, last_net_exposure,
            max_gross_exposure, max_gross_exposure_at
        )
        SELECT touched.account, touched.market, touched.hour, base_asset, margin_asset, min(time), max(time),
            (array_agg(gross_exposure ORDER BY time DESC))[1],
            (array_agg(net_exposure ORDER BY time DESC))[1],
            max(gross_exposure),
            (array_agg(time ORDER BY gross_exposure DESC, time) FILTER (WHERE gross_exposure IS NOT NULL))[1]
        FROM poller.exposure
        WHERE exposure.account = touched.account AND exposure.market = touched.market
            AND time >= touched.hour AND time < next_hour
        GROUP BY base_asset, margin_asset;

        DELETE FROM poller.hourly_positions AS made
        WHERE made.account = touched.account AND made.market = touched.market AND made.hour = touched.hour;
        INSERT INTO poller.hourly_positions (
            account, market, hour, symbol, position_side, first_at, last_at, last_position_amount, last_exposure,
            last_unrealized_pnl
        )
        SELECT touched.account, touched.market, touched.hour, symbol, position_side, min(time), max(time),
            (array_agg(position_amount ORDER BY time DESC))[1],
            (array_agg(notional ORDER BY time DESC))[1],
            (array_agg(unrealized_pnl ORDER BY time DESC))[1]
        FROM poller.positions
        WHERE positions.account = touched.account AND positions.market = touched.market
            AND time >= touched.hour AND time < next_hour
        GROUP BY symbol, position_side;
    END LOOP;
    RETURN finished;
END
$$
"""

_COMMENT = """
COMMENT ON FUNCTION poller.refresh_rollups(integer) IS 'Makes the hourly tables anew for the hours of rollup_queue and \
for promised hours without any poll, whole hours from the views, the oldest first. An hour that lasts stays in the \
queue; one whose rows were dropped, see dropped_history, is left as it is. Handles at most `most` hours that are over \
and returns how many: call it until it returns 0. Returns 0, too, while another call is under way.'
"""


def upgrade() -> None:
    op.execute(_REFRESH_ROLLUPS)
    op.execute(_COMMENT)
    op.execute("REVOKE ALL ON FUNCTION poller.refresh_rollups(integer) FROM PUBLIC")


def downgrade() -> None:
    op.execute("DROP FUNCTION poller.refresh_rollups(integer)")
