"""What is logged, counted instead of printed: hours of it must take no memory."""

from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog


@contextmanager
def heard() -> Iterator[Counter[str]]:
    """Have all events counted by their names as long as the context lasts, and nothing printed."""
    counted: Counter[str] = Counter()

    def count(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        counted[str(event["event"])] += 1
        raise structlog.DropEvent

    processors = structlog.get_config()["processors"]
    kept = list(processors)
    processors[:] = [count]  # in place: loggers that were used before hold on to this very list
    try:
        yield counted
    finally:
        processors[:] = kept
