"""The program as its user runs it: a subprocess, a configuration file and the simulated exchange on a real socket."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from poller.observation import Market
from poller.simulator import SimulatedExchange
from tests.support.secrecy import confide

Event = dict[str, Any]  # a line of the log: its keys depend on the event

_PATIENCE_SECONDS = 120.0

CONFIG = """
exchange:
  environment: {environment}
  markets:
    usdm: {{ws_url: "{usdm_ws}", rest_url: "{rest}"}}
    coinm: {{ws_url: "{coinm_ws}", rest_url: "{rest}"}}
accounts:
  - name: main
    interval: {interval}
    api_key: ${{BINANCE_API_KEY}}
    api_secret: ${{BINANCE_API_SECRET}}
spool: {{path: {spool}}}
http: {{listen: "{listen}", names: {names}}}
metrics: {{account_labels: {account_labels}}}
log: {{format: json, level: {level}}}
"""
CONFIGURED = {
    "environment": "simulated",
    "interval": "1s",
    "spool": "spool.sqlite",
    "listen": "127.0.0.1:0",
    "names": "[]",
    "account_labels": "false",
    "level": "debug",
}


class Program:
    """A running `poller`, and the events that it logged so far."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.events: list[Event] = []
        self.output = ""

    async def until(self, event: str, *, count: int = 1, **facts: object) -> Event:
        """Read the log until `count` more lines tell of `event` with these facts, and return the last of them."""
        assert self.process.stderr is not None
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while line := await self.process.stderr.readline():
                found = self._note(line)
                if found.get("event") == event and facts.items() <= found.items():
                    count -= 1
                if count == 0:
                    return found
        raise AssertionError(f"the program ended without {event}:\n{self.output}")

    async def ended(self) -> int:
        """Read all that is left and return the exit code."""
        assert self.process.stderr is not None
        assert self.process.stdout is not None
        async with asyncio.timeout(_PATIENCE_SECONDS):
            out, err = await asyncio.gather(self.process.stdout.read(), self.process.stderr.read())
            code = await self.process.wait()
        for line in err.splitlines():
            self._note(line)
        self.output += out.decode()
        print(self.output)  # noqa: T201 - captured, and searched for secrets when all tests have run
        return code

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return await self.ended()

    def _note(self, line: bytes) -> Event:
        text = line.decode()
        self.output += text if text.endswith("\n") else f"{text}\n"
        if not text.startswith("{"):
            return {}
        event: Event = json.loads(text)
        self.events.append(event)
        return event


class Workplace:
    """A directory with a configuration, where the program is run."""

    def __init__(self, directory: Path, exchange: SimulatedExchange, database_url: str) -> None:
        key = exchange.key("main")
        confide(key.api_key, key.api_secret)
        self.directory = directory
        self.database_url = database_url
        self.environ = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database_url,
            "BINANCE_API_KEY": key.api_key,
            "BINANCE_API_SECRET": key.api_secret or "",
        }
        self._exchange = exchange
        self.configure()

    def configure(self, **changes: str) -> None:
        """Write the configuration anew, with what is to differ from `CONFIGURED`."""
        text = CONFIG.format(
            usdm_ws=self._exchange.ws_url(Market.USDM),
            coinm_ws=self._exchange.ws_url(Market.COINM),
            rest=self._exchange.rest_url(Market.USDM),
            **CONFIGURED | changes,
        )
        (self.directory / "config.yaml").write_text(text, encoding="utf-8")

    @asynccontextmanager
    async def running(self, *arguments: str, environ: Mapping[str, str] | None = None) -> AsyncIterator[Program]:
        """Run the program; it is killed at the end if it still runs."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "poller", *arguments,
            cwd=self.directory,
            env={**self.environ, **(environ or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            limit=2**20,
        )  # fmt: skip
        program = Program(process)
        try:
            yield program
        finally:
            if process.returncode is None:
                process.kill()
                await program.ended()

    async def run(self, *arguments: str, environ: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run the program to its end and return the exit code and all that it printed."""
        async with self.running(*arguments, environ=environ) as program:
            return await program.ended(), program.output


@pytest.fixture(name="workplace")
def _workplace(tmp_path: Path, exchange: SimulatedExchange, plain_database_url: str) -> Workplace:
    return Workplace(tmp_path, exchange, plain_database_url)
