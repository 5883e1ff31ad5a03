"""All commands together."""

from typing import Annotated

import typer

from poller import __version__
from poller.cli.check import check
from poller.cli.migrate import migrate
from poller.cli.once import once
from poller.cli.psql import psql
from poller.cli.renormalize import renormalize
from poller.cli.replay import replay
from poller.cli.run import run
from poller.cli.simulate import simulate

app = typer.Typer(
    name="poller",
    help="Records the complete history of Binance futures accounts in PostgreSQL or TimescaleDB.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (run, once, check, migrate, replay, renormalize, psql, simulate):
    app.command()(command)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - the signature of a typer callback
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that come before a command."""
    del version


def main() -> None:
    """Run the command line."""
    app()
