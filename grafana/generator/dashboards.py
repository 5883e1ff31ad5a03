"""A dashboard: rows of panels, and what is round them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana.generator.panels import DATABASE, Json, query
from grafana.generator.sql import CHOSEN, GAPS, SINCE, UNTIL, clean, inner

_WIDTH: Final = 24

_GAPS: Final = f"""
SELECT "from" AS time, "to" AS timeend, account || ' ' || market AS tags,
    missed_ticks || ' ticks without an ok poll: ' || cause AS text
FROM {inner(GAPS)} AS gap
ORDER BY missed_ticks DESC
LIMIT 200
"""
_MODES: Final = f"""
SELECT valid_from AS time, account || ' ' || market AS tags,
    concat_ws(', ', replace(asset_mode, '_', ' '), replace(position_mode, '_', ' ')) || ' since then; not so at '
        || coalesce(to_char(before AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', 'any earlier time known')
        AS text
FROM (
    SELECT account, market, valid_from, asset_mode, position_mode,
        lag(confirmed_at) OVER (PARTITION BY account, market ORDER BY valid_from) AS before
    FROM poller.account_modes
    WHERE {CHOSEN}
) AS mode
WHERE valid_from >= {SINCE} AND valid_from < {UNTIL}
ORDER BY valid_from
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels beside each other, with their widths; all of them together 24 wide.

    Attributes:
        title: Its headline; None has none.
        repeat: The variable for each of whose values there is such a row.
    """

    panels: Sequence[tuple[int, Json]]
    height: int
    title: str | None = None
    repeat: str | None = None
    collapsed: bool = False


def gaps() -> Json:
    """Return the annotation that shades what nobody recorded."""
    return _annotation("Gaps", "red", _GAPS)


def modes() -> Json:
    """Return the annotation of changes of the asset mode and the position mode."""
    return _annotation("Mode changes", "purple", _MODES)


def dashboard(
    name: str,
    title: str,
    description: str,
    *,
    rows: Sequence[Row],
    variables: Sequence[Json],
    annotations: Sequence[Json],
) -> Json:
    """Return a dashboard for the last six hours, with links to the others that keep range and variables."""
    return {
        "uid": f"poller-{name}",
        "title": title,
        "description": description,
        "tags": ["poller"],
        "schemaVersion": 37,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "utc",
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "timepicker": {"refresh_intervals": ["10s", "30s", "1m", "5m", "15m", "1h"]},
        "templating": {"list": list(variables)},
        "annotations": {"list": list(annotations)},
        "links": [_links()],
        "panels": _laid_out(rows),
    }


def _laid_out(rows: Sequence[Row]) -> list[Json]:
    panels: list[Json] = []
    top = 0
    number = 0
    for row in rows:
        inside: list[Json] = []
        head: Json | None = None
        if row.title is not None:
            number += 1
            head = {
                "id": number,
                "type": "row",
                "title": row.title,
                "collapsed": row.collapsed,
                "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1},
                "panels": [],
            }
            if row.repeat:
                head["repeat"] = row.repeat
            panels.append(head)
            top += 1
        left = 0
        line = 0
        for width, content in row.panels:
            if left + width > _WIDTH:
                left, line = 0, line + row.height
            number += 1
            place = {"x": left, "y": top + line, "w": width, "h": row.height}
            inside.append({"id": number, "gridPos": place, **content})
            left += width
        if head and row.collapsed:
            head["panels"] = inside
        else:
            panels += inside
            top += line + row.height
    return panels


def _annotation(name: str, color: str, sql: str) -> Json:
    # Grafana 9 reads rawQuery, later ones make the target of it.
    return {
        "name": name,
        "datasource": DATABASE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "rawQuery": clean(sql),
        "target": query(sql, "table", "Anno"),
    }


def _links() -> Json:
    return {
        "type": "dashboards",
        "title": "Poller",
        "tags": ["poller"],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }
