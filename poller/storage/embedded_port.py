"""The port of the embedded PostgreSQL: any free one at first, then always the same while that is possible."""

import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from poller.errors import EmbeddedDatabaseError
from poller.storage.embedded_files import write_private

HOST = "127.0.0.1"
# Below the ports that Linux gives to outgoing connections, so that none of them takes it while the server is down.
_PORTS = range(20_000, 32_768)
_TRIES = 100


def choose_port(directory: Path, warn: Callable[[str], None]) -> int:
    """Return the port kept in `directory`, or when that is taken another one, which is told and kept."""
    file = directory / "port"
    kept = file.read_text().strip() if file.exists() else ""
    if kept.isdecimal() and _is_free(int(kept)):
        return int(kept)
    port = next(filter(_is_free, secrets.SystemRandom().sample(_PORTS, k=_TRIES)), None)
    if port is None:
        raise EmbeddedDatabaseError(f"no free port on {HOST} for the embedded PostgreSQL")
    if kept:
        warn(f"port {kept} is taken: the embedded PostgreSQL moves to port {port}")
    write_private(file, f"{port}\n")
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
