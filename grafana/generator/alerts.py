"""The alert rules as Grafana reads them from a file: one query, its last value, and what it must not exceed.

The fields are those of Grafana 9.4, which every later version takes. A rule is evaluated for each series of its query,
so that each account has an alert of its own; what is well is a series too, so that an alert ends by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import yaml

from grafana.generator.panels import DATABASE, Json
from grafana.generator.sql import clean

RUNBOOK: Final = "docs/operations.md"
"""Where `runbook_url` leads, in this repository: an address of your own makes it a link that can be followed."""

# Not the dashboards': Grafana looks for this one by its title before they are there, and from version 10 on for theirs
# by its uid, so that there would be two of one name.
_FOLDER: Final = "Poller alerts"
_RANGE: Final = {"from": 600, "to": 0}  # the queries take the time from the database, not from here
_EXPRESSION: Final = {"type": "__expr__", "uid": "__expr__"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What must not be.

    Attributes:
        name: The same as in deploy/prometheus/rules.yml where it means the same; the runbook has it as a headline.
        summary: What is wrong, with whose; for a series or, where `no_data` makes an alert of it, for none.
        description: How wrong it is.
        sql: Returns the present time, texts that name the series, and one value.
        above: The alert fires for a value above it.
        lasting: For how long it has to be above.
        panel: The dashboard and the title of the panel that shows more.
        no_data: What it means that the query has no rows.
        error: What it means that the database does not answer.
    """

    name: str
    severity: Literal["warning", "critical"]
    summary: str
    description: str
    sql: str
    above: float
    panel: tuple[str, str]
    lasting: str = "0s"
    no_data: Literal["OK", "Alerting"] = "OK"
    error: Literal["Error", "Alerting"] = "Error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules that are evaluated together, every `interval`."""

    name: str
    interval: str
    alerts: Sequence[Alert]


def provisioned(groups: Sequence[Group], dashboards: Sequence[Json]) -> str:
    """Return the file that provisions the groups; their alerts lead to panels of the dashboards."""
    panels = {(board["uid"], panel["title"]): panel["id"] for board in dashboards for panel in _panels(board)}
    content = {
        "apiVersion": 1,
        "groups": [
            {
                "orgId": 1,
                "name": group.name,
                "folder": _FOLDER,
                "interval": group.interval,
                "rules": [_rule(alert, panels[alert.panel]) for alert in group.alerts],
            }
            for group in groups
        ],
    }
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return f"# Written by `make dashboards` from grafana/generator, not by hand.\n{text}"


def _panels(board: Json) -> list[Json]:
    return [inner for panel in board["panels"] for inner in (panel, *panel.get("panels", []))]


def _rule(alert: Alert, panel: int) -> Json:
    uid, _ = alert.panel
    return {
        "uid": alert.name,
        "title": alert.name,
        "condition": "C",
        "data": [
            _datum("A", DATABASE, {"format": "time_series", "rawQuery": True, "rawSql": clean(alert.sql) + "\n"}),
            _datum("B", _EXPRESSION, {"type": "reduce", "expression": "A", "reducer": "last"}),
            # A threshold expression would do, but Grafana has had those for a shorter time.
            _datum("C", _EXPRESSION, {"type": "math", "expression": f"$B > {alert.above:g}"}),
        ],
        "dashboardUid": uid,
        "panelId": panel,
        "noDataState": alert.no_data,
        "execErrState": alert.error,
        "for": alert.lasting,
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{RUNBOOK}#{alert.name.lower()}",
            "__dashboardUid__": uid,
            "__panelId__": str(panel),
        },
        "labels": {"severity": alert.severity},
    }


def _datum(ref: str, source: Json, model: Json) -> Json:
    return {
        "refId": ref,
        "relativeTimeRange": dict(_RANGE),
        "datasourceUid": source["uid"],
        "model": {"refId": ref, "datasource": dict(source), **model},
    }


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as it is."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
