"""A loop whose time jumps to the next timer as soon as everybody waits: days of real sockets in seconds.

Both ends of every socket must be served by this one loop. What one end has handed to the kernel and the other has not
read yet is on its way, and the time stands still until it has arrived. Threads and other processes are not waited for.
"""

import asyncio
import selectors
import socket
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_PATIENCE_SECONDS = 0.2
"""Real time after which bytes on their way count as lost: nobody will read what an end had not read when it closed."""

T = TypeVar("T")


def run_in_virtual_time(main: Coroutine[Any, Any, T], *, on_advance: Callable[[float], None] | None = None) -> T:
    """Run a coroutine on a loop whose time begins at 0; `on_advance` is told each time that it comes to."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(on_advance)) as runner:
        return runner.run(main)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Tells a time that passes only while nothing else happens."""

    def __init__(self, on_advance: Callable[[float], None] | None = None) -> None:
        self._waiter = _Waiter(on_advance)
        super().__init__(self._waiter)

    def time(self) -> float:
        return self._waiter.now

    def _make_socket_transport(self, sock: socket.socket, *args: object, **kwargs: object) -> object:
        counted = _CountedSocket(self._waiter, sock.detach())
        return super()._make_socket_transport(counted, *args, **kwargs)  # type: ignore[misc]  # typeshed hides it


class _Waiter(selectors.DefaultSelector):
    """Waits for sockets in real time while bytes are on their way, and else in no time."""

    def __init__(self, on_advance: Callable[[float], None] | None) -> None:
        super().__init__()
        self._on_advance = on_advance
        self.now = 0.0
        self.on_their_way = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if self.on_their_way or self._awaits_writing():
            events = super().select(_PATIENCE_SECONDS)
            if events:
                return events
            self.on_their_way = 0
        if timeout is None:
            return super().select(None)
        self.now += timeout
        if self._on_advance is not None:
            self._on_advance(self.now)
        return []

    def _awaits_writing(self) -> bool:
        return any(key.events & selectors.EVENT_WRITE for key in self.get_map().values())


class _CountedSocket(socket.socket):
    """Counts what is on its way."""

    def __init__(self, waiter: _Waiter, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self.settimeout(0)
        self._waiter = waiter

    def send(self, *args: Any) -> int:
        return self._count(super().send(*args))

    def sendmsg(self, *args: Any) -> int:
        return self._count(super().sendmsg(*args))

    def recv(self, *args: Any) -> bytes:
        data = super().recv(*args)
        self._count(-len(data))
        return data

    def recv_into(self, *args: Any) -> int:
        return -self._count(-super().recv_into(*args))

    def _count(self, on_their_way: int) -> int:
        self._waiter.on_their_way += on_their_way
        return on_their_way
