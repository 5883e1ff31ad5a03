"""A dashboard: rows of panels, and what is round them."""

from collections.abc import Iterator, Sequence
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
    concat_ws(', ', replace(asset_mode, '_', ' '), replace(position_mode, '_', ' ')) || ' since then; not yet at '
        || to_char(before AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS text
FROM (
    SELECT account, market, valid_from, asset_mode, position_mode,
        lag(confirmed_at) OVER (PARTITION BY account, market ORDER BY valid_from) AS before
    FROM poller.account_modes
    WHERE {CHOSEN}
) AS mode
WHERE before IS NOT NULL AND valid_from >= {SINCE} AND valid_from < {UNTIL}
ORDER BY valid_from
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels beside each other, with their widths of 24 a line.

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
    """Return a dashboard for the last six hours, with links to the others that keep the range."""
    return {
        "uid": f"poller-{name}",
        "title": title,
        "description": description,
        "tags": ["poller"],
        "schemaVersion": 37,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "utc",
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "timepicker": {"refresh_intervals": ["10s", "30s", "1m", "5m", "15m", "1h"]},
        "templating": {"list": list(variables)},
        "annotations": {"list": list(annotations)},
        "links": _links(),
        "panels": _laid_out(rows),
    }


def _laid_out(rows: Sequence[Row]) -> list[Json]:
    shown: list[Json] = []
    top = 0
    for row in rows:
        head = [] if row.title is None else [_head(row, top)]
        inside = list(_placed(row, top + len(head)))
        if row.collapsed:
            head[0]["panels"] = inside
            inside = []
        shown += (*head, *inside)
        top = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in (*head, *inside))
    for number, panel in enumerate(_all(shown), start=1):
        panel["id"] = number
    return shown


def _head(row: Row, top: int) -> Json:
    return {
        "type": "row",
        "title": row.title,
        "collapsed": row.collapsed,
        "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1},
        "panels": [],
        **({"repeat": row.repeat} if row.repeat else {}),
    }


def _placed(row: Row, top: int) -> Iterator[Json]:
    left = 0
    for width, panel in row.panels:
        if left + width > _WIDTH:
            left, top = 0, top + row.height
        yield {**panel, "gridPos": {"x": left, "y": top, "w": width, "h": row.height}}
        left += width


def _all(panels: Sequence[Json]) -> Iterator[Json]:
    for panel in panels:
        yield panel
        yield from _all(panel.get("panels", ()))


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


# One account cannot be All: its dashboard takes over the markets and the range, and of accounts its first.
_OTHERS: Final = (
    ("Overview", "/d/poller-overview", True),
    ("Account", "/d/poller-account?${market:queryparam}", False),
    ("Positions", "/d/poller-positions", True),
    ("Poller", "/d/poller-poller", True),
)


def _links() -> list[Json]:
    return [
        {
            "type": "link",
            "title": title,
            "url": url,
            "includeVars": all_variables,
            "keepTime": True,
            "targetBlank": False,
            "asDropdown": False,
            "icon": "dashboard",
            "tags": [],
            "tooltip": "",
        }
        for title, url, all_variables in _OTHERS
    ]
