"""What PostgreSQL does for a query."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed

PREFER_INDEXES = "-c enable_seqscan=off -c enable_bitmapscan=off"
"""Small tables are read whole whatever there is to help; with this, only where nothing helps."""

_TELL = " ".join(
    f"-c auto_explain.{setting}"
    for setting in (
        "log_level=notice",
        "log_min_duration=0",
        "log_nested_statements=on",
        "log_format=json",
        "log_analyze=on",
        "log_buffers=on",
        "log_verbose=on",
    )
)

_PARTITIONS = ("poller_parts", "_timescaledb_internal")


def explain(
    url: str, query: SQL | Composed, parameters: Mapping[str, object] | None = None, *, options: str = ""
) -> Iterator[dict[str, Any]]:
    """Run a query as a superuser and yield every node of its plan, with what it really did.

    The statements that functions ran for it come first: EXPLAIN would tell of them only that there was a function.
    """
    told: list[str] = []
    with psycopg.connect(url, options=f"{options} {_TELL}") as connection:
        connection.execute("LOAD 'auto_explain'")
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
        connection.execute(query, parameters).fetchall()
    for _, _, plan in (notice.partition("plan:\n") for notice in told):
        if plan:
            yield from _nodes(json.loads(plan)["Plan"])


def is_history(node: Mapping[str, Any]) -> bool:
    """Tell whether a node reads a partition or a chunk."""
    return node.get("Schema") in _PARTITIONS


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
