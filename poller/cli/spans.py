"""Spans of time on the command line."""

from datetime import UTC, datetime, timedelta

import typer

from poller.config.quantities import seconds

TIME_HELP = "ISO 8601 with a zone, such as 2026-11-21T12:00:00Z, or how long ago: 90s, 10m, 24h, 7d."


def parse_time(text: str) -> datetime:
    """Return the instant that a text means."""
    try:
        return datetime.now(UTC) - timedelta(seconds=seconds(text))
    except (ValueError, OverflowError):
        pass
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time: {TIME_HELP}") from None
    if time.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone: add Z for UTC, or an offset such as +02:00")
    return time.astimezone(UTC)


def check_span(start: datetime, end: datetime, *, names: tuple[str, str]) -> None:
    """Refuse a span that ends before it begins."""
    if start > end:
        raise typer.BadParameter(f"{names[0]} is {start.isoformat()}, behind {names[1]}, {end.isoformat()}")
