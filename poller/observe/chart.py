"""Values over time as the path of an SVG line that breaks where nothing is known. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Final

WIDTH: Final = 600
HEIGHT: Final = 120

Point = tuple[datetime, Decimal | None]
"""An instant and its value, None where it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A drawn line.

    Attributes:
        path: What the attribute `d` of an SVG path takes, within `WIDTH` by `HEIGHT`.
        lowest: The value at the lower edge.
        highest: The value at the upper edge.
        last: The newest known value.
        unknown: How many points are not known.
    """

    path: str
    lowest: Decimal
    highest: Decimal
    last: Decimal
    unknown: int


def line(points: Sequence[Point]) -> Line | None:
    """Draw points in the order of their times; None when not one of them is known."""
    known = [value for _, value in points if value is not None]
    if not known:
        return None
    lowest, highest = min(known), max(known)
    return Line(
        path=" ".join(_strokes(points, lowest, highest)),
        lowest=lowest,
        highest=highest,
        last=known[-1],
        unknown=len(points) - len(known),
    )


def _strokes(points: Sequence[Point], lowest: Decimal, highest: Decimal) -> Iterator[str]:
    first, duration = points[0][0], (points[-1][0] - points[0][0]).total_seconds() or 1.0
    for is_known, stretch in groupby(points, key=lambda point: point[1] is not None):
        if not is_known:
            continue
        places = [
            f"{(time - first).total_seconds() / duration * WIDTH:.1f} {_height(value, lowest, highest):.1f}"
            for time, value in stretch
            if value is not None
        ]
        # A point alone has no line: one without a length shows as a dot, by its round ends.
        yield f"M{places[0]} L{' '.join(places[1:]) or places[0]}"


def _height(value: Decimal, lowest: Decimal, highest: Decimal) -> float:
    if highest == lowest:
        return HEIGHT / 2
    return float((highest - value) / (highest - lowest)) * HEIGHT
