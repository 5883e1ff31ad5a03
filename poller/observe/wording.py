"""Ages, amounts, shares and instants as people read them. Pure."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

UNKNOWN: Final = "\N{EN DASH}"

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_MOST_DIGITS: Final = 8
_LEAST_DECIMALS: Final = 2
_THIN_SPACE: Final = "\N{NARROW NO-BREAK SPACE}"


def length(duration: timedelta | float) -> str:
    """Say how long something lasts, in its largest unit."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def ago(age: timedelta | float | None) -> str:
    """Say how long ago something was."""
    return "never" if age is None else f"{length(age)} ago"


def amount(value: Decimal | None, decimals: int | None = None) -> str:
    """Write an amount with its thousands apart, to eight digits and at least two decimals, noughts at the end left out.

    Args:
        value: None when it is unknown.
        decimals: How many there are at most, instead.
    """
    if value is None:
        return UNKNOWN
    if decimals is None:
        whole = len(f"{abs(int(value))}") if abs(value) >= 1 else 0
        decimals = max(_MOST_DIGITS - whole, _LEAST_DECIMALS)
    plain = f"{value:,.{decimals}f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return plain.removeprefix("-") if plain == "-0" else plain.replace(",", _THIN_SPACE).replace("-", "\N{MINUS SIGN}")


def change(value: Decimal) -> str:
    """Write a difference, with its sign."""
    return f"{'+' if value > 0 else ''}{amount(value)}"


def percent(value: Decimal | None) -> str:
    """Write a share as a percentage with two decimals."""
    return UNKNOWN if value is None else f"{value * 100:,.2f}{_THIN_SPACE}%"


def instant(value: datetime | None) -> str:
    """Write an instant in UTC."""
    return UNKNOWN if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def clock(value: datetime) -> str:
    """Write the hour and minute of an instant in UTC."""
    return f"{value.astimezone(UTC):%H:%M}"


def iso(value: datetime) -> str:
    """Write an instant as a machine reads it."""
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
