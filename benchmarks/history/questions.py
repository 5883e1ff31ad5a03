"""What analysts ask of a year, and how long an answer may take on two cores."""

from dataclasses import dataclass
from typing import Final, LiteralString

_CHART: Final = """
SELECT time, equity FROM poller.chart_equity(%(until)s - %(span)s::interval, %(until)s, %(step)s, 'main', 'usdm')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question in SQL; `%(until)s` is the end of the loaded history."""

    name: str
    limit_ms: float
    sql: LiteralString
    span: str = ""
    step: str = ""
