"""Keeps one connection to a market alive for ever.

A socket that has ended is replaced after a random delay that grows with each failure and never ends; a socket whose end
is announced, that is nearly a day old, or on which nothing is answered, is replaced before it ends, and serves its last
requests meanwhile. A peer that is gone without a word is found out by the socket's own heartbeat.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from poller.errors import NotConnectedError, RequestTimeoutError
from poller.exchange.connection import Connection, HandshakeError
from poller.exchange.frames import Unexpected
from poller.exchange.pacing import DEFAULT_PACING, Pace, Pacing
from poller.exchange.pending import Reply
from poller.exchange.signing import Params

_OK = 200

OpenConnection = Callable[[Counter[Unexpected]], Awaitable[Connection]]
"""Opens one socket, counting its unexpected frames, or raises `NotConnectedError`.

It waits, for days if need be, while nothing may be sent from this IP: the link only spaces its attempts.
"""


class Link:
    """One market's line to the exchange; `run` must be running for it to connect.

    Attributes:
        unexpected: Frames that answered no request, by kind, over all sockets.
        connections: Sockets opened so far.
        last_failure: Why the last socket ended or the last handshake failed; None when nothing ever did.
        last_status: The HTTP status with which the last handshake was refused; None when it was not.
    """

    def __init__(
        self,
        open_connection: OpenConnection,
        *,
        pacing: Pacing = DEFAULT_PACING,
        on_change: Callable[[str | None], None] | None = None,
    ) -> None:
        """Prepare to connect.

        Args:
            open_connection: Opens one socket.
            pacing: How patiently.
            on_change: Called with None when connected, and with the reason when a socket ended or a handshake failed.
        """
        self.unexpected: Counter[Unexpected] = Counter()
        self.connections = 0
        self.last_failure: str | None = None
        self.last_status: int | None = None
        self._open = open_connection
        self._pacing = pacing
        self._on_change = on_change
        self._pace = Pace(pacing, asyncio.get_running_loop().time)
        self._current: Connection | None = None
        self._arrived = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether requests can be sent at this moment."""
        return self._current is not None and self._current.is_open

    async def request(self, method: str, build_params: Callable[[], Params], *, deadline: float) -> Reply:
        """Send a request on the socket of the moment and return its reply, both before `deadline` (loop time).

        `build_params` is called at the moment of sending, so that a signature is never older than its request.

        Raises:
            NotConnectedError: There was no socket until the deadline: nothing was sent.
            ConnectionLostError: The socket ended before the reply came.
            OversizedFrameError: It ended because the reply was above the limit.
            RequestTimeoutError: It was sent, but no reply came before the deadline.
        """
        connection: Connection | None = None
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    connection = None
                    connection = await self._connection()
                    with suppress(NotConnectedError):
                        return self._answered(await connection.request(method, build_params()))
        except TimeoutError:
            if connection is None:
                raise NotConnectedError(f"not connected: {self.last_failure or 'not yet'}") from None
            if connection.silence >= self._pacing.silence:
                connection.doubt()
            raise RequestTimeoutError("no reply before the deadline") from None

    async def run(self) -> None:
        """Stay connected until cancelled, then close every socket."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                connection = await self._connect()
                tasks.create_task(connection.run())
                replaced, self._current = self._current, connection
                if replaced is not None and replaced.is_open:
                    tasks.create_task(replaced.drain(self._pacing.drain))
                self._arrived.set()
                self._changed(None)
                await self._until_worn(connection)

    async def _connection(self) -> Connection:
        while self._current is None or not self._current.is_open:
            self._arrived.clear()
            await self._arrived.wait()
        return self._current

    async def _connect(self) -> Connection:
        while True:
            await asyncio.sleep(self._pace.delay)
            self._pace.begin()
            try:
                connection = await self._open(self.unexpected)
            except NotConnectedError as exc:
                self._refused(exc)
            else:
                self.connections += 1
                self.last_status = None
                return connection

    def _refused(self, exc: NotConnectedError) -> None:
        self.last_status = exc.status if isinstance(exc, HandshakeError) else None
        self._pace.wait()
        self._changed(str(exc))

    async def _until_worn(self, connection: Connection) -> None:
        # Not all links of all hosts at the same hour of the day.
        max_age = self._pacing.max_age * random.uniform(0.95, 1.0)  # noqa: S311 - spreads load, guards nothing
        with suppress(TimeoutError):
            async with asyncio.timeout(max_age):
                await connection.worn.wait()
        self._pace.wait()
        if connection.end_reason is not None:
            self._changed(connection.end_reason)

    def _answered(self, reply: Reply) -> Reply:
        if reply.envelope is not None and reply.envelope.status == _OK:
            self._pace.reset()
        return reply

    def _changed(self, failure: str | None) -> None:
        self.last_failure = failure or self.last_failure
        if self._on_change is not None:
            self._on_change(failure)
