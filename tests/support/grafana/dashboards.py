"""Every query of the dashboards, as they are checked in, and what Grafana would ask each with."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.support.database import execute
from tests.support.grafana.macros import Request
from tests.support.grafana.variables import Value
from tests.support.schema import ROOT

Json = dict[str, Any]

FILES: Final[Mapping[str, Path]] = {path.stem: path for path in sorted((ROOT / "grafana/dashboards").glob("*.json"))}

_WIDTH_OF_A_SCREEN: Final = 1920
# Grafana rounds the interval: anything below the first number becomes the second, in milliseconds.
_ROUNDED: Final = (
    (10, 1), (15, 10), (35, 20), (75, 50), (150, 100), (350, 200), (750, 500), (1500, 1000), (3500, 2000), (7500, 5000),
    (12500, 10000), (17500, 15000), (25000, 20000), (45000, 30000), (90000, 60000), (210000, 120000), (450000, 300000),
    (750000, 600000), (1050000, 900000), (1500000, 1200000), (2700000, 1800000), (5400000, 3600000),
    (9000000, 7200000), (16200000, 10800000), (32400000, 21600000), (86400000, 43200000), (604800000, 86400000),
    (1814400000, 604800000), (3628800000, 2592000000),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query of a panel, a variable or an annotation.

    Attributes:
        repeat: The variable whose values come one by one; None when all come together.
    """

    where: str
    kind: str
    sql: str
    form: str
    max_points: int = _WIDTH_OF_A_SCREEN
    repeat: str | None = None

    def request(self, since: datetime, until: datetime, variables: Mapping[str, Sequence[str]]) -> Iterator[Request]:
        """Yield what Grafana asks it with: once, or for each value of the variable that it is repeated by."""
        interval = max(_interval(until - since, self.max_points), timedelta(seconds=1))
        every: list[Mapping[str, Value]] = [variables]
        if self.repeat:
            every = [{**variables, self.repeat: value} for value in variables[self.repeat]] or [variables]
        for chosen in every:
            yield Request(since=since, until=until, interval=interval, variables=chosen)


def read(name: str) -> Json:
    """Return a dashboard as it is checked in."""
    return dict(json.loads(FILES[name].read_text(encoding="utf-8")))


def panels(dashboard: Json) -> Iterator[tuple[Json, str | None]]:
    """Yield every panel that is no row, with the variable by which its row is repeated."""
    repeat = None
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            repeat = panel.get("repeat")
            yield from ((inner, repeat) for inner in panel["panels"])
        else:
            yield panel, repeat


def queries(name: str) -> Iterator[Query]:
    """Yield every query that a dashboard asks the database."""
    dashboard = read(name)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            where = f"{name}: variable {variable['name']}"
            yield Query(where=where, kind="variable", sql=variable["query"], form="table")
    for annotation in dashboard["annotations"]["list"]:
        where = f"{name}: annotation {annotation['name']}"
        yield Query(where=where, kind="annotation", sql=annotation["target"]["rawSql"], form="table")
    for panel, repeat in panels(dashboard):
        for target in panel["targets"]:
            if target["datasource"]["uid"] == "poller":
                yield Query(
                    where=f"{name}: {panel['title']}",
                    kind=panel["type"],
                    sql=target["rawSql"],
                    form=target["format"],
                    max_points=panel.get("maxDataPoints", _WIDTH_OF_A_SCREEN),
                    repeat=repeat,
                )


def everything(url: str) -> dict[str, Sequence[str]]:
    """Return what the variables are with All chosen."""

    def column(found: Sequence[tuple[object, ...]]) -> list[str]:
        return [str(value) for (value,) in found]

    assets = "SELECT DISTINCT asset FROM poller.hourly_equity WHERE asset IS NOT NULL ORDER BY asset"
    margins = "SELECT DISTINCT margin_asset FROM poller.hourly_exposure WHERE margin_asset IS NOT NULL ORDER BY 1"
    return {
        "account": column(execute(url, "SELECT account FROM poller.accounts ORDER BY account")),
        "market": ["usdm", "coinm"],
        "asset": column(execute(url, assets)),
        "margin_asset": [*column(execute(url, margins)), "unknown"],
        "symbol": column(execute(url, "SELECT DISTINCT symbol FROM poller.hourly_positions ORDER BY symbol")),
    }


def _interval(length: timedelta, max_points: int) -> timedelta:
    exact = length / timedelta(milliseconds=1) / max_points
    return timedelta(milliseconds=next((rounded for below, rounded in _ROUNDED if exact < below), 31536000000))


def answer(connection: psycopg.Connection, sql: str) -> tuple[list[tuple[str, int]], list[tuple[Any, ...]]]:
    """Return the names and types of the columns of a query, and its rows."""
    cursor = connection.execute(sql.encode())
    assert cursor.description
    return [(column.name, column.type_code) for column in cursor.description], cursor.fetchall()
