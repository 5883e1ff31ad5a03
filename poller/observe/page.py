"""The status page: one document that needs no script, made anew for everybody who asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from poller.observe.chart import HEIGHT, WIDTH, line
from poller.observe.readings import Readings
from poller.storage.overview import CHARTED, Curve, Overview

MOST_CHARTS: Final = 24
"""Of equity, and of margin ratios: what an eye can take in."""

_UNKNOWN: Final = "\u2013"
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known at one moment.

    Attributes:
        at: By the exchange's clock.
        release: Of this program.
        readings: Of the daemon.
        reasons: Why polls do not reach the database; none when they do.
        overview: Of the database; None when it could not be asked.
        failure: Why not.
    """

    at: datetime
    release: str
    readings: Readings
    reasons: tuple[str, ...]
    overview: Overview | None
    failure: str | None


def page(look: Look) -> str:
    """Return the page as HTML."""
    return _TEMPLATE.render(
        look=look,
        hours=round(CHARTED.total_seconds() / _HOUR),
        charts=_charts(look.overview) if look.overview else [],
        width=WIDTH,
        height=HEIGHT,
    )


def ago(age: timedelta | float | None) -> str:
    """Say how long ago something was, in its largest unit."""
    if age is None:
        return "never"
    seconds = age.total_seconds() if isinstance(age, timedelta) else age
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def amount(value: Decimal | None, digits: int = 8) -> str:
    """Write an amount with the thousands apart and without noise behind the point; nothing for what is unknown."""
    if value is None:
        return _UNKNOWN
    plain = f"{value:,.{digits}f}"
    return (plain.rstrip("0").rstrip(".") if "." in plain else plain).replace(",", "\u202f")


def percent(value: Decimal | None) -> str:
    """Write a share as a percentage with two digits."""
    return _UNKNOWN if value is None else f"{value * 100:,.2f}\u202f%"


def instant(value: datetime | None) -> str:
    """Write an instant in UTC."""
    return _UNKNOWN if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _charts(overview: Overview) -> list[dict[str, Any]]:
    return [
        {"title": "Equity", "unit": amount, "curves": _drawn(overview.equity), "left": _left(overview.equity)},
        {
            "title": "Margin ratio",
            "unit": percent,
            "curves": _drawn(_used(overview.margin_ratio)),
            "left": _left(_used(overview.margin_ratio)),
        },
    ]


def _used(curves: Sequence[Curve]) -> list[Curve]:
    """Leave out pools that nothing was drawn on: their ratio is zero all the time."""
    return [curve for curve in curves if any(value for _, value in curve.points)]


def _drawn(curves: Sequence[Curve]) -> list[tuple[Curve, Any]]:
    return [(curve, drawn) for curve in curves[:MOST_CHARTS] if (drawn := line(curve.points))]


def _left(curves: Sequence[Curve]) -> int:
    return max(len(curves) - MOST_CHARTS, 0)


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("poller.observe"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {"ago": ago, "amount": amount, "percent": percent, "instant": instant}
_TEMPLATE: Final = _ENVIRONMENT.get_template("status.html")
