"""`poller replay`: what the database lost, out of the spool."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from poller.cli.common import CONFIG_FILE, FAILED, ConfigOption, begin, exit_codes
from poller.cli.progress import progress
from poller.cli.spans import TIME_HELP, check_span, parse_time
from poller.daemon.replay import Replayed
from poller.daemon.replay import replay as replay_spool

SinceOption = Annotated[
    datetime, typer.Option(parser=parse_time, metavar="TIME", help=f"Stored since then. {TIME_HELP}")
]
UntilOption = Annotated[datetime | None, typer.Option(parser=parse_time, metavar="TIME", help="Default: now.")]
AccountOption = Annotated[str | None, typer.Option(metavar="NAME", help="Only this account; runs are stored anyway.")]


def replay(
    *, since: SinceOption, until: UntilOption = None, account: AccountOption = None, config: ConfigOption = CONFIG_FILE
) -> None:
    """Store again what the spool keeps of the polls stored since then; a daemon may record meanwhile.

    Use it when the database was restored or failed over. What the database has is not changed.
    """
    until = until or datetime.now(UTC)
    check_span(since, until, names=("--since", "--until"))
    with exit_codes():
        settings, redactor = begin(config, quiet=True)
        with progress("replayed") as advance:
            replayed = asyncio.run(
                replay_spool(
                    settings,
                    since=since,
                    until=until,
                    account=account,
                    hide=redactor.add_secret,
                    report=lambda now: advance(now.seen, now.total),
                )
            )
        typer.echo(summary(replayed))
        if replayed.refused:
            raise typer.Exit(FAILED)


def summary(replayed: Replayed) -> str:
    """Return what came of it, in words."""
    polls = f"{replayed.new} new, {replayed.existing} already there, {replayed.refused} refused"
    parts = [polls, f"{replayed.other} runs and modes"]
    if replayed.passed_over:
        parts.append(f"{replayed.passed_over} of other accounts passed over")
    if replayed.unreadable:
        parts.append(f"{replayed.unreadable} in the spool cannot be read")
    return "; ".join(parts)
