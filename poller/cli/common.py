"""What all commands share: the configuration option, the log, and how an error becomes an exit code."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from poller.config import Settings, load
from poller.errors import ConfigError, EnvironmentMismatchError, PollerError, SpoolLockedError
from poller.observe.logging import configure
from poller.observe.redaction import Redactor

FAILED: Final = 1
MISCONFIGURED: Final = 2
LOCKED: Final = 3

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="POLLER_CONFIG", help="The configuration file.", show_default=True),
]
CONFIG_FILE: Final = Path("config.yaml")


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn the errors of this project into words on stderr and an exit code.

    1: it failed; 2: the configuration cannot be used; 3: another process owns the spool.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        _leave(_first(group))
    except PollerError as exc:
        _leave(exc)


def begin(config: Path, *, quiet: bool = False) -> tuple[Settings, Redactor]:
    """Load the configuration and begin to log as it says; the redactor keeps secrets out of the log.

    A quiet command has an answer of its own to print, and logs only what went wrong.
    """
    settings = load(config, os.environ)
    level = "warning" if quiet and settings.log.level == "info" else settings.log.level
    redactor = configure(log_format=settings.log.format, level=level, secrets=settings.secrets())
    return settings, redactor


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _leave(error: BaseException) -> None:
    if not isinstance(error, PollerError):
        raise error
    lines = error.problems if isinstance(error, ConfigError) else (str(error),)
    for line in lines:
        print(f"poller: {line}", file=sys.stderr)  # noqa: T201 - the words of a command line
    match error:
        case ConfigError() | EnvironmentMismatchError():
            code = MISCONFIGURED
        case SpoolLockedError():
            code = LOCKED
        case _:
            code = FAILED
    raise typer.Exit(code)
