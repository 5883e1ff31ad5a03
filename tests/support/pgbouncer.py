"""A real PgBouncer in front of a server, which hands each transaction to another of its sessions."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from poller.storage.embedded_port import choose_port

SESSIONS = 3
_CONFIG = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {directory}/users
pool_mode = transaction
default_pool_size = {sessions}
server_round_robin = 1
server_tls_sslmode = disable
"""


def find_pgbouncer() -> str:
    """Return the program; without one the test is skipped."""
    program = shutil.which("pgbouncer", path=f"{os.defpath}:/usr/sbin:/usr/local/sbin")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no PgBouncer: apt-get install pgbouncer")
    return program


@contextmanager
def pgbouncer(url: str) -> Iterator[str]:
    """Have one in front of the server of a database; the address of the database through it is given."""
    program = find_pgbouncer()
    known = conninfo_to_dict(url)
    with tempfile.TemporaryDirectory(prefix="poller-pgbouncer-") as name:
        directory, listen = Path(name), free_port()
        directory.chmod(0o755)  # root's PgBouncer runs as nobody
        config = _CONFIG.format(
            host=known["host"], port=known["port"], listen=listen, directory=directory, sessions=SESSIONS
        )
        (directory / "config.ini").write_text(config, encoding="utf-8")
        (directory / "users").write_text(f'"{known["user"]}" "{known["password"]}"\n', encoding="utf-8")
        with subprocess.Popen(
            [program, "--quiet", str(directory / "config.ini")],
            user="nobody" if os.geteuid() == 0 else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            through = f"postgresql://{known['user']}:{known['password']}@127.0.0.1:{listen}/{known['dbname']}"
            try:
                _wait(through, process)
                _use_all_sessions(through)
                yield through
            finally:
                process.terminate()


def _use_all_sessions(url: str) -> None:
    """Have as many transactions at once as there may be sessions: it opens one more only when all are in use."""
    with contextlib.ExitStack() as stack:
        for _ in range(SESSIONS):
            stack.enter_context(psycopg.connect(url)).execute("SELECT 1")


def free_port() -> int:
    """Return a port that nobody uses just now, and that no connection is given before somebody listens there."""
    with tempfile.TemporaryDirectory() as directory:
        return choose_port(Path(directory), lambda _: None)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url):
            return
        time.sleep(0.02)
    pytest.fail(f"PgBouncer ended with {process.returncode}")
