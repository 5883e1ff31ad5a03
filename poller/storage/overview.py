"""What a person wants to see at once: the latest state, the last hours and what is missing of the last day."""

from collections.abc import Sequence
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

_ACCOUNTS: Final = text("""
    SELECT account, market, environment, time, age, last_tick, last_status, last_error, interval_seconds
    FROM poller.latest_polls JOIN poller.accounts USING (account)
    ORDER BY account, market DESC
""")
_POSITIONS: Final = text("""
    SELECT account, market, symbol, position_side, position_amount, margin_asset, exposure, entry_price, mark_price,
        unrealized_pnl, isolated, effective_leverage
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
    SELECT account, market, concat_ws(' ', asset, symbol, nullif(position_side, 'BOTH')) AS asset, pool AS scope, time,
        margin_ratio AS value
    FROM poller.chart_margin(:since, now(), :step)
    ORDER BY account, market DESC, scope, asset, time
""")
_GAPS: Final = text("""
    SELECT account, market, "from", "to", missed_ticks, cause
    FROM poller.gaps_between(now() - INTERVAL '1 day', now())
    ORDER BY "to" DESC, account, market
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Values of one series over time.

    Attributes:
        asset: The unit of an equity; of a margin ratio what the pool is of.
        scope: Of an equity asset or account, of a margin ratio cross or isolated.
        points: An instant and its value, None where it is unknown.
    """

    account: str
    market: str
    asset: str
    scope: str
    points: tuple[tuple[datetime, Decimal | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What one look at the database found; rows have the names of the columns of their views."""

    accounts: tuple[Row[Any], ...]
    positions: tuple[Row[Any], ...]
    equity: tuple[Curve, ...]
    margin_ratio: tuple[Curve, ...]
    gaps: tuple[Row[Any], ...]


def read_overview(url: str) -> Overview:
    """Look at a database, all of it at one moment.

    Raises:
        StoreUnavailableError: It cannot be read now, or its schema is not this release's.
    """
    with translated_failures(), migration_engine(url).connect() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        connection.execute(text("SET LOCAL statement_timeout = '5s'"))
        check_revision(current_revision(connection))
        span = connection.execute(_SPAN, {"charted": CHARTED, "points": _POINTS}).mappings().first()
        return Overview(
            accounts=tuple(connection.execute(_ACCOUNTS)),
            positions=tuple(connection.execute(_POSITIONS)),
            equity=tuple(_curves(connection.execute(_EQUITY, dict(span)).all())) if span else (),
            margin_ratio=tuple(_curves(connection.execute(_MARGIN, dict(span)).all())) if span else (),
            gaps=tuple(connection.execute(_GAPS, {"most": MOST_GAPS})),
        )


def _curves(rows: Sequence[Row[Any]]) -> list[Curve]:
    return [
        Curve(
            account=account, market=market, asset=asset, scope=scope, points=tuple((row.time, row.value) for row in own)
        )
        for (account, market, asset, scope), own in groupby(rows, key=itemgetter(0, 1, 2, 3))
    ]
