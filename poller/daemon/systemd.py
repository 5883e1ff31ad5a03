"""The service manager that started this process, told in its own protocol (sd_notify): one datagram for each news."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Systemd:
    """Whom to tell.

    Attributes:
        address: Of the manager's socket; None when nobody wants to be told.
        watchdog_seconds: After how long a silence the process is killed; None when it is not.
    """

    address: str | None = None
    watchdog_seconds: float | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Read what the manager has put into the environment of this process."""
        socket_name = environ.get("NOTIFY_SOCKET", "")
        if not socket_name.startswith(("/", "@")):
            return cls()
        microseconds = environ.get("WATCHDOG_USEC", "")
        meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return cls(
            address=socket_name.replace("@", "\0", 1) if socket_name.startswith("@") else socket_name,
            watchdog_seconds=int(microseconds) / _MICROSECONDS if meant and microseconds.isdecimal() else None,
        )

    def tell(self, *news: str) -> None:
        """Send assignments such as `READY=1` together; one that cannot be sent is forgotten."""
        if self.address is None:
            return
        # A manager that is busy or gone must neither stop nor end the recording; what is missed, it misses.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)
            sender.sendto("\n".join(news).encode(), self.address)
