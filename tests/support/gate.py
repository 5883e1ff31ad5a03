"""A door in front of a database: it can be shut, frozen, made deaf or slammed in the middle of a word."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit

_CHUNK = 2**16


class Way(StrEnum):
    """What becomes of connections, old and new."""

    OPEN = "open"
    SHUT = "shut"
    """They are reset."""
    FROZEN = "frozen"
    """They stay, and nothing passes until the gate opens."""
    DEAF = "deaf"
    """What is said to the database arrives; what it answers never does, and they are reset when the gate opens."""


class Gate:
    """A TCP proxy to one address, made by `gate`.

    Attributes:
        port: Where it listens.
        answers_left: After so many more pieces of answers all connections are reset, without the last; None for never.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.answers_left: int | None = None
        self._there = host, port
        self._way = Way.OPEN
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def set(self, way: Way) -> None:
        """Change what becomes of connections."""
        if way is Way.SHUT or self._way is Way.DEAF:
            self.slam()
        (self._flowing.clear if way is Way.FROZEN else self._flowing.set)()
        self._way = way

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Be shut as long as the context lasts."""
        before = self._way
        self.set(Way.SHUT)
        try:
            yield
        finally:
            self.set(before)

    def slam(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def end(self) -> None:
        """Forget all connections."""
        self.slam()
        for task in self._tasks:
            task.cancel()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._way is Way.SHUT:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(*self._there)
        ends = {writer, back}
        self._writers |= ends
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._copy(reader, back, answers=False))
                tasks.create_task(self._copy(there, writer, answers=True))
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                if not answers or self._may_answer():
                    writer.write(data)
                    await writer.drain()
            writer.close()

    def _may_answer(self) -> bool:
        if self.answers_left is not None:
            self.answers_left -= 1
            if self.answers_left < 0:
                self.answers_left = None
                self.slam()
                return False
        return self._way is not Way.DEAF


@asynccontextmanager
async def gate(url: str) -> AsyncIterator[tuple[Gate, str]]:
    """Have a gate in front of a database, and the address through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    made = Gate(parts.hostname, parts.port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    who = parts.netloc.rpartition("@")[0]
    try:
        yield made, parts._replace(netloc=f"{who}@127.0.0.1:{made.port}").geturl()
    finally:
        server.close()
        made.end()
