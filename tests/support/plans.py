"""What PostgreSQL does for a query."""

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable

PREFER_INDEXES = "-c enable_seqscan=off -c enable_bitmapscan=off"
"""Small tables are read whole whatever there is to help; with this, only where nothing helps."""

_PARTITIONS = ("poller_parts", "_timescaledb_internal")


def explain(url: str, query: Composable, *, options: str = "") -> Iterator[dict[str, Any]]:
    """Run a query and yield every node of its plan, with what it really did."""
    with psycopg.connect(url, options=options) as connection:
        row = connection.execute(SQL("EXPLAIN (ANALYZE, BUFFERS, VERBOSE, FORMAT JSON) ") + query).fetchone()
    assert row
    yield from _nodes(row[0][0]["Plan"])


def is_history(node: Mapping[str, Any]) -> bool:
    """Tell whether a node reads a partition or a chunk."""
    return node.get("Schema") in _PARTITIONS


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
