"""A WebSocket server on loopback that does to each socket what a script says, well-behaved or not."""

import asyncio
import base64
import hashlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import WSMsgType, web

from poller.exchange.connection import Connection

Script = Callable[["Line"], Awaitable[None]]


class Line:
    """The peer's end of one socket."""

    def __init__(self, number: int, request: web.Request, ws: web.WebSocketResponse) -> None:
        self.number = number
        self.request = request
        self.ws = ws

    async def asked(self) -> dict[str, object]:
        """Wait for the next request; a client that leaves ends the script."""
        message = await self.ws.receive()
        if message.type is not WSMsgType.TEXT:
            raise web.HTTPGone
        asked: dict[str, object] = json.loads(message.data)
        return asked

    async def say(self, text: str | bytes) -> None:
        """Send a text frame, of any bytes."""
        await self.ws.send_frame(text.encode() if isinstance(text, str) else text, WSMsgType.TEXT)

    async def answer(self, asked: dict[str, object], **result: object) -> None:
        """Reply as the exchange does; the result tells the line and the question's number."""
        await self.say(reply(asked, line=self.number, **result))

    def vanish(self) -> None:
        """Send FIN without a close frame."""
        assert self.request.transport is not None
        self.request.transport.close()

    def reset(self) -> None:
        """Send RST."""
        assert self.request.transport is not None
        sock = self.request.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.request.transport.abort()


def reply(asked: dict[str, object], **result: object) -> str:
    """Return the frame that answers a request; `n` is the request's own."""
    params = asked["params"]
    assert isinstance(params, dict)
    return json.dumps({"id": asked["id"], "status": 200, "result": {"n": params.get("n"), **result}})


async def serve_all(line: Line) -> None:
    """Answer every request in order."""
    while True:
        await line.answer(await line.asked())


async def hold(_line: Line) -> None:
    """Keep the socket and do nothing, not even read: pings stay without a pong."""
    await asyncio.Event().wait()


def open_descriptors() -> int:
    """Count the open file descriptors of this process."""
    return len(list(Path("/dev/fd").iterdir()))


class Peer:
    """The server; `refusal` answers the upgrade instead of the script when it is set."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.refusal: Callable[[], web.Response] | None = None
        self.upgrades = 0
        self.headers: list[dict[str, str]] = []
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws-fapi/v1"

    async def start(self) -> None:
        """Listen, after the first time on the same port again."""
        app = web.Application()
        app.router.add_get("/ws-fapi/v1", self._upgrade)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and drop every socket."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        self.upgrades += 1
        self.headers.append(dict(request.headers))
        if self.refusal is not None:
            return self.refusal()
        ws = web.WebSocketResponse(max_msg_size=0)
        await ws.prepare(request)
        with suppress(web.HTTPGone, ConnectionError):
            await self.script(Line(self.upgrades, request, ws))
        return ws


class DeafPeer:
    """A peer that upgrades and then reads nothing, so that what is sent to it piles up here."""

    def __init__(self, port: int) -> None:
        self.url = f"ws://127.0.0.1:{port}/ws-fapi/v1"
        self.writers: list[asyncio.StreamWriter] = []

    def reset(self) -> None:
        """Send RST on every socket."""
        for writer in self.writers:
            writer.transport.abort()


@asynccontextmanager
async def deaf_peer() -> AsyncIterator[DeafPeer]:
    """Listen inside the block."""

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.writers.append(writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False).digest()
        accept = base64.b64encode(digest).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )

    server = await asyncio.start_server(upgrade, "127.0.0.1", 0)
    peer = DeafPeer(server.sockets[0].getsockname()[1])
    async with server:
        try:
            yield peer
        finally:
            peer.reset()


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; for what sets no event of its own."""
    while not condition():  # noqa: ASYNC110 - sockets and counters set none
        await asyncio.sleep(0)


@asynccontextmanager
async def running(connection: Connection) -> AsyncIterator[Connection]:
    """Run the connection's reader inside the block, and close it after."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(connection.run())
        try:
            yield connection
        finally:
            await connection.close()
