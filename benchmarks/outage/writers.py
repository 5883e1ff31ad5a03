"""Writers as processes: what they were given to write, and what they told."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.faults.clients import CHECKOUT, PEERS_PYTHON
from poller.observation import Market
from poller.simulator import SimulatedExchange

ACCOUNTS = ("one", "two", "three")
_ENDING_SECONDS = 60.0
_LINE_BYTES = 2**20
_CONFIG = """
exchange:
  environment: simulated
  weight_share: 1.0
  markets:
    usdm: {{ws_url: "{usdm_ws}", rest_url: "{rest}"}}
    coinm: {{ws_url: "{coinm_ws}", rest_url: "{rest}"}}
accounts:
{accounts}
spool: {{path: spool.sqlite}}
log: {{format: json}}
"""


@dataclass(slots=True)
class Writer:
    """A writer that can be killed and started again.

    Attributes:
        command: With its place, which is written to its standard input.
        written: The numbers of the rows that a peer was given.
        told: What it told, errors and warnings, from `listen` on.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    environ: dict[str, str]
    place: str = ""
    written: set[int] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    is_heard: bool = False
    _process: Process | None = None
    _reading: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """Run it, with what an earlier run left in its folder."""
        self._process = await asyncio.create_subprocess_exec(
            *self.command, cwd=self.folder, env={"PATH": os.environ["PATH"], **self.environ},
            stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=_LINE_BYTES,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(self.place.encode())
        self._reading = [
            asyncio.create_task(self._read(stream)) for stream in (self._process.stdout, self._process.stderr)
        ]

    async def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        await self._gone()

    async def end(self) -> None:
        """End it in good order, within a minute."""
        assert self._process is not None
        assert self._process.stdin is not None
        self.is_heard = False
        if self.place:
            self._process.stdin.close()
        else:
            self._process.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._gone(), _ENDING_SECONDS)
        if self._process.returncode is None:
            await self.kill()

    async def _gone(self) -> None:
        assert self._process is not None
        await asyncio.gather(self._process.wait(), *self._reading)

    async def _read(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        while line := await stream.readline():
            fact: dict[str, Any] = (
                json.loads(line) if line.startswith(b"{") else {"error": line.decode(errors="replace").strip()}
            )
            if "row" in fact:
                self.written.add(fact["row"])
            elif self.is_heard and (error := _error(fact)):
                self.told.append(error)


def _error(fact: Mapping[str, Any]) -> str:
    if "event" in fact:  # a line of our log; a poll that is not ok is none of the database
        grave = fact.get("level") in {"warning", "error"} and fact["event"] != "poll stored"
        return f"{fact['event']}: {fact.get('reason')}" if grave else ""
    return str(fact.get("error", ""))


def peer(name: str, module: str, *, url: str, folder: Path) -> Writer:
    """Return the writer of a library; its process may reach this machine alone."""
    folder.mkdir()
    parts = urlsplit(url)
    place = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "database": parts.path.strip("/"),
        "folder": str(folder),
    }
    environ = {
        "PYTHONPATH": str(CHECKOUT),
        "HOME": str(folder),
        "DLT_DATA_DIR": str(folder),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    command = (str(PEERS_PYTHON), "-m", "benchmarks.outage.peer", module)
    return Writer(name=name, command=command, folder=folder, environ=environ, place=f"{json.dumps(place)}\n")


def ours(name: str, exchange: SimulatedExchange, *, url: str, folder: Path) -> Writer:
    """Return the program, with three accounts that are polled on both markets once a second."""
    folder.mkdir()
    keys = {label: exchange.add_account(label) for label in ACCOUNTS}
    accounts = "\n".join(
        f"  - {{name: {label}, interval: 1s, api_key: '${{{label.upper()}_KEY}}',"
        f" api_secret: '${{{label.upper()}_SECRET}}'}}"
        for label in ACCOUNTS
    )
    config = _CONFIG.format(
        usdm_ws=exchange.ws_url(Market.USDM),
        coinm_ws=exchange.ws_url(Market.COINM),
        rest=exchange.rest_url(Market.USDM),
        accounts=accounts,
    )
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    environ = {"DATABASE_URL": url}
    environ |= {f"{label.upper()}_KEY": key.api_key for label, key in keys.items()}
    environ |= {f"{label.upper()}_SECRET": key.api_secret or "" for label, key in keys.items()}
    return Writer(name=name, command=(sys.executable, "-m", "poller", "run"), folder=folder, environ=environ)
