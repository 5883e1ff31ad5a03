"""`poller migrate`: the schema of this release."""

import asyncio

import typer

from poller.cli.common import CONFIG_FILE, FAILED, ConfigOption, begin, exit_codes
from poller.config import Settings
from poller.daemon.database import open_database, upgrade_schema
from poller.daemon.exchange import Hide


def migrate(*, config: ConfigOption = CONFIG_FILE) -> None:
    """Upgrade the schema of the configured database to this release."""
    with exit_codes():
        settings, redactor = begin(config)
        if not asyncio.run(_migrate(settings, redactor.add_secret)):
            raise typer.Exit(FAILED)
        typer.echo("the schema is current")


async def _migrate(settings: Settings, hide: Hide) -> bool:
    async with open_database(settings, hide=hide) as database:
        return await upgrade_schema(database)
