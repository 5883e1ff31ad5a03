"""`poller once`: every account, now."""

import asyncio
from collections.abc import Iterable

import typer
from rich.console import Console
from rich.table import Table

from poller.cli.common import CONFIG_FILE, FAILED, ConfigOption, begin, exit_codes
from poller.daemon.once import once as poll_once
from poller.observation import Status
from poller.records import Snapshot


def once(*, config: ConfigOption = CONFIG_FILE) -> None:
    """Poll every account once, store it and show it; exit code 1 if any poll failed, 3 beside a running daemon."""
    with exit_codes():
        settings, redactor = begin(config)
        outcome = asyncio.run(poll_once(settings, hide=redactor.add_secret))
        console = Console()
        console.print(
            polls_table(outcome.snapshots), assets_table(outcome.snapshots), positions_table(outcome.snapshots)
        )
        if not outcome.stored:
            typer.echo("not stored: the database is unavailable; the polls are in the spool", err=True)
        failed = [snapshot for snapshot in outcome.snapshots if snapshot.poll.status is not Status.OK]
        if failed or not outcome.stored:
            raise typer.Exit(FAILED)


def polls_table(snapshots: Iterable[Snapshot]) -> Table:
    """Show how each poll ended."""
    table = Table("account", "market", "time", "status", "latency", "assets", "positions", "error", title="Polls")
    for snapshot in snapshots:
        poll = snapshot.poll
        table.add_row(
            poll.account,
            poll.market.value,
            f"{poll.time:%Y-%m-%d %H:%M:%S}Z",
            poll.status.value,
            "" if poll.latency_ms is None else f"{poll.latency_ms} ms",
            str(len(snapshot.assets)),
            str(len(snapshot.positions)),
            poll.error_message or "",
        )
    return table


def assets_table(snapshots: Iterable[Snapshot]) -> Table:
    """Show the assets that are not zero, each in units of itself."""
    table = Table("account", "market", "asset", title="Assets")
    for name in ("wallet balance", "unrealized PnL", "margin balance", "maintenance margin"):
        table.add_column(name, justify="right")
    for snapshot in snapshots:
        for asset in snapshot.assets:
            amounts = (asset.wallet_balance, asset.unrealized_pnl, asset.margin_balance, asset.maintenance_margin)
            table.add_row(snapshot.poll.account, snapshot.poll.market.value, asset.asset, *map(_shown, amounts))
    return table


def positions_table(snapshots: Iterable[Snapshot]) -> Table:
    """Show the positions that are not zero."""
    table = Table("account", "market", "symbol", "side", title="Positions")
    for name in ("amount", "notional", "unrealized PnL", "initial margin"):
        table.add_column(name, justify="right")
    for snapshot in snapshots:
        for position in snapshot.positions:
            amounts = (position.position_amount, position.notional, position.unrealized_pnl, position.initial_margin)
            poll = snapshot.poll
            table.add_row(
                poll.account, poll.market.value, position.symbol, position.position_side, *map(_shown, amounts)
            )
    return table


def _shown(amount: object) -> str:
    return "" if amount is None else f"{amount:f}"
