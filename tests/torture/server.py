"""The PostgreSQL of a scenario by its processes: killed, frozen and started again."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier

from poller.storage.embedded import EmbeddedPostgres
from poller.storage.schema import upgrade
from tests.support.database import execute

_STEP_SECONDS: Final = 0.02
_CONNECT_SECONDS: Final = 2


class Server:
    """An embedded server that somebody else has started and will stop; it is started again where it was killed."""

    def __init__(self, url: str) -> None:
        [(data,)] = execute(url, "SHOW data_directory")
        self.url = url
        self._data = Path(str(data))
        self._embedded = EmbeddedPostgres(self._data.parent, warn=lambda _: None)
        self._frozen: list[int] = []

    @contextmanager
    def used(self) -> Iterator["Server"]:
        """Keep the server running, also at the end."""
        self._embedded.start()
        try:
            yield self
        finally:
            self.thaw()
            self._embedded.ensure_running()
            self._embedded.stop()

    def database(self, *, schema: bool = True) -> str:
        """Make a database, with our schema or empty, and return its address; it lasts as long as the server's files."""
        # Not that of the tests: it keeps a connection, which would not survive a kill.
        name = f"torture_{token_hex(4)}"
        execute(self.url, SQL("CREATE DATABASE {}").format(Identifier(name)))
        url = f"{self.url.rpartition('/')[0]}/{name}"
        if schema:
            upgrade(url, lambda _: None)
        return url

    def kill(self) -> None:
        """Kill the postmaster: its children end by themselves."""
        os.kill(self._postmaster(), signal.SIGKILL)

    def kill_backend(self) -> bool:
        """Kill a process that serves a daemon, so that the postmaster restarts them all; tell whether there was one."""
        ours = "SELECT pid FROM pg_stat_activity WHERE application_name = 'poller' ORDER BY backend_start LIMIT 1"
        with suppress(psycopg.OperationalError, ProcessLookupError):
            for (pid,) in execute(self.url, ours):
                os.kill(int(str(pid)), signal.SIGKILL)
                return True
        return False

    def freeze(self) -> None:
        """Stop the postmaster and all its children, so that connections are accepted and nothing is answered."""
        postmaster = self._postmaster()
        os.kill(postmaster, signal.SIGSTOP)
        self._frozen = [postmaster, *children(postmaster)]
        for pid in self._frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        frozen, self._frozen = self._frozen, []
        for pid in reversed(frozen):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def restart(self) -> None:
        """Start it again after a kill, on the same port."""
        await asyncio.to_thread(self._embedded.ensure_running)

    async def down(self, witness: psycopg.AsyncConnection) -> None:
        """Wait until a connection that was open before is lost."""
        with suppress(psycopg.Error):
            while True:
                await witness.execute("SELECT 1")
                await asyncio.sleep(_STEP_SECONDS)

    async def accepting(self, url: str) -> psycopg.AsyncConnection:
        """Return the first connection that is accepted."""
        while True:
            try:
                return await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=_CONNECT_SECONDS)
            except psycopg.OperationalError:
                await asyncio.sleep(_STEP_SECONDS)

    async def seconds_until_written(self, connection: psycopg.AsyncConnection) -> float:
        """Return how long after now, by the database's clock, a poll is stored."""
        [since] = await row(connection, "SELECT clock_timestamp()")
        while True:
            query = "SELECT extract(epoch FROM min(stored_at) - %s)::float8 FROM poller.polls WHERE stored_at >= %s"
            [seconds] = await row(connection, query, since, since)
            if isinstance(seconds, float):
                return seconds
            await asyncio.sleep(_STEP_SECONDS)

    def _postmaster(self) -> int:
        return int((self._data / "postmaster.pid").read_text().split()[0])


async def row(connection: psycopg.AsyncConnection, query: str, *parameters: object) -> tuple[object, ...]:
    """Return the first row of a query."""
    found = await (await connection.execute(query.encode(), parameters or None)).fetchone()
    assert found is not None
    return tuple(found)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _parent(path) == pid]


def _parent(path: Path) -> int | None:
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None
