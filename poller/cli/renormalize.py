"""`poller renormalize`: rows made anew from the kept replies."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

import typer

from poller.cli.common import CONFIG_FILE, FAILED, ConfigOption, begin, exit_codes
from poller.cli.progress import progress
from poller.cli.spans import TIME_HELP, check_span, parse_time
from poller.daemon.renormalize import Renormalized
from poller.daemon.renormalize import renormalize as renormalize_archive
from poller.observation import Market
from poller.storage.archive import Selection

_SHOWN: Final = 5

FromOption = Annotated[
    datetime, typer.Option("--from", parser=parse_time, metavar="TIME", help=f"Polls since then. {TIME_HELP}")
]
ToOption = Annotated[datetime, typer.Option("--to", parser=parse_time, metavar="TIME", help="Polls before then.")]
AccountOption = Annotated[str | None, typer.Option(metavar="NAME", help="Only this account.")]
MarketOption = Annotated[Market | None, typer.Option(help="Only this market.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and leave all as it is.")]


def renormalize(
    *,
    since: FromOption,
    until: ToOption,
    account: AccountOption = None,
    market: MarketOption = None,
    dry_run: DryOption = False,
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Make the rows of polls anew from their kept replies, as this release understands them.

    A daemon may record meanwhile. Polls whose rows are right already are not touched, malformed ones that can be
    understood become ok, and what cannot be understood stays as it is. Needs the rights of the schema's owner.
    Exit code 1 if the reply of an ok poll is understood no more.
    """
    check_span(since, until, names=("--from", "--to"))
    with exit_codes():
        settings, redactor = begin(config, quiet=True)
        with progress("renormalized") as advance:
            done = asyncio.run(
                renormalize_archive(
                    settings,
                    Selection(since=since, until=until, account=account, market=market),
                    dry=dry_run,
                    hide=redactor.add_secret,
                    report=lambda now: advance(now.seen, now.total),
                )
            )
        for line in summary(done, dry=dry_run):
            typer.echo(line)
        if done.kept:
            raise typer.Exit(FAILED)


def summary(done: Renormalized, *, dry: bool) -> Iterator[str]:
    """Yield what came of it, in words."""
    yield (
        f"{'nothing was written; it would be: ' if dry else ''}{done.unchanged} unchanged, {done.changed} changed, "
        f"{done.now_ok} now ok, {done.malformed.total()} still malformed"
    )
    yield from _reasons(done.malformed)
    if done.kept:
        yield f"{done.kept.total()} replies of ok polls are understood no more: their rows stay as they are"
        yield from _reasons(done.kept)


def _reasons(reasons: Counter[str]) -> Iterator[str]:
    for reason, count in reasons.most_common(_SHOWN):
        yield f"  {count} x {reason}"
    if len(reasons) > _SHOWN:
        yield f"  and {len(reasons) - _SHOWN} more reasons"
