"""`python -m benchmarks.outage`: lets every writer meet the same outage twice, and writes docs/outage.md."""

import asyncio
import subprocess
import tempfile
from pathlib import Path

from benchmarks.faults.__main__ import migrate
from benchmarks.faults.clients import CHECKOUT, PEERS_PYTHON
from benchmarks.outage.report import document
from benchmarks.outage.run import PEERS, Result, outage
from poller.storage.embedded import EmbeddedPostgres


def main() -> None:
    """Run both outages, each with a server and folders of its own."""
    found = {kill: _run(kill=kill) for kill in (False, True)}
    text = document(found, _versions())
    (CHECKOUT / "docs" / "outage.md").write_text(text, encoding="utf-8")
    print(text)  # noqa: T201 - a command


def _run(*, kill: bool) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="poller-outage-") as name:
        folder = Path(name)
        with EmbeddedPostgres(folder / "postgres", warn=lambda _: None) as server:
            migrate(server.url)
            return list(asyncio.run(outage(server, folder, kill=kill)))


def _versions() -> dict[str, str]:
    script = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    command = [str(PEERS_PYTHON), "-c", script, *PEERS]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own program
    return dict(zip(PEERS, told.split(), strict=True))


if __name__ == "__main__":
    main()
