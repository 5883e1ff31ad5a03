"""One daemon, one spool: the lock beside the file."""

import fcntl
import os
import socket
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from poller.errors import SpoolLockedError

_MOST_BYTES: Final = 1000


@dataclass(frozen=True, slots=True)
class Lock:
    """The ownership of a spool, which ends with `release` or with the process, however it ends."""

    descriptor: int

    @classmethod
    def take(cls, path: Path, *, now: datetime) -> Self:
        """Own the spool at `path`, and write who does into the file `<path>.lock`.

        The lock file is never removed: a process that waits with the removed one open would own nothing.

        Raises:
            SpoolLockedError: Another process owns it, or this one already.
            OSError: The lock file cannot be written.
        """
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _owner(now).encode(), 0)
        except BlockingIOError as error:
            owner = os.pread(descriptor, _MOST_BYTES, 0).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise SpoolLockedError(f"the spool {path} is in use by {owner}") from error
        except OSError:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Let another process own the spool."""
        os.close(self.descriptor)


def _owner(now: datetime) -> str:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[: _MOST_BYTES // 4]
    return f"pid {os.getpid()} ({command}) on {socket.gethostname()} since {now:%Y-%m-%d %H:%M:%S} UTC\n"
