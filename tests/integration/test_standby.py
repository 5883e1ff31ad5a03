"""A replica, made as the page about moving says, for those who read."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from poller.daemon.check import _schema
from poller.daemon.database import Database
from poller.errors import StoreUnavailableError
from poller.storage.embedded import EmbeddedPostgres
from poller.storage.embedded_account import account_for
from poller.storage.embedded_programs import Programs, find_wheel
from poller.storage.schema import upgrade
from poller.storage.store import Store
from tests.support.database import execute
from tests.support.pgbouncer import free_port
from tests.support.servers import throw_away_server
from tests.support.snapshots import ok, tick

PAGE = (Path(__file__).parents[2] / "docs" / "moving.md").read_text(encoding="utf-8")
REPLICATED: Final = {"fsync": "off", "autovacuum": "off"}


@pytest.fixture(name="primary")
def _primary() -> Iterator[EmbeddedPostgres]:
    with throw_away_server(REPLICATED) as server:
        upgrade(server.url, lambda _: None)
        yield server


@pytest.fixture(name="standby_url")
def _standby_url(primary: EmbeddedPostgres) -> Iterator[str]:
    """The address of a replica of `primary`."""
    role, slot = re.findall(r"^(CREATE ROLE replicator .*|SELECT pg_create_physical.*);$", PAGE, flags=re.MULTILINE)
    (command,) = re.findall(r"^pg_basebackup .*$", PAGE, flags=re.MULTILINE)
    execute(primary.url, role + " PASSWORD 'made up'")
    execute(primary.url, slot)
    host = primary.url.rpartition("@")[2].partition("/")[0]
    with tempfile.TemporaryDirectory(prefix="poller-standby-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        environ = {
            "PATH": f"{find_wheel() / 'pginstall' / 'bin'}:{os.defpath}",
            "REPLICATION_URL": f"postgresql://replicator:made%20up@{host}",
            "REPLICA_DATA": str(directory / "data"),
        }
        subprocess.run(command, shell=True, env=environ, check=True)  # noqa: S602 - as the page says
        account = account_for(directory / "data")
        programs = Programs(wheel=find_wheel(), directory=directory, account=account)
        if account:
            for path in (directory, *directory.rglob("*")):
                shutil.chown(path, account.uid, account.gid)
        port = free_port()
        options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        programs.run("pg_ctl", "start", "-D", "data", "-s", "-w", "-o", options)
        try:
            yield re.sub(r":\d+/", f":{port}/", primary.url)
        finally:
            programs.run("pg_ctl", "stop", "-D", "data", "-s", "-w", "-m", "immediate")


async def test_a_replica_has_what_is_recorded_and_is_not_recorded_in(
    primary: EmbeddedPostgres, standby_url: str
) -> None:
    store = Store(primary.url)
    await store.open()
    await store.save(ok(tick(0)))
    await store.close()

    execute(primary.url, "SELECT pg_switch_wal()")
    [[written]] = execute(primary.url, "SELECT pg_current_wal_lsn()::text")
    while execute(standby_url, "SELECT pg_last_wal_replay_lsn() < %s::pg_lsn", written) == [(True,)]:
        pass

    assert execute(standby_url, "SELECT time FROM poller.polls") == [(tick(0),)]
    for url, good in ((primary.url, True), (standby_url, False)):
        found = (await _schema(Database(url=url, migration_url=url, shown="it"), retains=True))[0]
        assert found.good is good
        assert ("a standby takes no writes, record on its primary" in found.text) is not good
    follower = Store(standby_url)
    await follower.open()
    with pytest.raises(StoreUnavailableError, match="read-only transaction"):
        await follower.save(ok(tick(1)))
    await follower.close()
