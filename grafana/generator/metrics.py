"""What only the poller's own metrics know, read from Prometheus: its spool, its sockets, and what replies differ in."""

from collections.abc import Mapping
from typing import Final

from grafana.generator.dashboards import Row
from grafana.generator.panels import Json, Look, lines

METRICS: Final[Json] = {"type": "prometheus", "uid": "poller-metrics"}

_NO_DATA: Final = "Prometheus has nothing of the poller in this range"


def row() -> Row:
    """Return a row that asks Prometheus only when somebody opens it."""
    return Row(
        title="From Prometheus",
        collapsed=True,
        panels=tuple((6, _panel(title, description, unit, queries)) for title, description, unit, queries in _PANELS),
        height=8,
    )


def _panel(title: str, description: str, unit: str, queries: Mapping[str, str]) -> Json:
    shown = lines(title, description, "", Look(no_data=_NO_DATA, unit=unit, minimum=0))
    return {
        **shown,
        "datasource": METRICS,
        "targets": [
            {"datasource": METRICS, "expr": expression, "legendFormat": legend, "range": True, "refId": chr(65 + place)}
            for place, (legend, expression) in enumerate(queries.items())
        ],
    }


_PANELS: Final[tuple[tuple[str, str, str, Mapping[str, str]], ...]] = (
    (
        "Spool",
        "Polls that wait for the database. A few are ordinary.",
        "none",
        {"waiting": "poller_spool_entries", "damaged": "poller_spool_damaged_entries"},
    ),
    (
        "Spool: oldest entry",
        "How long the oldest poll has waited for the database.",
        "s",
        {"oldest": "poller_spool_oldest_entry_age_seconds"},
    ),
    ("Spool: size", "Of its file; it has a limit, spool.max_size.", "bytes", {"size": "poller_spool_bytes"}),
    (
        "Since the last stored poll",
        "Of the account that waits longest, as the poller sees it; it grows while the database is down.",
        "s",
        {"{{market}} {{account}}": "poller_last_stored_poll_age_seconds"},
    ),
    (
        "Drift",
        "Fields of replies that differ from their documents, by the hour: unknown ones are kept, missing ones null.",
        "none",
        {"differences": "increase(poller_reply_drift_total[1h])"},
    ),
    (
        "Sockets opened",
        "By the hour; one for each market a day is ordinary.",
        "none",
        {"{{market}}": "increase(poller_connections_total[1h])"},
    ),
    (
        "Request weight of this minute",
        "Used by this IP address, what the poller may use, and the limit.",
        "none",
        {"used": "poller_weight_used", "allowed": "poller_weight_allowed", "limit": "poller_weight_limit"},
    ),
    (
        "Silence, stuck, refused",
        "Seconds for which the exchange wants silence; 1 while something stands still; accounts that are refused.",
        "none",
        {
            "silence": "poller_silence_seconds",
            "stuck": "poller_stuck",
            "refused {{market}} {{account}}": "poller_accounts_refused",
        },
    ),
)
