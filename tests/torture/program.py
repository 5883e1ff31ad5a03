"""The daemon as a subprocess that may be ended in any way, and the directory that its lives share."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from poller.observation import Market
from poller.simulator import SimulatedExchange
from tests.support.secrecy import confide

Event = dict[str, Any]  # a line of the log: its keys depend on the event

PATIENCE_SECONDS: Final = 120.0
_SHOWN_LINES: Final = 40


class Program:
    """A life of the daemon, and what it logged so far."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.events: list[Event] = []
        self.lines: list[str] = []
        self._more = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def until(self, holds: Callable[[Event], bool]) -> Event:
        """Wait for an event that was or will be logged, and return it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            seen = 0
            while True:
                self._more.clear()
                for event in self.events[seen:]:
                    if holds(event):
                        return event
                seen = len(self.events)
                if self._reading.done():
                    raise AssertionError(f"the program ended first:\n{self.last_words()}")
                await self._more.wait()

    async def says(self, phrase: str) -> Event:
        """Wait for an event of this name."""
        return await self.until(lambda event: event.get("event") == phrase)

    async def kill(self) -> int:
        """End it with SIGKILL and return the exit code; all that it logged before is there then."""
        if self.process.returncode is None:
            self.process.kill()
        return await self.ended()

    async def ended(self) -> int:
        """Wait for its end and return the exit code."""
        await self._reading
        return await self.process.wait()

    def last_words(self) -> str:
        """Return the end of the log."""
        return "\n".join(self.lines[-_SHOWN_LINES:])

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            text = line.decode(errors="replace").rstrip("\n")
            self.lines.append(text)
            if text.startswith("{") and text.endswith("}"):
                self.events.append(json.loads(text))
            self._more.set()
        self._more.set()


class Workplace:
    """A directory with a configuration and a spool, where one daemon after the other lives."""

    def __init__(self, folder: Path, exchange: SimulatedExchange, database_url: str, accounts: Sequence[str]) -> None:
        self.folder = folder
        self.exchange = exchange
        self.accounts = tuple(accounts)
        self.spool = folder / "spool.sqlite"
        self.environ = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url}
        folder.mkdir(parents=True)
        for account in accounts:
            key = exchange.add_account(account)
            confide(key.api_key, key.api_secret)
            self.environ |= {
                f"KEY_{account.upper()}": key.api_key,
                f"SECRET_{account.upper()}": key.api_secret or "",
            }
        self.configure()

    def configure(self, *, interval: str = "1s", max_size: str = "1GiB") -> None:
        """Write the configuration: every account on both markets."""
        rest = self.exchange.rest_url(Market.USDM)
        document = {
            "exchange": {
                "environment": "simulated",
                "weight_share": 1.0,
                "markets": {
                    market.value: {"ws_url": self.exchange.ws_url(market), "rest_url": rest} for market in Market
                },
            },
            "accounts": [
                {
                    "name": account,
                    "interval": interval,
                    "api_key": f"${{KEY_{account.upper()}}}",
                    "api_secret": f"${{SECRET_{account.upper()}}}",
                }
                for account in self.accounts
            ],
            "spool": {"path": "spool.sqlite", "max_size": max_size},
            "log": {"format": "json", "level": "info"},
        }
        (self.folder / "config.yaml").write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML, too

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Program]:
        """Start the daemon; what still runs at the end is killed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "poller", "run",
            cwd=self.folder, env=self.environ, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, limit=2**20,
        )  # fmt: skip
        program = Program(process)
        try:
            yield program
        finally:
            await program.kill()


def terminate(program: Program) -> None:
    """Ask for an orderly end."""
    if program.process.returncode is None:
        program.process.send_signal(signal.SIGTERM)
