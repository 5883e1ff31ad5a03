"""`python -m benchmarks.history`: loads a made-up history, and measures what analysts ask of it."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults.clients import CHECKOUT
from benchmarks.history.load import LOADING, Size, load, roll_up
from benchmarks.history.report import comparison, document
from benchmarks.history.speed import ask, compare
from poller.cli.progress import progress
from poller.storage.embedded import EmbeddedPostgres


def main() -> None:
    """Do what the command line asks for."""
    arguments = _arguments()
    if arguments.command == "load":
        size = Size.until_today(
            months=arguments.months,
            interval_seconds=arguments.interval,
            positions=arguments.positions,
            accounts=arguments.accounts,
            seed=arguments.seed,
        )
        with _database(arguments, loading=True) as url:
            with progress("rows") as advance:
                load(url, size, advance)
            with progress("hours") as advance:
                roll_up(url, advance)
        return
    with _database(arguments) as url:
        if arguments.beside:
            print(comparison(compare([url, arguments.beside])))  # noqa: T201 - a command
            return
        others = [ask(other) for other in _others(arguments.among)]
        text = document(*ask(url), others)
    if arguments.write:
        (CHECKOUT / "docs" / "speed.md").write_text(text, encoding="utf-8")
    print(text)  # noqa: T201 - a command


@contextmanager
def _database(arguments: argparse.Namespace, *, loading: bool = False) -> Iterator[str]:
    """Have the named database, or one on a server in the named directory."""
    if arguments.url:
        yield arguments.url
        return
    settings = LOADING if loading else {}
    with EmbeddedPostgres(arguments.directory, warn=lambda _: None, settings=settings) as server:
        yield server.url


def _others(directory: Path | None) -> Iterator[str]:
    if directory:
        with EmbeddedPostgres(directory, warn=lambda _: None) as server:
            yield server.url


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument(
        "--directory", type=Path, default=CHECKOUT / "var" / "history", help="of the server: a year takes 15 GB"
    )
    parser.add_argument("--url", help="of an empty database on another server, in place of --directory")
    commands = parser.add_subparsers(dest="command", required=True)
    loading = commands.add_parser("load", help="fill an empty database")
    loading.add_argument("--months", type=float, default=12, help="how long the busy account has been recorded")
    loading.add_argument("--interval", type=int, default=10, help="seconds between two polls")
    loading.add_argument("--positions", type=int, default=20, help="of the busy account")
    loading.add_argument("--accounts", type=int, default=1, help="the busy one and others that are loaded for 35 days")
    loading.add_argument("--seed", type=int, default=1)
    asking = commands.add_parser("speed", help="ask a loaded database, and print times and plans")
    asking.add_argument("--write", action="store_true", help="into docs/speed.md, too")
    asking.add_argument(
        "--among", type=Path, metavar="DIRECTORY", help="of a server with many accounts: its times, too"
    )
    asking.add_argument("--beside", metavar="URL", help="of a database with the same history: compare the times")
    return parser.parse_args()


if __name__ == "__main__":
    main()
