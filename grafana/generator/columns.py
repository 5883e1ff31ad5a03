"""How the columns of tables are shown."""

from typing import Final

from grafana.generator.panels import Json, account_link


def column(name: str, unit: str = "none", width: int | None = None) -> Json:
    """Return a column under a name of its own."""
    shown: Json = {"displayName": name, "unit": unit}
    return shown if width is None else {**shown, "custom.width": width}


def money(name: str) -> Json:
    """Return a column of amounts; another one says their unit."""
    return {**column(name, "locale"), "decimals": 6, "noValue": "?"}


def signed(name: str) -> Json:
    """Return a column of profits: red below zero, green from zero on."""
    return {**money(name), "custom.displayMode": "color-text", "thresholds": _steps((None, "red"), (0, "green"))}


def ratio(name: str) -> Json:
    """Return a column of margin ratios as bars; liquidation is at 100 %."""
    return {
        **column(name, "percentunit", 170),
        "decimals": 1,
        "noValue": "?",
        "min": 0,
        "max": 1,
        "custom.displayMode": "gradient-gauge",
        "thresholds": _steps((None, "green"), (0.5, "yellow"), (0.8, "orange"), (0.95, "red")),
    }


def age(name: str) -> Json:
    """Return a column of seconds since the last poll."""
    return {**column(name, "s", 90), "noValue": "never"}


def factor(name: str) -> Json:
    """Return a column of multiples."""
    return {**column(name, "suffix: x"), "decimals": 2, "noValue": "?"}


def time(name: str) -> Json:
    """Return a column of instants."""
    return column(name, "dateTimeAsIso", 165)


def _steps(*steps: tuple[float | None, str]) -> Json:
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


ACCOUNT: Final[Json] = {**column("Account"), "links": [account_link("__data.fields.account")]}
MARKET: Final = column("Market", width=80)
UNIT: Final = column("Unit", width=90)
TIME: Final = time("Time")
STATUS: Final[Json] = {
    **column("Last tick", width=110),
    "custom.displayMode": "color-text",
    "mappings": [
        {"type": "value", "options": {"ok": {"text": "ok", "color": "green", "index": 0}}},
        {"type": "regex", "options": {"pattern": "(?!ok$).+", "result": {"color": "red", "index": 1}}},
    ],
}
