"""The rendered log, in this process for its look, and of whole processes for what happens at their end."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TextIO

import pytest
import structlog

from poller.observation import Status
from poller.observe.logging import Format, Level, configure

SECRET = "Zq8wRx3tT-the-api-secret"
PRELUDE = """
import asyncio, logging, os, sys, threading, warnings
import structlog
from poller.observe.logging import configure
redactor = configure(log_format="json", level="info", secrets=["Zq8wRx3tT-the-api-secret"])
log = structlog.stdlib.get_logger("poller.test")
"""


class Log:
    """A log that goes to a file."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path = path
        self._stream = stream
        self.logger = structlog.stdlib.get_logger("poller.test")

    def configure(self, log_format: Format = "json", level: Level = "info", secrets: tuple[str, ...] = ()) -> None:
        configure(log_format=log_format, level=level, secrets=secrets, stream=self._stream)

    @property
    def text(self) -> str:
        return self._path.read_text()

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    root, ours = logging.getLogger(), logging.getLogger("poller")
    before = (root.level, ours.level, root.handlers[:], sys.excepthook)
    with (tmp_path / "log").open("w") as stream:
        yield Log(tmp_path / "log", stream)
    root.level, ours.level, root.handlers[:], sys.excepthook = before
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """Give an exception its traceback."""
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def run(script: str, *, stderr: int = subprocess.PIPE) -> tuple[int, str]:
    """Run a script that has configured the log, and return its exit code and what it logged."""
    done = subprocess.run([sys.executable, "-c", PRELUDE + script], stderr=stderr, text=True, check=False)
    return done.returncode, done.stderr or ""


def test_an_event_is_one_line_of_json(log: Log) -> None:
    log.configure()

    log.logger.bind(account="main", market="usdm").info("poll stored", rows=3, latency_ms=None, ratio=0.5)

    (line,) = log.lines
    assert list(line) == ["timestamp", "level", "event", "account", "market", "rows", "latency_ms", "ratio"]
    assert line | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "poll stored",
        "account": "main",
        "market": "usdm",
        "rows": 3,
        "latency_ms": None,
        "ratio": 0.5,
    }
    assert datetime.fromisoformat(str(line["timestamp"])).tzinfo == UTC


def test_values_look_as_a_reader_expects(log: Log) -> None:
    log.configure()

    log.logger.info(
        "poll",
        status=Status.OK,
        time=datetime(2026, 11, 21, tzinfo=UTC),
        amount=Decimal("1.50"),
        path=Path("var/x"),
        share=float("nan"),
        nested={"a": (1, Decimal(2))},
        other=object,
    )

    assert log.lines[0] | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "poll",
        "status": "ok",
        "time": "2026-11-21T00:00:00+00:00",
        "amount": "1.50",
        "path": "var/x",
        "share": "nan",
        "nested": {"a": [1, "2"]},
        "other": "<class 'object'>",
    }


def test_the_console_shows_event_first_and_values_in_their_order(log: Log) -> None:
    log.configure("console")

    log.logger.info("poll stored", market="usdm", account="main", rows=3)

    assert re.fullmatch(
        r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \[info     \] poll stored +market=usdm account=main rows=3\n",
        log.text,
    )


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["ours debug", "ours info", "ours warning", "ours error", "theirs warning", "theirs error"]),
        ("info", ["ours info", "ours warning", "ours error", "theirs warning", "theirs error"]),
        ("warning", ["ours warning", "ours error", "theirs warning", "theirs error"]),
        ("error", ["ours error", "theirs error"]),
    ],
)
def test_libraries_are_heard_from_warning_on(log: Log, level: Level, shown: list[str]) -> None:
    log.configure(level=level)

    for name in ("debug", "info", "warning", "error"):
        getattr(log.logger, name)(f"ours {name}")
    for name in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger("aiohttp.client"), name)("theirs %s", name)

    assert [line["event"] for line in log.lines] == shown
    assert [line["logger"] for line in log.lines if "logger" in line] == ["aiohttp.client"] * shown[-2:].count(
        "theirs warning"
    ) + ["aiohttp.client"]


def test_a_warning_of_python_is_a_line(log: Log) -> None:
    log.configure()

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("this will go away", FutureWarning, stacklevel=1)

    (line,) = log.lines
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "FutureWarning: this will go away" in str(line["event"])


FORGERY = 'x\n2026-11-21T00:00:00Z [info     ] poll stored\r\x1b[2J\x85\u2028\u202e\udc80\x00"'


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_value_can_forge_a_line(log: Log, log_format: Format) -> None:
    log.configure(log_format)

    class Forger:
        def __repr__(self) -> str:
            return FORGERY

    log.logger.info(FORGERY, value=FORGERY, nested=[{FORGERY: FORGERY}], forger=Forger(), **{"key\n": 1})
    logging.getLogger("library").warning("said %s", FORGERY)

    lines = log.text.splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_an_exception_cannot_forge_a_line_of_the_console(log: Log) -> None:
    log.configure("console")

    log.logger.error("poll failed", exc_info=raised(ValueError(FORGERY)))

    first, *others = log.text.split("\n")[:-1]
    assert "poll failed" in first
    assert len(others) > 3
    assert all(line.startswith("    ") and line.isprintable() for line in others)


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_secret_passes_whatever_carries_it(log: Log, log_format: Format) -> None:
    log.configure(log_format, secrets=(SECRET,))
    error = raised(ValueError(f"no good: {SECRET}"), cause=KeyError(SECRET))

    log.logger.error(SECRET, value=SECRET, nested=[{SECRET: SECRET.encode()}], exc_info=error)
    logging.getLogger("library").error("request %r", {"apiKey": "unregistered", "signature": "unregistered"})

    assert "Zq8wRx3tT" not in log.text
    assert "unregistered" not in log.text
    assert log.text.count("***") >= 8


