"""The README is true: its commands are run in a copy of the checkout, and print what it shows."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from poller.cli.app import app
from poller.config import load
from poller.observation import Environment
from poller.storage.embedded import EmbeddedPostgres
from tests.acceptance.conftest import Program
from tests.support.secrecy import confide

CHECKOUT = Path(__file__).parents[2]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
NOT_IN_A_COPY = {".git", ".venv", "var", "__pycache__"}

RUN = "make run"
TEST = "make test"
PSQL = "make psql"
COUNT = 'echo "SELECT count(*) FROM poller.polls" | make -s psql'
GO_LIVE = "export POLLER_CONFIG=live.yaml BINANCE_API_KEY=… BINANCE_API_SECRET=…"
CHECK = ".venv/bin/poller check"
ONCE = ".venv/bin/poller once"
COMMANDS = {RUN, TEST, PSQL, COUNT, GO_LIVE, CHECK, ONCE}
"""Every command of the README that a test here runs, or checks in another way."""


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def shown() -> tuple[str, str, str, str]:
    """Return what the README shows of a start, of its two queries, and of two commands beside a running daemon."""
    run, assets, gaps, beside = blocks("text")
    return run, assets, gaps, beside


def table(printed: str) -> tuple[list[str], int]:
    """Return the columns that psql printed, and how many rows."""
    header = re.search(r"^(.*)\n-[-+]*$", printed, flags=re.MULTILINE)
    rows = re.search(r"^\((\d+) rows?\)$", printed, flags=re.MULTILINE)
    assert header, printed
    assert rows, printed
    return [column.strip() for column in header[1].split("|")], int(rows[1])


def without_figures(line: str) -> str:
    """Return a line of output with what differs from day to day and from machine to machine as one sign."""
    return re.sub(r"(?<= on )\S+(?= since )|(?<=revision )\w+|[/…]\S*/(?=var/)|-?\d+([-:. ]\d+)*", "#", line)


def logged(text: str) -> set[tuple[str, frozenset[str]]]:
    """Return the events of a log for people, each with the names of its facts."""
    lines = re.findall(r"^\S+Z \[\w+ *\] (.+?)  +(.*)$", text, flags=re.MULTILINE)
    return {(event, frozenset(re.findall(r"(\w+)=", facts))) for event, facts in lines}


class Copy:
    """A copy of the checkout as a newcomer has it, with the checkout's installed dependencies."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # The code of the copy, not that of the checkout, and nothing of a `make` around this test.
        self.environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "LC_ALL": "C.UTF-8"}
        for name in tracked_files():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, root / name)
        # A folder of links instead of one link: make would else install the copy into the checkout's environment
        # whenever it finds that out of date.
        (root / ".venv").mkdir()
        for path in (CHECKOUT / ".venv").iterdir():
            if path.name not in {".run", ".dev"}:
                (root / ".venv" / path.name).symlink_to(path)
        (root / ".venv" / ".run").touch()

    def set_interval(self, interval: str) -> None:
        """Poll that often from the next start on."""
        config = self.root / "config.yaml"
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace("interval: 10s", f"interval: {interval}"), encoding="utf-8")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Program]:
        """Have `make run` run as in a terminal, in a process group of its own."""
        process = await asyncio.create_subprocess_exec(
            "make", "run",
            cwd=self.root, env=self.environ, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE,
            limit=2**20, start_new_session=True,
        )  # fmt: skip
        program = Program(process)
        try:
            yield program
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await program.ended()

    async def run(self, command: str, text: str = "") -> tuple[int, str]:
        """Run a command of the README in a shell, and return its exit code and all that it printed."""
        process = await asyncio.create_subprocess_shell(
            command, cwd=self.root, env=self.environ, stdin=PIPE, stdout=PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate(text.encode())
        print(f"$ {command}\n{out.decode()}")  # noqa: T201 - captured, and searched for secrets when all tests have run
        assert process.returncode is not None
        return process.returncode, out.decode()

    def daemon(self) -> int:
        """Return the process id of the daemon, as its lock names it."""
        owner = (self.root / "var" / "spool.sqlite.lock").read_text(encoding="utf-8")
        return int(owner.removeprefix("pid ").partition(" ")[0])


async def until_both_markets_are_stored(program: Program) -> None:
    await program.until("poll stored", count=2, status="ok")


def tracked_files() -> Sequence[str]:
    """Return the files of the repository; where git cannot tell, all that look like its."""
    # Git would else refuse a checkout of another user.
    command = ["git", "-c", f"safe.directory={CHECKOUT}", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return [name for name in listed.stdout.split("\0") if name and (CHECKOUT / name).is_file()]
    found: list[str] = []
    for directory, folders, names in os.walk(CHECKOUT):
        folders[:] = [folder for folder in folders if folder not in NOT_IN_A_COPY]
        found += (os.path.relpath(Path(directory) / name, CHECKOUT) for name in names)
    return found


@pytest.fixture(name="copy")
def _copy() -> Iterator[Copy]:
    # pytest's own temporary directories would not do: each new run closes them again for the account that root runs the
    # server as.
    with tempfile.TemporaryDirectory(prefix="poller-readme-") as directory:
        copy = Copy(Path(directory))
        yield copy
        server = copy.root / "var" / "postgres"
        if (server / "data" / "postmaster.pid").exists():  # a killed daemon left it running
            with EmbeddedPostgres(server, warn=lambda _: None):
                pass


def test_every_command_of_the_readme_is_known_here() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]

    assert set(lines) == COMMANDS


def test_every_make_target_of_the_readme_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert set(re.findall(r"make (?:-s )?([a-z-]+)", " ".join(COMMANDS))) <= set(targets)


def test_the_readme_lists_the_commands_that_there_are() -> None:
    listed = re.findall(r"^\| `poller ([a-z]+)` \|", README, flags=re.MULTILINE)

    assert listed == [command.callback.__name__ for command in app.registered_commands if command.callback]


def test_the_lines_for_going_live_are_a_configuration(tmp_path: Path) -> None:
    (lines,) = blocks("yaml")
    whole = tmp_path / "whole.yaml"
    whole.write_text(lines, encoding="utf-8")
    changed = tmp_path / "changed.yaml"
    changed.write_text(with_lines((CHECKOUT / "config.yaml").read_text(encoding="utf-8"), lines), encoding="utf-8")
    names = re.findall(r"(\w+)=…", GO_LIVE)
    environ = {name: f"{name}-of-a-test" for name in names}

    assert names == re.findall(r"\$\{(\w+)\}", lines)
    for path in (whole, changed):
        settings = load(path, environ)
        assert (settings.environment, settings.simulates) == (Environment.LIVE, False)
        assert [(account.name, account.interval_seconds) for account in settings.accounts] == [("main", 10)]
        assert all(account.credentials() for account in settings.accounts)
        assert [warning for warning in settings.warnings() if "embedded" in warning] == list(settings.warnings())
        assert settings.warnings()
        assert load(path, {**environ, "DATABASE_URL": "postgresql://ann@db.example/history"}).warnings() == ()


def test_a_private_key_file_takes_the_place_of_the_secret(tmp_path: Path) -> None:
    (lines,) = blocks("yaml")
    with_key = re.sub(r"api_secret: .*", "private_key_file: binance.pem", lines)
    (tmp_path / "live.yaml").write_text(with_key, encoding="utf-8")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    confide(*pem.decode().splitlines()[1:-1])
    key = tmp_path / "binance.pem"
    key.touch(mode=0o600)
    key.write_bytes(pem)

    settings = load(tmp_path / "live.yaml", {"BINANCE_API_KEY": "a-key-of-a-test"})

    assert "private_key_file: binance.pem" in README
    assert settings.accounts[0].credentials()


def with_lines(config: str, lines: str) -> str:
    """Put the lines in the places of those that have their keys, also of those that are commented out."""
    for line in lines.splitlines():
        key = re.match(r"[ -]*(\w+):", line)
        assert key, line
        places = re.findall(rf"^[ -]*(?:# )?{key[1]}:.*$", config, flags=re.MULTILINE)
        assert len(places) == 1, places
        config = config.replace(places[0], line)
    return config


async def test_the_program_does_what_the_readme_shows(copy: Copy) -> None:
    run, assets, gaps, beside = shown()
    assets_query, gaps_query = blocks("sql")

    async with copy.running() as program:
        await until_both_markets_are_stored(program)
        confide((copy.root / "var" / "postgres" / "pgpass").read_text(encoding="utf-8").strip().rpartition(":")[2])
        await refuses_once_beside_the_daemon(copy, beside)
        await until_both_markets_are_stored(program)
        await stores_consecutive_ticks(copy)
        await shows_the_table(copy, assets_query, assets)
        code, printed = await copy.run(COUNT)
        assert (code, table(printed)) == (0, (["count"], 1))
        os.killpg(program.process.pid, signal.SIGINT)
        # Having waited for its child, make dies of Ctrl-C itself.
        assert await program.ended() in {0, -signal.SIGINT}
    printed_as_shown(program, run)
    ended_well(program)

    copy.set_interval("1s")
    for _ in range(2):
        async with copy.running() as program:
            await until_both_markets_are_stored(program)
            os.kill(copy.daemon(), signal.SIGINT)
            assert await program.ended() == 0
        ended_well(program)
        await a_tick_passes()
    await shows_the_table(copy, gaps_query, gaps)

    code, printed = await copy.run(ONCE)
    assert code == 0
    assert printed.count("│ ok ") == 2


async def a_tick_passes() -> None:
    await asyncio.sleep(1.01 - time.time() % 1)  # of those that come every second, while nobody polls


async def refuses_once_beside_the_daemon(copy: Copy, shown: str) -> None:
    (good, found), (code, refusal) = await asyncio.gather(copy.run(CHECK), copy.run(ONCE))

    assert (good, code) == (0, 3)
    assert str(copy.daemon()) in refusal
    assert list(map(without_figures, (found + refusal).splitlines())) == list(map(without_figures, shown.splitlines()))


async def stores_consecutive_ticks(copy: Copy) -> None:
    _, printed = await copy.run(
        "make -s psql",
        r"""
        \pset tuples_only
        \pset format unaligned
        SELECT extract(epoch FROM time)::bigint, market, status FROM poller.polls ORDER BY time, market LIMIT 4;
        """,
    )
    polls = [line.split("|") for line in printed.splitlines() if "|" in line]
    first = int(polls[0][0])

    assert first % 10 == 0
    assert polls == [[str(first + late), market, "ok"] for late in (0, 10) for market in ("coinm", "usdm")]


async def shows_the_table(copy: Copy, query: str, shown: str) -> None:
    code, printed = await copy.run("make -s psql", query)
    columns, rows = table(printed)

    assert code == 0
    assert columns == table(shown)[0]
    assert rows > 0


def printed_as_shown(program: Program, shown: str) -> None:
    printed = {(event["event"], frozenset(event) - {"event", "timestamp", "level"}) for event in program.events}
    announced = re.findall(r"^(?:database|look at it|first query) .*$", shown, flags=re.MULTILINE)

    assert logged(shown) <= printed
    assert len(announced) == 3
    assert set(map(without_figures, announced)) <= set(map(without_figures, program.output.splitlines()))


def ended_well(program: Program) -> None:
    assert program.events[-1]["event"] == "stopped"
    assert "Traceback" not in program.output
    assert "***" not in program.output  # how make reports a recipe that failed
