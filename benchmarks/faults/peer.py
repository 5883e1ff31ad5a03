"""One library in a process of its own: asks once a second, again a second after an error, for ever.

Where the exchange is comes as JSON on standard input. What came of each call goes to standard output, a JSON line each:
the host's time in seconds since the epoch, the wallet balance or the error.
"""

import asyncio
import ipaddress
import json
import os
import sys
import time
from collections.abc import Sequence

from benchmarks.faults.peers import Ask, Place, find

_SECONDS = 1.0
_TEXT = 500


def refuse_other_machines(event: str, arguments: Sequence[object]) -> None:
    """End any attempt to reach another machine: an audit hook cannot be taken out again.

    Raises:
        PermissionError: The address is not a loopback one.
    """
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = arguments[0]
    else:
        return
    if host is not None and not _is_loopback(host):
        raise PermissionError(f"only this machine may be reached, not {host!r}")


def _is_loopback(host: object) -> bool:
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return text == "localhost" or ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


async def ask_for_ever(ask: Ask) -> None:
    """Tell what came of each call; no call is given up that the library itself does not give up."""
    while True:
        begun = time.monotonic()
        try:
            balance, error = await ask()
        except Exception as exc:  # noqa: BLE001 - what the library raises is what is looked for
            _tell(error=f"{type(exc).__name__}: {exc}")
            await asyncio.sleep(_SECONDS)
        else:
            _tell(error=error) if error is not None else _tell(balance=str(balance))
            await asyncio.sleep(_SECONDS if error else max(0.0, begun + _SECONDS - time.monotonic()))


def _tell(*, balance: str | None = None, error: str | None = None) -> None:
    line = {"at": time.time(), "balance": balance, "error": error[:_TEXT] if error is not None else None}
    os.write(sys.__stdout__.fileno(), f"{json.dumps(line)}\n".encode())  # type: ignore[union-attr]  # it has one


async def main(name: str) -> None:
    """Open the library's client and ask."""
    async with find(name)(Place(**json.loads(sys.stdin.readline()))) as ask:
        await ask_for_ever(ask)


if __name__ == "__main__":
    # aiodns would resolve names beyond the reach of the audit hook; without it aiohttp asks the system.
    sys.modules["aiodns"] = None  # type: ignore[assignment]  # how an import is made to fail
    sys.addaudithook(refuse_other_machines)
    asyncio.run(main(sys.argv[1]))
