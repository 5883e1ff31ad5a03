"""What analysts ask of a year, and how long an answer may take on two cores."""

from dataclasses import dataclass
from typing import Final, LiteralString

_CHART: Final = (
    "SELECT time, asset, equity FROM poller.chart_equity("
    "%(until)s::timestamptz - %(span)s::interval, %(until)s::timestamptz, %(step)s::interval, 'main', 'usdm')"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question in SQL.

    Attributes:
        sql: Its parameters are `until`, the end of the loaded history, and `span` and `step`.
        limit_ms: None when no time was promised.
    """

    name: str
    sql: LiteralString
    limit_ms: float | None
    span: str = ""
    step: str = ""


QUESTIONS: Final = (
    Question(name="latest state: accounts", limit_ms=3, sql="SELECT * FROM poller.latest_accounts"),
    Question(name="latest state: assets", limit_ms=3, sql="SELECT * FROM poller.latest_assets"),
    Question(name="latest state: positions", limit_ms=3, sql="SELECT * FROM poller.latest_positions"),
    Question(name="equity of 24 hours, every 5 minutes", limit_ms=30, sql=_CHART, span="24 hours", step="5 minutes"),
    Question(name="equity of 24 hours, every minute", limit_ms=None, sql=_CHART, span="24 hours", step="1 minute"),
    Question(name="equity of 30 days, every hour", limit_ms=50, sql=_CHART, span="30 days", step="1 hour"),
    Question(name="equity of 30 days, every 20 minutes", limit_ms=None, sql=_CHART, span="30 days", step="20 minutes"),
    Question(name="equity of 12 months, every 12 hours", limit_ms=100, sql=_CHART, span="365 days", step="12 hours"),
    Question(
        name="worst margin ratio of the year, and when",
        limit_ms=100,
        sql="SELECT max_margin_ratio, max_margin_ratio_at, pool, asset, symbol FROM poller.hourly_margin "
        "WHERE account = 'main' AND market = 'usdm' AND hour >= %(until)s::timestamptz - INTERVAL '365 days' "
        "ORDER BY max_margin_ratio DESC NULLS LAST LIMIT 1",
    ),
    Question(
        name="one position of 30 days, every hour",
        limit_ms=None,
        sql="SELECT time, position_amount, exposure FROM poller.chart_position("
        "%(until)s::timestamptz - %(span)s::interval, %(until)s::timestamptz, %(step)s::interval, 'main', 'usdm', "
        "'BTCUSDT')",
        span="30 days",
        step="1 hour",
    ),
    Question(
        name="position events of a day",
        limit_ms=None,
        sql="SELECT * FROM poller.position_events WHERE account = 'main' AND market = 'usdm' "
        "AND time >= %(until)s::timestamptz - INTERVAL '1 day' AND time < %(until)s::timestamptz",
    ),
)
"""In the order of the document."""
