"""A thousand sockets that end in every way there is leave nothing behind."""

import asyncio
import gc
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from poller.errors import ConnectionLostError
from poller.exchange.connection import Connection, Limits
from poller.exchange.frames import Unexpected
from poller.exchange.pacing import Pacing
from poller.exchange.reconnect import Link
from tests.integration.exchange.conftest import StartPeer
from tests.integration.exchange.wire_peer import Line, Peer, open_descriptors

WAYS = 7
WARM_UP = 20 * WAYS
RECONNECTS = 1000


@dataclass(frozen=True, slots=True)
class Size:
    tasks: int
    descriptors: int
    blocks: int


async def _end(line: Line, peer: Peer) -> None:
    """End a socket in its own way, in turn."""
    match line.number % WAYS:
        case 0:
            line.vanish()
        case 1:
            line.reset()
        case 2:
            await line.ws.close(code=1008, message=b"Pong timeout")
        case 3:
            await line.say('{"e":"serverShutdown"}')
            await line.asked()
        case 4:
            await line.ws._writer.send_frame(b"\xff" * 8, 0x7)  # type: ignore[union-attr]  # no such opcode
        case 5:
            peer.refusal = lambda: web.Response(status=503)
            line.vanish()
        case _:
            line.reset()


async def _forget_closed_sockets() -> None:
    """Wait until aiohttp has let go of them: a timer of their heartbeat may hold them until it is due."""
    async with asyncio.timeout(120):
        while sum(isinstance(thing, aiohttp.ClientWebSocketResponse) for thing in gc.get_objects()) > 4:
            gc.collect()
            await asyncio.sleep(0.02)


async def test_a_thousand_reconnects_leave_memory_descriptors_and_tasks_as_they_were(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    async def script(line: Line) -> None:
        await line.answer(await line.asked())
        await line.asked()
        await _end(line, peer)

    async def open_connection(unexpected: Counter[Unexpected]) -> Connection:
        try:
            return await Connection.open(session, peer.url, unexpected, limits=Limits(heartbeat_seconds=0.5))
        finally:
            peer.refusal = None

    async def ask() -> None:
        await link.request("account.status", dict, deadline=asyncio.get_running_loop().time() + 30)

    async def reconnect(times: int) -> Size:
        goal = link.connections + times
        while link.connections < goal:
            with suppress(ConnectionLostError):  # of each second request, or when a busy machine is late for a ping
                await ask()
        await _forget_closed_sockets()
        peer.headers.clear()
        gc.collect()
        return Size(len(asyncio.all_tasks()), open_descriptors(), sys.getallocatedblocks())

    peer = await start_peer(script)
    link = Link(open_connection, pacing=Pacing(first=0.0, longest=0.0, spacing=0.0, drain=0.001))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run())
        before = await reconnect(WARM_UP)
        after = await reconnect(RECONNECTS)
        running.cancel()

    assert after.tasks <= before.tasks + 4
    assert after.descriptors <= before.descriptors + 4
    assert after.blocks - before.blocks < RECONNECTS / 2
