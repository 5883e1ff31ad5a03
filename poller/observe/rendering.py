"""An event and its values → one line of printable text: nothing that was logged can end the line or start another."""

import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import PurePath

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_FIRST = ("timestamp", "level", "event")
_INDENT = "    "


def renderer(*, console: bool, colors: bool) -> list[Processor]:
    """Return the last steps of rendering: for people on a console, else for machines, as JSON."""
    # Rich tracebacks would show local variables, and a secret cut in two by a line of the box.
    last: Processor = (
        structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False, exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer()
    )
    return [structlog.processors.format_exc_info, _printable(_INDENT if console else ""), last]


def printable(text: str) -> str:
    r"""Return the text with control, bidirectional and other invisible characters as escapes, such as `\n`."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _printable(indent: str) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    def process(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        traceback = event.pop("exception", None)
        ordered = [*(key for key in _FIRST if key in event), *(key for key in event if key not in _FIRST)]
        plain: EventDict = {printable(key): _plain(event[key]) for key in ordered}
        if traceback:
            # An exception's text may hold line ends: indented, its lines cannot pass for lines of the log.
            plain["exception"] = "\n".join(indent + printable(line) for line in str(traceback).split("\n"))
        return plain

    return process


def _plain(value: object) -> object:
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, str | float | Decimal | PurePath):
        return printable(str(value))
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {printable(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return printable(repr(value))
