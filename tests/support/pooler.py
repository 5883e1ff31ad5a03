"""A connection pooler on loopback: a client keeps its connection while the server behind it is replaced."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

_CHUNK = 65536
_TERMINATE = b"X\0\0\0\4"
_READY = b"Z\0\0\0\5"  # for the next query, with one more byte: in a transaction or not
_PARAMETERS = ("server_version", "server_encoding", "client_encoding", "DateStyle", "integer_datetimes",
               "standard_conforming_strings")  # fmt: skip


class Pooler:
    """Lets everybody in and passes on what they say, once the connection is made.

    Attributes:
        port: Where it listens.
        clients: How many connections it has taken.
    """

    def __init__(self, url: str) -> None:
        self.port = 0
        self.clients = 0
        self._replace(url)

    def replace(self, url: str) -> None:
        """Put another database behind all connections; none may be in use just now."""
        self._server.close()
        self._upstream.close()
        self._replace(url)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        loop = asyncio.get_running_loop()
        self.clients += 1
        (size,) = struct.unpack("!I", await reader.readexactly(4))
        await reader.readexactly(size - 4)
        writer.write(self._welcome())
        try:
            while (data := await reader.read(_CHUNK)) and data != _TERMINATE:
                await loop.sock_sendall(self._server, data)
                reply = b""
                while reply[-6:-1] != _READY:
                    reply += await loop.sock_recv(self._server, _CHUNK)
                writer.write(reply)
        finally:
            writer.close()

    def close(self) -> None:
        """Hang up on the server."""
        self._server.close()
        self._upstream.close()

    def _replace(self, url: str) -> None:
        self._upstream = psycopg.connect(url, options="-c search_path=pg_catalog")
        self._server = socket.socket(fileno=os.dup(self._upstream.fileno()))
        self._server.setblocking(False)  # noqa: FBT003 - the standard library's

    def _welcome(self) -> bytes:
        known = {name: self._upstream.info.parameter_status(name) for name in _PARAMETERS}
        told = b"".join(
            _message(b"S", f"{name}\0{value}\0".encode()) for name, value in known.items() if value is not None
        )
        return _message(b"R", bytes(4)) + told + _message(b"K", bytes(8)) + _message(b"Z", b"I")


def _message(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("!I", len(content) + 4) + content


@asynccontextmanager
async def pooler(url: str) -> AsyncIterator[tuple[Pooler, str]]:
    """Have a pooler in front of a database; its address is given, too."""
    made = Pooler(url)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made, f"postgresql://anybody@127.0.0.1:{made.port}/any?sslmode=disable&gssencmode=disable"
    finally:
        server.close()
        made.close()
