"""A way to a TCP server that can be closed in every manner that networks and servers know."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)
_WAITING = 3


class Passage:
    """Carries bytes both ways, on a port that stays the same.

    Attributes:
        target: The port on this machine that it leads to; another one from the next connection on.
        trap: It freezes as soon as these bytes are asked to be carried.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.trap: bytes | None = None
        self.port = 0
        self._forth, self._back = asyncio.Event(), asyncio.Event()
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._hole: list[socket.socket] = []
        self._resets = False

    async def open(self) -> None:
        """Let everybody through, whatever was done before."""
        self._resets = False
        self.trap = None
        self._forth.set()
        self._back.set()
        self._fill_hole()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Reset what is open, and refuse what comes."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset_all()

    def reset(self) -> None:
        """Accept and reset at once."""
        self._resets = True
        self._reset_all()

    def freeze(self, *, answers_only: bool = False) -> None:
        """Accept, but carry nothing any more, or nothing back: then what is asked for is done."""
        self._back.clear()
        if not answers_only:
            self._forth.clear()

    def swallow(self) -> None:
        """Answer no packet: a connection is neither accepted nor refused, and an open one carries nothing."""
        self.freeze()
        if self._server is not None:
            self._server.close()
            self._server = None
        listening = socket.create_server(("127.0.0.1", self.port), backlog=0)
        self._hole = [listening, *(socket.socket() for _ in range(_WAITING))]
        for waiting in self._hole[1:]:  # the kernel drops whoever comes when as many as this wait to be accepted
            waiting.settimeout(0)
            with suppress(BlockingIOError):
                waiting.connect(("127.0.0.1", self.port))

    def _fill_hole(self) -> None:
        while self._hole:
            self._hole.pop().close()

    def _reset_all(self) -> None:
        for end in self._ends:
            with suppress(OSError):  # it is closed already
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.transport.abort()
        self._ends.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        if self._resets:
            self._reset_all()
            return
        await self._forth.wait()
        with suppress(ConnectionError):
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            self._ends.add(back)
            await asyncio.gather(self._carry(reader, back, self._forth), self._carry(there, writer, self._back))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may: asyncio.Event) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                if self.trap is not None and self.trap in data:
                    self.freeze()
                await may.wait()
                writer.write(data)
                await writer.drain()
        await may.wait()
        writer.close()


@asynccontextmanager
async def passage_to(url: str) -> AsyncIterator[tuple[Passage, str]]:
    """Have an open passage to a database, and the address of the database through it."""
    parts = urlsplit(url)
    assert parts.port is not None
    passage = Passage(parts.port)
    await passage.open()
    try:
        yield passage, parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{passage.port}")).geturl()
    finally:
        await passage.open()
        passage.refuse()
