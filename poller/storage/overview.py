"""What a person wants to see at once: the latest state, the last hours and what is missing of the last day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Row, text

from poller.storage.engine import migration_engine
from poller.storage.failures import translated_failures
from poller.storage.schema import check_revision, current_revision

CHARTED: Final = timedelta(hours=6)
"""How far back the charts reach, at most: they begin with the first promise."""

MOST_GAPS: Final = 20
"""The newest gaps that are shown."""

MOST_POLLS: Final = 60
"""The newest polls of an account and market whose statuses are shown."""

_ACCOUNTS: Final = text("""
    SELECT account, market, environment, time, age, last_tick, last_status, last_error, interval_seconds
    FROM poller.latest_polls JOIN poller.accounts USING (account)
    ORDER BY account, market DESC
""")
_STATUSES: Final = text("""
    SELECT latest.account, latest.market, recent.status
    FROM poller.latest_polls AS latest CROSS JOIN LATERAL (
        SELECT polls.time, polls.status
        FROM poller.polls
        WHERE polls.account = latest.account AND polls.market = latest.market
            AND polls.time > latest.last_tick - :most * latest.interval_seconds * INTERVAL '1 second'
        ORDER BY polls.time DESC
        LIMIT :most
    ) AS recent
    ORDER BY latest.account, latest.market, recent.time
""")
_POSITIONS: Final = text("""
    SELECT account, market, symbol, position_side, base_asset, quote_asset, margin_asset, position_amount, exposure,
        entry_price, mark_price, unrealized_pnl, isolated, effective_leverage
    FROM poller.latest_positions
    WHERE position_amount <> 0
    ORDER BY account, market DESC, symbol, position_side
""")
_EQUITY: Final = text("""
    SELECT account, market, asset, scope, time, equity AS value
    FROM poller.chart_equity(:since, now(), :step)
    ORDER BY account, market DESC, scope, asset, time
""")
_MARGIN: Final = text("""
    SELECT account, market, concat_ws(' ', coalesce(symbol, asset), nullif(position_side, 'BOTH')) AS asset,
        pool AS scope, time, margin_ratio AS value
    FROM poller.chart_margin(:since, now(), :step)
    ORDER BY account, market DESC, scope, asset, time
""")
_GAPS: Final = text("""
    SELECT "from", "to", cause, sum(missed_ticks)::bigint AS missed_ticks,
        array_agg(concat_ws(' ', account, market) ORDER BY account, market DESC) AS series,
        (sum(sum(missed_ticks)) OVER ())::bigint AS all_missed, count(*) OVER () AS all_gaps
    FROM poller.gaps_between(now() - INTERVAL '1 day', now())
    GROUP BY "from", "to", cause
    ORDER BY "to" DESC, "from" DESC, cause
    LIMIT :most
""")
# A step that is shorter than an interval would have nothing to show in most of its points.
_SPAN: Final = text("""
    SELECT since, greatest(interval, ceil(extract(epoch FROM now() - since) / :points) * INTERVAL '1 second') AS step
    FROM (
        SELECT greatest(min(valid_from), now() - :charted) AS since,
            max(interval_seconds) * INTERVAL '1 second' AS interval
        FROM poller.promises
        WHERE valid_to IS NULL OR valid_to > now() - :charted
    ) AS promised
    WHERE since IS NOT NULL
""")
_POINTS: Final = 180

Point = tuple[datetime, Decimal | None]
"""An instant and its value, None where it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Values of one series over time.

    Attributes:
        asset: The unit of an equity; of a margin ratio the asset or the isolated position that the pool is of.
        scope: Of an equity asset or account, of a margin ratio cross or isolated.
        points: An instant and its value, None where it is unknown.
    """

    account: str
    market: str
    asset: str
    scope: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What one look at the database found; rows have the names of the columns of their views.

    Attributes:
        statuses: How the newest polls of an account and market ended, the oldest first.
        gaps: The newest of the last day; those of the same time and cause are one, with all its `series`.
        missed: How many polls of the last day are missing, and in how many gaps.
    """

    accounts: tuple[Row[Any], ...]
    statuses: Mapping[tuple[str, str], tuple[str, ...]]
    positions: tuple[Row[Any], ...]
    equity: tuple[Curve, ...]
    margin_ratio: tuple[Curve, ...]
    gaps: tuple[Row[Any], ...]
    missed: tuple[int, int]


def read_overview(url: str) -> Overview:
    """Look at a database, all of it at one moment.

    Raises:
        StoreUnavailableError: It cannot be read now, or its schema is not this release's.
    """
    with translated_failures(), migration_engine(url).connect() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        connection.execute(text("SET LOCAL statement_timeout = '5s'"))
        check_revision(current_revision(connection))
        gaps = tuple(connection.execute(_GAPS, {"most": MOST_GAPS}))
        span = connection.execute(_SPAN, {"charted": CHARTED, "points": _POINTS}).mappings().first()
        return Overview(
            accounts=tuple(connection.execute(_ACCOUNTS)),
            statuses=_statuses(connection.execute(_STATUSES, {"most": MOST_POLLS}).all()),
            positions=tuple(connection.execute(_POSITIONS)),
            equity=tuple(_curves(connection.execute(_EQUITY, dict(span)).all())) if span else (),
            margin_ratio=tuple(_curves(connection.execute(_MARGIN, dict(span)).all())) if span else (),
            gaps=gaps,
            missed=(gaps[0].all_missed, gaps[0].all_gaps) if gaps else (0, 0),
        )


def _statuses(rows: Sequence[Row[Any]]) -> dict[tuple[str, str], tuple[str, ...]]:
    return {
        (account, market): tuple(row.status for row in own)
        for (account, market), own in groupby(rows, key=itemgetter(0, 1))
    }


def _curves(rows: Sequence[Row[Any]]) -> list[Curve]:
    return [
        Curve(
            account=account,
            market=market,
            asset=asset,
            scope=scope,
            points=_settled(tuple((row.time, row.value) for row in own)),
        )
        for (account, market, asset, scope), own in groupby(rows, key=itemgetter(0, 1, 2, 3))
    ]


def _settled(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Leave out a newest step that has no poll yet: it is not over."""
    return points[:-1] if points[-1][1] is None else points
