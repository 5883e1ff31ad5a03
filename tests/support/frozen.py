"""A PostgreSQL all of whose processes are stopped: its machine accepts connections, and nothing ever answers."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.database import execute


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """Stop the server inside the block."""
    [(data,)] = execute(url, "SHOW data_directory")
    postmaster = int((Path(str(data)) / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGSTOP)  # first, so that it starts no more of them
    stopped = [postmaster, *_children(postmaster)]
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in reversed(stopped):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _parent(path) == pid]


def _parent(path: Path) -> int | None:
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None
