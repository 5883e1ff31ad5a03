"""`poller check`: would recording work?"""

import asyncio

import typer

from poller.cli.common import CONFIG_FILE, FAILED, ConfigOption, begin, exit_codes
from poller.config import Settings
from poller.daemon.check import check as find
from poller.daemon.exchange import Hide


def check(*, config: ConfigOption = CONFIG_FILE) -> None:
    """Check the configuration, the database and every account's key, without writing anything; 1 if one is not good."""
    with exit_codes():
        settings, redactor = begin(config, quiet=True)
        if not asyncio.run(_check(settings, redactor.add_secret)):
            raise typer.Exit(FAILED)


async def _check(settings: Settings, hide: Hide) -> bool:
    good = True
    async for finding in find(settings, hide=hide):
        typer.echo(f"{'ok  ' if finding.good else 'FAIL'}  {finding.subject}: {finding.text}")
        good = good and finding.good
    return good
