"""How ticks end, each in a colour of its own."""

from typing import Final

from grafana.generator.panels import Json

_COLORS: Final = {
    "ok": "green",
    "failed": "orange",
    "missed": "red",
    "timeout": "orange",
    "disconnected": "dark-orange",
    "rate_limited": "purple",
    "banned": "dark-purple",
    "rejected": "light-red",
    "unauthorized": "red",
    "clock_skew": "blue",
    "exchange_error": "yellow",
    "malformed": "dark-red",
    "paused": "light-purple",
    "skipped": "dark-yellow",
    "spool_full": "dark-blue",
}


def colors() -> list[Json]:
    """Return what gives the series of a status its colour, whichever of them there are."""
    return [
        {
            "matcher": {"id": "byName", "options": status},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
        }
        for status, color in _COLORS.items()
    ]
