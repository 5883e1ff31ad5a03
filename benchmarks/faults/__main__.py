"""`python -m benchmarks.faults`: runs every client under every fault, and writes docs/faults.md."""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.faults.catalogue import FAULTS
from benchmarks.faults.cell import Cell, run_cells
from benchmarks.faults.clients import CHECKOUT
from benchmarks.faults.columns import COLUMNS, OURS, start_ours, versions
from benchmarks.faults.report import document, summary
from benchmarks.faults.scripts import Terms
from poller.storage.embedded import EmbeddedPostgres

_AT_ONCE = 10
_CLIENTS = (OURS, *COLUMNS)


def tell(cell: Cell) -> None:
    """Show that the run goes on."""
    blind = "never" if cell.blind is None else f"{cell.blind:.1f} s"
    print(f"{cell.fault:14} {cell.client:14} {blind:7} {cell.right}", file=sys.stderr)  # noqa: T201 - a command


def main() -> None:
    """Measure what is asked for; only a complete run becomes the document."""
    arguments = _arguments()
    terms = Terms()
    with tempfile.TemporaryDirectory(prefix="poller-faults-") as name:
        directory = Path(name)
        with EmbeddedPostgres(directory / "postgres", warn=lambda _: None) as database:
            migrate(database.url)
            starts = {client: COLUMNS[client].start for client in arguments.peers if client != OURS}
            work = {
                (fault, client): start_ours(directory / fault, database.url, fault)
                if client == OURS
                else starts[client]
                for fault in arguments.faults
                for client in arguments.peers
            }
            cells = asyncio.run(run_cells(work, terms, at_once=_AT_ONCE, tell=tell))
    if len(cells) == len(FAULTS) * len(_CLIENTS):
        (CHECKOUT / "docs" / "faults.md").write_text(document(cells, terms, versions()), encoding="utf-8")
    print(summary(cells))  # noqa: T201 - a command


def migrate(database_url: str) -> None:
    """Bring a database to the schema of this checkout."""
    command = [sys.executable, "-m", "poller", "migrate", "--config", str(CHECKOUT / "config.yaml")]
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url}
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=_CLIENTS, default=_CLIENTS, help="only these clients")
    parser.add_argument("--faults", nargs="+", choices=tuple(FAULTS), default=tuple(FAULTS), help="only these faults")
    return parser.parse_args()


if __name__ == "__main__":
    main()
