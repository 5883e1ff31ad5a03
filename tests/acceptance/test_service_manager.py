"""The daemon under a service manager: a test that binds the socket as systemd does, and reads what it is told."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from poller.simulator import SimulatedExchange
from poller.simulator.faults import Drop
from tests.acceptance.conftest import Workplace
from tests.acceptance.test_program import asked

WATCHDOG_SECONDS = 5.0

BLOCKING = """
import signal, time

def block_the_loop(number, frame):
    global blocked
    blocked = True
    while blocked:
        time.sleep(0.05)

def go_on(number, frame):
    global blocked
    blocked = False

signal.signal(signal.SIGUSR1, block_the_loop)
signal.signal(signal.SIGUSR2, go_on)
"""
"""Imported by Python itself at its start: a signal then holds up whatever the main thread does."""


@dataclass
class Manager:
    """The other end of the protocol."""

    name: str
    end: socket.socket
    told: list[str] = field(default_factory=list)

    @property
    def environ(self) -> Mapping[str, str]:
        return {"NOTIFY_SOCKET": self.name, "WATCHDOG_USEC": str(round(WATCHDOG_SECONDS * 1_000_000))}

    async def until(self, news: str, *, count: int = 1) -> None:
        """Read until it was told this so many times more."""
        async with asyncio.timeout(120):
            while count:
                datagram = (await asyncio.get_running_loop().sock_recv(self.end, 65536)).decode().split("\n")
                self.told += datagram
                count -= news in datagram

    async def silence(self) -> None:
        """Return when nothing was told for as long as a manager waits before it kills."""
        while True:
            try:
                async with asyncio.timeout(WATCHDOG_SECONDS):
                    self.told.append((await asyncio.get_running_loop().sock_recv(self.end, 65536)).decode())
            except TimeoutError:
                return


@asynccontextmanager
async def manager(folder: Path) -> AsyncIterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.setblocking(False)  # noqa: FBT003 - socket's own signature
        end.bind(str(folder / "notify"))
        yield Manager(str(folder / "notify"), end)


async def test_a_service_manager_is_told_the_beginning_the_progress_and_the_end(
    workplace: Workplace, exchange: SimulatedExchange, tmp_path: Path
) -> None:
    async with (
        manager(tmp_path) as systemd,
        workplace.running("run", environ=systemd.environ) as daemon,
    ):
        await systemd.until("READY=1")
        assert asked(exchange.journal) > 0
        await systemd.until("WATCHDOG=1", count=3)
        assert await daemon.stop() == 0
        await systemd.until("STOPPING=1")

    assert "STATUS=recording" in systemd.told
    assert not [news for news in systemd.told if "stuck" in news]


async def test_it_is_ready_only_when_the_first_tick_is_decided(
    workplace: Workplace, exchange: SimulatedExchange, tmp_path: Path
) -> None:
    workplace.configure(interval="2s")
    exchange.faults.next(None, Drop(), times=None)
    async with (
        manager(tmp_path) as systemd,
        workplace.running("run", environ=systemd.environ) as daemon,
    ):
        await exchange.journal.wait_until(lambda journal: asked(journal) > 0)
        await systemd.until("WATCHDOG=1")
        assert "READY=1" not in systemd.told
        await systemd.until("READY=1")
        assert await daemon.stop() == 0


async def test_a_stopped_process_says_nothing_and_goes_on_saying_that_all_is_well(
    workplace: Workplace, tmp_path: Path
) -> None:
    async with (
        manager(tmp_path) as systemd,
        workplace.running("run", environ=systemd.environ) as daemon,
    ):
        await systemd.until("READY=1")
        daemon.process.send_signal(signal.SIGSTOP)
        await systemd.silence()
        daemon.process.send_signal(signal.SIGCONT)
        await systemd.until("WATCHDOG=1", count=2)
        assert await daemon.stop() == 0

    assert not [event for event in daemon.events if event["event"] in {"progress stopped", "event loop stuck"}]


async def test_a_loop_that_does_not_turn_is_logged_with_its_place_and_not_reported_well(
    workplace: Workplace, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKING, encoding="utf-8")
    async with (
        manager(tmp_path) as systemd,
        workplace.running("run", environ={**systemd.environ, "PYTHONPATH": str(tmp_path)}) as daemon,
    ):
        await systemd.until("READY=1")
        daemon.process.send_signal(signal.SIGUSR1)
        while "block_the_loop" not in (stuck := await daemon.until("event loop stuck"))["place"]:
            pass  # a busy machine may have let the loop wait before
        await systemd.silence()
        daemon.process.send_signal(signal.SIGUSR2)
        await daemon.until("event loop turned again")
        await systemd.until("WATCHDOG=1")
        assert await daemon.stop() == 0

    assert "in _watch" in stuck["stacks"]
    assert sum("block_the_loop" in event.get("place", "") for event in daemon.events) == 1
