"""The log: one line an event, from our code and from libraries alike, without secrets.

`configure` sets it up; everybody else says `structlog.stdlib.get_logger()` and logs constant event names with
key/values. Standard error is the only place: whoever runs the daemon (a terminal, systemd, a container) keeps it.
asyncio's own handler of forgotten exceptions logs to the logger `asyncio`, so it ends here as well.
"""

import logging
import os
import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Literal, TextIO

import structlog

from poller.observe.redaction import Redactor
from poller.observe.rendering import renderer
from poller.observe.sink import Sink

Format = Literal["console", "json", "auto"]
Level = Literal["debug", "info", "warning", "error"]

_log = structlog.stdlib.get_logger("poller")


def configure(
    *, log_format: Format, level: Level, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> Redactor:
    """Send every line to `stream` (standard error), and return what keeps `secrets` and later ones out of it.

    Our own events are logged from `level` on, those of libraries from warning on; warnings of Python and exceptions
    that nobody catches are logged too. A later call replaces what an earlier one set up.
    """
    redactor = Redactor(secrets)
    output: TextIO | None = stream or sys.stderr  # None when the process was started without one
    handler = _Handler(output, redactor)
    handler.setFormatter(_formatter(log_format, output))
    _install(handler, level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_stamps(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    _hook()
    return redactor


def _formatter(log_format: Format, stream: TextIO | None) -> logging.Formatter:
    terminal = stream is not None and stream.isatty()
    console = log_format == "console" or (log_format == "auto" and terminal)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_stamps(), structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *renderer(console=console, colors=terminal and "NO_COLOR" not in os.environ),
        ],
    )


def _stamps() -> list[structlog.typing.Processor]:
    return [structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]


def _install(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for earlier in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    logging.getLogger("poller").setLevel(level)


class _Handler(logging.StreamHandler[Sink]):
    """Redacts what was rendered; counts what could not be written, and says so when something can."""

    def __init__(self, stream: TextIO | None, redactor: Redactor) -> None:
        super().__init__(Sink(stream))
        self._redactor = redactor
        self._lost = 0
        self._reason = ""

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        lost = self._lost
        try:
            super().emit(record)
        except RecursionError:  # the only one that StreamHandler lets through: a value that holds itself
            self.handleError(record)
        if lost and lost == self._lost:
            self._report()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 — the name is logging's
        # The inherited method prints the record as it is, secrets and all, and to the very stream that failed.
        del record
        self._lost += 1
        self._reason = type(sys.exception()).__name__

    def close(self) -> None:
        self.stream.close()
        super().close()

    def _report(self) -> None:
        lost, self._lost = self._lost, 0
        _log.error("log lines lost", lines=lost, reason=self._reason)
        if self._lost:
            self._lost += lost


def _hook() -> None:
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    # Whoever has replaced these two, as test runners do, wants to know for himself.
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_uncaught_in_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _log_unraisable


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    _log.critical("uncaught exception", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit:
        thread = args.thread.name if args.thread else None
        _log.critical("uncaught exception", thread=thread, exc_info=args.exc_value)


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    where = getattr(args.object, "__qualname__", type(args.object).__qualname__)
    _log.error("exception ignored", where=where, exc_info=args.exc_value)
