"""A PostgreSQL that offers TLS, and the certificates around it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.pgbouncer import free_port

_BIN: Final = "/usr/lib/postgresql/17/bin"
_ENVIRON: Final = {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C.UTF-8"}
HOST: Final = "db.example"
"""What the server is called; `hostaddr` leads there, so that nobody has to know the name."""


def certificate(host: str) -> tuple[bytes, bytes]:
    """Return a key and a certificate for a host, signed by itself, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, signed.public_bytes(serialization.Encoding.PEM)


@contextmanager
def tls_server() -> Iterator[tuple[str, Path]]:
    """Have one, which is called `HOST`; its address by that name and the file that makes it trusted are given.

    The embedded PostgreSQL is built without TLS: the programs are those that tests/timescale/prepare has installed.
    """
    root = Path(os.environ.get("TIMESCALE_DIR", "/var/cache/poller-timescale")) / "root"
    if os.geteuid() != 0 or not (root / _BIN.lstrip("/")).is_dir():
        reason = "no PostgreSQL with TLS: sudo tests/timescale/prepare installs one, which root may start"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    name = f"/srv/tls-{token_hex(8)}"
    inside, port, password = root / name.lstrip("/"), free_port(), token_hex(8)

    def run(*command: str) -> None:
        program = ("chroot", str(root), "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command)
        subprocess.run(program, env=_ENVIRON, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)

    subprocess.run(
        ["chroot", str(root), "install", "-d", "-o", "postgres", "-m", "0700", name], env=_ENVIRON, check=True
    )
    try:
        private(inside / "password", password.encode())
        key, signed = certificate(HOST)
        initdb = (f"{_BIN}/initdb", f"--pgdata={name}/data", f"--pwfile={name}/password", "--username=postgres")
        run(*initdb, "--auth=scram-sha-256", "--no-sync", "--locale=C.UTF-8")
        private(inside / "data" / "server.key", key)
        private(inside / "data" / "server.crt", signed)
        private(inside / "trusted.pem", signed)
        options = f"-p {port} -c ssl=on -c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        run(
            f"{_BIN}/pg_ctl",
            "start",
            "--silent",
            "--wait",
            f"--pgdata={name}/data",
            f"--options={options}",
            f"--log={name}/log",
        )
        yield f"postgresql://postgres:{password}@{HOST}:{port}/postgres?hostaddr=127.0.0.1", inside / "trusted.pem"
        run(f"{_BIN}/pg_ctl", "stop", "--silent", "--wait", f"--pgdata={name}/data", "--mode=immediate")
    finally:
        shutil.rmtree(inside)


def private(path: Path, content: bytes) -> None:
    """Write a file that belongs to the owner of its folder alone."""
    path.touch(mode=0o600)
    path.write_bytes(content)
    os.chown(path, path.parent.stat().st_uid, path.parent.stat().st_gid)
