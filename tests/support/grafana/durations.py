"""The texts that Grafana and Go have for a duration: 10s, 1h30m, 7d."""

import re
from datetime import timedelta
from typing import Final

_DAYS: Final = re.compile(r"(\d+)([dw])", re.ASCII)
_CALENDAR: Final = re.compile(r"\d+[My]", re.ASCII)
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ms|us|µs|μs|ns|h|m|s)", re.ASCII)
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NAMES: Final = (("y", 365 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def parse(text: str) -> float:
    """Tell how many seconds a text stands for.

    Raises:
        ValueError: Grafana does not know it, or reckons it from the present day, as months and years.
    """
    if days := _DAYS.fullmatch(text):
        return int(days[1]) * {"d": 86400.0, "w": 604800.0}[days[2]]
    if _CALENDAR.fullmatch(text):
        raise ValueError(f"{text} is not the same length every day")
    unsigned = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    parts = [(float(part[1]), part[2]) for part in _PART.finditer(unsigned)]
    if unsigned != "0" and (not parts or _PART.sub("", unsigned)):
        raise ValueError(f"invalid duration {text!r}")
    seconds = sum(number * _SECONDS[unit] for number, unit in parts)
    return -seconds if text.startswith("-") else seconds


def write(duration: timedelta) -> str:
    """Write a duration as $__interval does: in its largest unit, cut to a whole number of it."""
    milliseconds = duration // timedelta(milliseconds=1)
    name, size = next((named for named in _NAMES if milliseconds >= named[1]), ("ms", 1))
    return f"{max(milliseconds // size, 1)}{name}"
