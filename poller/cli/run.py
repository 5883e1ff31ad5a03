"""`poller run`: the daemon."""

import asyncio

import structlog
import typer

from poller.cli.common import CONFIG_FILE, ConfigOption, begin, exit_codes
from poller.daemon.database import Database
from poller.daemon.run import run as run_daemon

FIRST_QUERY = "SELECT time, account, market, status FROM poller.polls ORDER BY time DESC LIMIT 5"


def run(
    *,
    config: ConfigOption = CONFIG_FILE,
    migrate: bool = typer.Option(default=False, help="Upgrade the schema first; the embedded database's always is."),
) -> None:
    """Record until Ctrl-C or SIGTERM: one log line a poll."""
    with exit_codes():
        settings, redactor = begin(config)
        log = structlog.stdlib.get_logger()
        for warning in settings.warnings():
            log.warning("configuration", warning=warning)
        asyncio.run(run_daemon(settings, migrate=migrate, hide=redactor.add_secret, announce=announce))


def announce(database: Database) -> None:
    """Say where the history is and how to look at it."""
    typer.echo(f"\ndatabase     {database.shown}")
    if database.embedded:
        typer.echo("look at it   make psql        (or any client: the password is in the passfile)")
    typer.echo(f"first query  {FIRST_QUERY};\n")
