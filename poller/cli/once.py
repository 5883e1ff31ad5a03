"""`poller once`: every account, now."""

import asyncio
from collections.abc import Iterable
from typing import Final

import typer
from rich.console import Console
from rich.table import Table

from poller.cli.common import CONFIG_FILE, FAILED, ConfigOption, begin, exit_codes
from poller.daemon.once import once as poll_once
from poller.observation import Status
from poller.records import Snapshot

_FILE_WIDTH: Final = 160


def once(*, config: ConfigOption = CONFIG_FILE) -> None:
    """Poll every account once, store it and show it; exit code 1 if any poll failed, 3 beside a running daemon."""
    with exit_codes():
        settings, redactor = begin(config, quiet=True)
        outcome = asyncio.run(poll_once(settings, hide=redactor.add_secret))
        console = Console()
        if not console.is_terminal:
            console.width = _FILE_WIDTH
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
    table = _table("Polls", "account", "market", "time", "status", "latency", "assets", "positions", "error")
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
    table = _table("Assets", "account", "market", "asset")
    _add_amounts(table, "wallet balance", "unrealized PnL", "margin balance", "maintenance margin")
    for snapshot in snapshots:
        for asset in snapshot.assets:
            amounts = (asset.wallet_balance, asset.unrealized_pnl, asset.margin_balance, asset.maintenance_margin)
            table.add_row(snapshot.poll.account, snapshot.poll.market.value, asset.asset, *map(_shown, amounts))
    return table


def positions_table(snapshots: Iterable[Snapshot]) -> Table:
    """Show the positions that are not zero."""
    table = _table("Positions", "account", "market", "symbol", "side")
    _add_amounts(table, "amount", "notional", "unrealized PnL", "initial margin")
    for snapshot in snapshots:
        for position in snapshot.positions:
            amounts = (position.position_amount, position.notional, position.unrealized_pnl, position.initial_margin)
            poll = snapshot.poll
            table.add_row(
                poll.account, poll.market.value, position.symbol, position.position_side, *map(_shown, amounts)
            )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _add_amounts(table: Table, *columns: str) -> None:
    for name in columns:
        # Folded, never cut: a shortened amount is a wrong one.
        table.add_column(name, justify="right", overflow="fold")


def _shown(amount: object) -> str:
    return "" if amount is None else f"{amount:f}"