def test_a_secret_of_later_days_does_not_pass_either(tmp_path: Path, log: Log) -> None:
    with (tmp_path / "other").open("w") as stream:
        redactor = configure(log_format="json", level="info", stream=stream)
        redactor.add_secret(SECRET)
        log.logger.info("database started", password=SECRET)

    assert json.loads((tmp_path / "other").read_text())["password"] == "***"


def test_configuring_again_replaces_what_was_there(tmp_path: Path, log: Log) -> None:
    log.configure()
    with (tmp_path / "other").open("w") as stream:
        configure(log_format="json", level="error", stream=stream)
        log.logger.error("once")

    assert log.text == ""
    assert (tmp_path / "other").read_text().count("\n") == 1


def test_a_line_that_cannot_be_rendered_is_counted_and_the_next_one_tells() -> None:
    code, text = run("""
class Unprintable:
    def __repr__(self):
        raise ZeroDivisionError("Zq8wRx3tT-the-api-secret")
itself = []
itself.append(itself)
logging.getLogger("library").warning("lost: %d", "no number")
log.info("lost", value=Unprintable())
log.info("lost", value=itself)
log.info("found")
log.info("found again")
""")

    assert code == 0
    assert [(line["event"], line.get("lines"), line.get("reason")) for line in map(json.loads, text.splitlines())] == [
        ("found", None, None),
        ("log lines lost", 3, "RecursionError"),
        ("found again", None, None),
    ]


def test_lines_lost_on_a_stalled_pipe_are_counted_until_someone_reads(log: Log) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with os.fdopen(writer, "w") as stream, os.fdopen(reader, "rb") as readable:
        configure(log_format="json", level="info", stream=stream)
        for number in range(1_000):
            log.logger.info("poll stored", number=number, padding="x" * 300)
        passed = [json.loads(line)["number"] for line in readable.read().splitlines()]
        log.logger.info("poll stored", number=1_000)

        (found, lost) = [json.loads(line) for line in readable.read().splitlines()]

    assert passed == list(range(len(passed)))
    assert found["number"] == 1_000
    assert (lost["event"], lost["lines"]) == ("log lines lost", 1_000 - len(passed))


def test_json_is_for_pipes_and_the_console_for_terminals() -> None:
    reader, writer = pty.openpty()
    script = 'configure(log_format="auto", level="info"); log.info("poll stored", account="main")'
    with os.fdopen(reader, "rb", buffering=0) as terminal:
        assert run(script, stderr=writer)[0] == 0
        on_terminal = terminal.read(65_536).decode()
    os.close(writer)

    assert json.loads(run(script)[1])["account"] == "main"
    assert re.sub("\x1b\\[[0-9;]*m", "", on_terminal).split()[1:] == ["[info", "]", "poll", "stored", "account=main"]
    assert ("\x1b[" in on_terminal) is ("NO_COLOR" not in os.environ)


IN_MAIN = "fail()"
IN_THREAD = "thread = threading.Thread(target=fail); thread.start(); thread.join()"
IN_FINALIZER = """
class Failing:
    def __del__(self):
        fail()
Failing()
"""
IN_TASK = """
async def fail_soon():
    fail()
async def main():
    task = asyncio.create_task(fail_soon())
    await asyncio.wait([task])
    del task
asyncio.run(main())
"""
IN_CALLBACK = """
async def main():
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("script", "event", "exit_code"),
    [
        (IN_MAIN, "uncaught exception", 1),
        (IN_THREAD, "uncaught exception", 0),
        (IN_FINALIZER, "exception ignored", 0),
        (IN_TASK, "Task exception was never retrieved", 0),
        (IN_CALLBACK, "Exception in callback fail", 0),
    ],
    ids=["main", "thread", "finalizer", "task", "callback"],
)
def test_an_exception_that_nobody_catches_is_a_line_without_secrets(script: str, event: str, exit_code: int) -> None:
    code, text = run(f"def fail(): raise ValueError('{SECRET}')\n{script}")

    (line,) = [json.loads(line) for line in text.splitlines()]
    assert code == exit_code
    assert str(line["event"]).startswith(event)
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: ***")
    assert "Zq8wRx3tT" not in text


def test_a_thread_may_exit() -> None:
    assert run("thread = threading.Thread(target=sys.exit); thread.start(); thread.join()") == (0, "")


WORK = """
for number in range(1000):
    log.info("poll stored", number=number)
logging.getLogger("library").error("said %s", "so")
warnings.warn("this will go away")
print("done")
"""


def test_a_full_disk_does_not_end_the_process() -> None:
    with Path("/dev/full").open("w") as full:
        assert run(WORK, stderr=full.fileno()) == (0, "")


def test_a_reader_that_has_left_does_not_end_the_process() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    assert run(WORK, stderr=writer) == (0, "")
    os.close(writer)


def test_a_process_without_standard_error_works_all_the_same() -> None:
    script = "import os, sys; os.close(2); os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])"

    done = subprocess.run([sys.executable, "-c", script, PRELUDE + WORK], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "done\n")


def test_hooks_of_a_test_runner_stay(log: Log) -> None:
    before = (threading.excepthook, sys.unraisablehook)

    log.configure()

    assert (threading.excepthook, sys.unraisablehook) == before
    assert sys.excepthook is not sys.__excepthook__
