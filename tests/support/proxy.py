"""A forward proxy on loopback: tunnels for CONNECT, with or without a user and password, wherever a name leads."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK = 65536


class Proxy:
    """Counts what it is asked for.

    Attributes:
        asked: The first line of each request, with its authorization.
        tunnels: The names that a tunnel was opened to.
        ports: Where each name leads on this machine; all other names lead nowhere.
        credentials: What it wants, as `user:password`; None lets everybody in.
    """

    def __init__(self, ports: dict[str, int]) -> None:
        self.asked: list[str] = []
        self.tunnels: list[str] = []
        self.credentials: str | None = None
        self.port = 0
        self.ports = ports

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, target, _ = head.partition("\r\n")[0].split(" ")
            self.asked.append(f"{method} {target}")
            refusal = self._refusal(method, head)
            if refusal is not None:
                writer.write(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n".encode())
                return
            await self._tunnel(target.rpartition(":")[0], reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _refusal(self, method: str, head: str) -> str | None:
        if self.credentials is not None:
            wanted = base64.b64encode(self.credentials.encode()).decode()
            if f"\r\nProxy-Authorization: Basic {wanted}\r\n" not in head:
                return '407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"'
        return None if method == "CONNECT" else "405 Method Not Allowed"

    async def _tunnel(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if name not in self.ports:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.ports[name])
        self.tunnels.append(name)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await relay(reader, writer, there, back)


async def relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, there: asyncio.StreamReader, back: asyncio.StreamWriter
) -> None:
    """Carry bytes both ways until both ends are done."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_copy(reader, back))
        tasks.create_task(_copy(there, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxy(ports: dict[str, int]) -> AsyncIterator[Proxy]:
    """Listen inside the block."""
    made = Proxy(ports)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
