"""Values and outcomes over time as paths of SVG that stop where nothing is known. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Final

from poller.storage.overview import Point

WIDTH: Final = 600
HEIGHT: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A drawn line, within `WIDTH` by `HEIGHT`.

    Attributes:
        path: What the attribute `d` of an SVG path takes.
        end: The same of a dot at the newest known value.
        unknown: The same of what lies between known values, from the upper to the lower edge; empty when nothing does.
        lowest: The least value; the lower edge unless the chart begins lower.
        highest: The value at the upper edge.
        first: The oldest known value.
        last: The newest known value.
        since: The instant at the left edge.
        until: The instant at the right edge.
    """

    path: str
    end: str
    unknown: str
    lowest: Decimal
    highest: Decimal
    first: Decimal
    last: Decimal
    since: datetime
    until: datetime


def line(points: Sequence[Point], *, base: Decimal | None = None) -> Line | None:
    """Draw points in the order of their times; None when not one of them is known.

    Args:
        points: In the order of their times.
        base: The value at the lower edge, not above any of theirs; None takes the least of them.
    """
    known = [value for _, value in points if value is not None]
    if not known:
        return None
    lowest, highest = min(known), max(known)
    scale = _Scale(since=points[0][0], until=points[-1][0], bottom=lowest if base is None else base, top=highest)
    strokes = [
        [scale.place(time, value) for time, value in stretch if value is not None]
        for is_known, stretch in groupby(points, key=lambda point: point[1] is not None)
        if is_known
    ]
    return Line(
        path=" ".join(_stroke(places) for places in strokes),
        end=_stroke(strokes[-1][-1:]),
        unknown=" ".join(_bands(points, scale)),
        lowest=lowest,
        highest=highest,
        first=known[0],
        last=known[-1],
        since=scale.since,
        until=scale.until,
    )


def bars(marked: Sequence[bool], *, tall: bool) -> str:
    """Draw a bar wherever one is marked, each 10 apart: to the full `HEIGHT`, or a third of it."""
    top = 0 if tall else HEIGHT * 2 // 3
    return " ".join(f"M{10 * place + 5} {HEIGHT}V{top}" for place, is_marked in enumerate(marked) if is_marked)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    since: datetime
    until: datetime
    bottom: Decimal
    top: Decimal

    def across(self, time: datetime) -> float:
        duration = (self.until - self.since).total_seconds()
        return (time - self.since).total_seconds() / duration * WIDTH if duration else WIDTH

    def place(self, time: datetime, value: Decimal) -> str:
        height = float((self.top - value) / (self.top - self.bottom)) if self.top != self.bottom else 0.5
        return f"{self.across(time):.1f} {height * HEIGHT:.1f}"


def _stroke(places: Sequence[str]) -> str:
    # A point alone has no line: one without a length shows as a dot, by its round ends.
    return f"M{places[0]}L{' '.join(places[1:]) or places[0]}"


def _bands(points: Sequence[Point], scale: _Scale) -> Iterator[str]:
    """Yield what is between the last known point before and the first known one after each unknown stretch."""
    known_until = scale.since
    is_open = False
    for time, value in points:
        if value is None:
            is_open = True
            continue
        if is_open:
            yield _band(scale.across(known_until), scale.across(time))
        known_until, is_open = time, False
    if is_open:
        yield _band(scale.across(known_until), WIDTH)


def _band(left: float, right: float) -> str:
    return f"M{left:.1f} 0H{right:.1f}V{HEIGHT}H{left:.1f}Z"
