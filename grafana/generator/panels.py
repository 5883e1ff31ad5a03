"""The kinds of panel, as Grafana 9.4 writes them; every later version reads that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from grafana.generator.sql import clean

Json = dict[str, Any]
Format = Literal["time_series", "table"]

DATABASE: Final[Json] = {"type": "postgres", "uid": "poller"}

_SIGN: Final = ((None, "red"), (0, "green"))
_RATIO: Final = ((None, "green"), (0.5, "yellow"), (0.8, "orange"), (0.95, "red"))
_ACCOUNT_URL: Final = "/d/poller-account?${__url_time_range}&${market:queryparam}&var-account="


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How values are shown.

    Attributes:
        no_data: What stands there instead of nothing.
        steps: From which value on which colour; the first has no value.
        name: What a series or value is called, of its labels.
    """

    no_data: str
    unit: str = "none"
    decimals: int | None = None
    steps: Sequence[tuple[float | None, str]] = ((None, "text"),)
    name: str | None = None
    mappings: Mapping[str, tuple[str, str]] | None = None  # of a value, its text and colour
    minimum: float | None = None
    maximum: float | None = None
    overrides: Sequence[Json] = ()

    def field_config(self, custom: Json, color: str) -> Json:
        """Write it down for a kind of panel."""
        defaults: Json = {
            "color": {"mode": color},
            "custom": custom,
            "noValue": self.no_data,
            "thresholds": {"mode": "absolute", "steps": [{"color": step[1], "value": step[0]} for step in self.steps]},
            "unit": self.unit,
        }
        given = (
            ("decimals", self.decimals),
            ("displayName", self.name),
            ("max", self.maximum),
            ("min", self.minimum),
        )
        defaults.update((key, value) for key, value in given if value is not None)
        if self.mappings:
            options = {
                value: {"text": text, "color": named, "index": index}
                for index, (value, (text, named)) in enumerate(self.mappings.items())
            }
            defaults["mappings"] = [{"type": "value", "options": options}]
        return {"defaults": defaults, "overrides": list(self.overrides)}


def money(no_data: str, name: str | None = None) -> Look:
    """Return the look of amounts, whose unit the title or the name says."""
    return Look(no_data=no_data, unit="locale", decimals=6, name=name)


def signed(no_data: str, name: str | None = None) -> Look:
    """Return the look of profits: red below zero, green from zero on."""
    return Look(no_data=no_data, unit="locale", decimals=6, name=name, steps=_SIGN)


def ratio(no_data: str, name: str | None = None) -> Look:
    """Return the look of margin ratios; liquidation is at 100 %."""
    return Look(no_data=no_data, unit="percentunit", decimals=1, name=name, steps=_RATIO, minimum=0)


def query(sql: str, form: Format, ref: str = "A") -> Json:
    """Return a query of the database."""
    return {
        "datasource": DATABASE,
        "editorMode": "code",
        "format": form,
        "rawQuery": True,
        "rawSql": clean(sql),
        "refId": ref,
    }


def account_link(name: str) -> Json:
    """Return a link to the dashboard of an account; `name` says where Grafana finds its name."""
    return {"title": "Show the account", "url": f"{_ACCOUNT_URL}${{{name}:percentencode}}"}


def panel(kind: str, title: str, description: str, *, sql: str, form: Format) -> Json:
    """Return what all kinds of panel have."""
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATABASE,
        "targets": [query(sql, form)],
    }


def stat(title: str, description: str, sql: str, look: Look, *, background: bool = True) -> Json:
    """Return figures of this moment, one for every series of the query."""
    return {
        **panel("stat", title, description, sql=sql, form="time_series"),
        "fieldConfig": look.field_config({}, "thresholds"),
        "options": {
            "colorMode": "background" if background else "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto" if background else "horizontal",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "auto" if look.name is None else "value_and_name",
        },
    }


def lines(title: str, description: str, sql: str, look: Look, **custom: object) -> Json:
    """Return series over time; a line is broken where a value is null."""
    drawn: Json = {
        "drawStyle": "line",
        "fillOpacity": 0,
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "showPoints": "auto",
        "spanNulls": False,
        **custom,
    }
    if look.steps == _RATIO:
        drawn["thresholdsStyle"] = {"mode": "dashed"}
    config = look.field_config(drawn, "palette-classic")
    if look.name and "labels.account" in look.name:
        config["defaults"]["links"] = [account_link("__field.labels.account")]
    return {
        **panel("timeseries", title, description, sql=sql, form="time_series"),
        "fieldConfig": config,
        "maxDataPoints": 800,
        "options": {
            "legend": {"calcs": ["lastNotNull"], "displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def timeline(title: str, description: str, sql: str, look: Look) -> Json:
    """Return states over time, a bar for each series."""
    return {
        **panel("state-timeline", title, description, sql=sql, form="time_series"),
        "fieldConfig": look.field_config({"fillOpacity": 80, "lineWidth": 0, "spanNulls": False}, "thresholds"),
        "maxDataPoints": 800,
        "options": {
            "alignValue": "left",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
            "mergeValues": True,
            "rowHeight": 0.8,
            "showValue": "never",
            "tooltip": {"mode": "single", "sort": "none"},
        },
    }


def table(title: str, description: str, sql: str, no_data: str, columns: Mapping[str, Json]) -> Json:
    """Return a table; of each column that is more than text, `columns` says how it is shown."""
    overrides = [{"matcher": {"id": "byRegexp", "options": "/.*/"}, "properties": [{"id": "noValue", "value": ""}]}]
    overrides += [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": key, "value": value} for key, value in shown.items()],
        }
        for name, shown in columns.items()
    ]
    look = Look(no_data=no_data, overrides=overrides)
    return {
        **panel("table", title, description, sql=sql, form="table"),
        "fieldConfig": look.field_config({"align": "auto", "displayMode": "auto", "minWidth": 70}, "thresholds"),
        "options": {"footer": {"fields": "", "reducer": ["sum"], "show": False}, "showHeader": True},
    }
