"""Change poll_gaps: where polls were dropped, nothing is missing.

Revises: b06f35e8c2d7
"""

from alembic import op

revision = "47d1ea80b95c"
down_revision = "b06f35e8c2d7"

_OLD_PROMISED = "valid - coalesce(shorter, '{}')"
_PROMISED = """(valid - coalesce(shorter, '{}')) * tstzmultirange(
            tstzrange((SELECT before FROM poller.dropped_history WHERE history = 'polls'), NULL)
        )"""

# The view as it was, but for what takes the place of <promised>.
_POLL_GAPS = """
CREATE OR REPLACE VIEW poller.poll_gaps AS
WITH promise AS (
    -- Recorders that promise the same promise it once; where they promise different intervals, the shortest counts.
    SELECT account, market, interval_seconds, make_interval(secs => interval_seconds) AS step,
        unnest(<promised>) AS valid
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
),
hole AS (
    -- What lies between two neighbouring rows, and before the first.
    SELECT account, market, time AS left_row, lead(time, 1, 'infinity') OVER neighbours AS right_row
    FROM poller.polls
    WINDOW neighbours AS (PARTITION BY account, market ORDER BY time)
    UNION ALL
    SELECT account, market, '-infinity',
        coalesce(
            (
                SELECT min(time) FROM poller.polls
                WHERE polls.account = schedules.account AND polls.market = schedules.market
            ),
            'infinity'
        )
    FROM poller.schedules
    GROUP BY account, market
),
missing AS (
    SELECT account, market, interval_seconds, step, right_row, first_tick, last_tick
    FROM hole
    JOIN promise USING (account, market)
    CROSS JOIN LATERAL (
        SELECT
            greatest(
                date_bin(step, left_row, 'epoch') + step,
                date_bin(step, lower(valid) - INTERVAL '1 microsecond', 'epoch') + step
            ) AS first_tick,
            date_bin(
                step,
                -- Behind the newest row, a poll may still be under way.
                least(CASE WHEN right_row > now() THEN now() - 2 * step ELSE right_row END, upper(valid))
                    - INTERVAL '1 microsecond',
                'epoch'
            ) AS last_tick
    ) AS tick
    WHERE date_bin(step, left_row, 'epoch') + step < right_row AND first_tick <= last_tick
),
part AS (
    -- One for each run that should have polled there.
    SELECT missing.account, missing.market, interval_seconds, step, right_row, tick.*
    FROM missing
    CROSS JOIN LATERAL (
        SELECT since, lead(since) OVER (ORDER BY since) AS until
        FROM (
            SELECT missing.first_tick AS since
            UNION
            SELECT runs.started_at FROM poller.runs JOIN poller.schedules USING (recorder)
            WHERE schedules.account = missing.account AND schedules.market = missing.market
                AND runs.started_at > missing.first_tick AND runs.started_at <= missing.last_tick
        ) AS cut
    ) AS span
    CROSS JOIN LATERAL (
        SELECT
            date_bin(step, since - INTERVAL '1 microsecond', 'epoch') + step AS first_tick,
            coalesce(date_bin(step, until - INTERVAL '1 microsecond', 'epoch'), missing.last_tick) AS last_tick
    ) AS tick
    WHERE tick.first_tick <= tick.last_tick
),
piece AS (
    SELECT account, market, step, first_tick, last_tick,
        (extract(epoch FROM last_tick - first_tick) / interval_seconds)::bigint + 1 AS ticks,
        CASE
            WHEN EXISTS (
                SELECT FROM poller.polls
                WHERE polls.account = part.account AND polls.market = part.market AND polls.instance = run.instance
                    AND polls.time >= right_row AND polls.time < coalesce(run.followed_at, 'infinity')
            ) THEN 'skipped'
            WHEN run.stopped_at IS NOT NULL THEN 'stopped'
            WHEN run.followed_at IS NOT NULL THEN 'crashed'
            ELSE 'unreported'
        END AS cause
    FROM part
    LEFT JOIN LATERAL (
        -- The last run of each recorder that promised the first tick; of these the newest, preferably one still alive.
        SELECT instance, stopped_at, followed_at
        FROM (
            SELECT DISTINCT ON (recorder) instance, started_at, stopped_at,
                (
                    SELECT min(next.started_at) FROM poller.runs AS next
                    WHERE next.recorder = runs.recorder AND next.started_at > runs.started_at
                ) AS followed_at
            FROM poller.runs
            WHERE started_at <= first_tick AND EXISTS (
                SELECT FROM poller.schedules
                WHERE schedules.recorder = runs.recorder
                    AND schedules.account = part.account AND schedules.market = part.market
                    AND tstzrange(valid_from, valid_to) @> first_tick
            )
            ORDER BY recorder, started_at DESC
        ) AS last_run
        ORDER BY coalesce(stopped_at <= first_tick, false), started_at DESC
        LIMIT 1
    ) AS run ON true
    UNION ALL
    SELECT account, market, step, time, time, 1, status
    FROM poller.polls
    JOIN promise USING (account, market)
    WHERE status <> 'ok' AND valid @> time AND date_bin(step, time, 'epoch') = time
),
numbered AS (
    SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY account, market ORDER BY first_tick) AS gap
    FROM (
        SELECT *,
            (cause, first_tick) IS DISTINCT FROM (lag(cause) OVER former, lag(last_tick) OVER former + step) AS begins
        FROM piece
        WINDOW former AS (PARTITION BY account, market ORDER BY first_tick)
    ) AS marked
)
SELECT account, market, min(first_tick) AS "from", max(last_tick) AS "to", sum(ticks)::bigint AS missed_ticks, cause
FROM numbered
GROUP BY account, market, gap, cause
"""

_OLD_COMMENT = (
    "Every stretch of promised ticks without an ok poll: what happened then is unknown. A tick is promised by "
    "schedules; one younger than two intervals counts only when a poll has answered it or a later one."
)
_COMMENT = _OLD_COMMENT + " Where polls were dropped because of their age, see dropped_history, nothing is missing."


def upgrade() -> None:
    op.execute(_POLL_GAPS.replace("<promised>", _PROMISED))
    op.execute(f"COMMENT ON VIEW poller.poll_gaps IS '{_COMMENT}'")


def downgrade() -> None:
    op.execute(_POLL_GAPS.replace("<promised>", _OLD_PROMISED))
    op.execute(f"COMMENT ON VIEW poller.poll_gaps IS '{_OLD_COMMENT}'")
