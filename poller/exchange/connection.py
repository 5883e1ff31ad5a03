"""One live socket to the exchange, shared by all requests of a market.

When it ends, by whatever fault, every pending request fails at once with an error that says so. Opening the next one is
the business of `reconnect`; what a result means is the business of `normalize`.
"""

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

import aiohttp
import msgspec
from aiohttp import WSMsgType

from poller.errors import ConnectionLostError, NotConnectedError
from poller.exchange.failures import HandshakeError, end_reason, handshake_error, is_oversized, printable_cause
from poller.exchange.frames import SHUTDOWN_EVENT, Unexpected, decode_event
from poller.exchange.pending import OnUnexpected, PendingRequests, Reply
from poller.exchange.signing import Params

__all__ = ["DEFAULT_LIMITS", "Connection", "HandshakeError", "Limits", "OnUnexpected", "Params", "Reply"]

_CLOSE_SECONDS = 2.0
_CLOSE_REPLY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a socket may take.

    Attributes:
        heartbeat_seconds: Silence after which the peer is pinged; without a pong in half of it the socket has ended,
            with time left in the tick to ask on another one. The exchange bears 5 pings a second.
        max_frame_bytes: A frame of this size ends the socket.
    """

    connect_seconds: float = 10.0
    heartbeat_seconds: float = 4.0
    max_frame_bytes: int = 16 * 1024 * 1024


DEFAULT_LIMITS = Limits()


class Connection:
    """One socket; `run` must be running for replies to arrive.

    Attributes:
        worn: Set when the socket has ended, is about to or is in doubt: time for another one.
        end_reason: Why the socket has ended; None while it is open.
    """

    def __init__(self, ws: aiohttp.ClientWebSocketResponse[Literal[False]], pending: PendingRequests) -> None:
        self.worn = asyncio.Event()
        self.end_reason: str | None = None
        self._ws = ws
        self._socket = ws.get_extra_info("socket")
        self._pending = pending
        self._closing = False
        self._closed = asyncio.Event()

    @classmethod
    async def open(
        cls,
        session: aiohttp.ClientSession,
        url: str,
        unexpected: Counter[Unexpected],
        *,
        on_unexpected: OnUnexpected | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Self:
        """Open a socket; frames that answer no request are counted in `unexpected` and shown to `on_unexpected`.

        Raises:
            HandshakeError: There is no socket; the message holds no address.
        """
        try:
            async with asyncio.timeout(limits.connect_seconds):
                ws = await session.ws_connect(
                    url,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_REPLY_SECONDS),
                    # aiohttp answers a close frame before it tells of it, which takes as long as the peer likes: the
                    # pending requests must not wait for that.
                    autoclose=False,
                    heartbeat=limits.heartbeat_seconds,
                    max_msg_size=limits.max_frame_bytes,
                    # Decoding to str would end the socket for one reply that is not UTF-8.
                    decode_text=False,
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise handshake_error(exc, url) from printable_cause(exc)
        return cls(ws, PendingRequests(unexpected, on_unexpected))

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self.end_reason is None

    @property
    def pending(self) -> int:
        """How many requests wait for their reply."""
        return len(self._pending)

    @property
    def silence(self) -> float:
        """How many seconds ago the first request was sent that no frame has followed; 0 when none is owed."""
        return self._pending.silence

    async def request(self, method: str, params: Params) -> Reply:
        """Send a request and return its reply, however long that takes.

        Raises:
            NotConnectedError: The socket had ended before anything was sent.
            ConnectionLostError: The socket ended before the reply came.
            OversizedFrameError: It ended because the reply was above the limit.
        """
        if self.end_reason is not None:
            raise NotConnectedError(self.end_reason)
        with self._pending.expect() as pending:
            await self._send(msgspec.json.encode({"id": pending.id, "method": method, "params": params}))
            outcome = await pending.outcome
        if isinstance(outcome, ConnectionLostError):
            raise outcome
        return outcome

    async def run(self) -> None:
        """Deliver replies until the socket ends; then fail what is pending and close."""
        try:
            while self.is_open:
                message = await self._ws.receive()
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._receive(message.data)
                else:
                    self._end(end_reason(message), oversized=is_oversized(message))
        finally:
            await self.close()

    async def drain(self, seconds: float) -> None:
        """Wait until no request is pending, but not longer than `seconds`, and close."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._pending.settle()
        await self.close("replaced by another connection")

    async def close(self, reason: str = "closed by this side") -> None:
        """Close in good order within 2 s, or without the peer."""
        self._end(reason)
        if self._closing:
            await self._closed.wait()
            return
        self._closing = True
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._ws.close()
        finally:
            self._shut()
            try:
                # One that is cancelled before its first frame leaves aiohttp holding on to the connection.
                await self._ws.close()
            finally:
                self._closed.set()

    def doubt(self) -> None:
        """Ask for another socket to be used from now on; this one goes on serving what is pending."""
        self.worn.set()

    def abort(self, reason: str) -> None:
        """End the socket now, without a word to the peer."""
        self._end(reason)
        self._shut()

    def _shut(self) -> None:
        # asyncio keeps a closed transport, and its descriptor, until the peer has taken all that was written: for ever
        # if the peer is gone. Shutting the socket down ends that, and wakes the reader.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    async def _send(self, frame: bytes) -> None:
        try:
            await self._ws.send_frame(frame, WSMsgType.TEXT)
        except aiohttp.ClientConnectionResetError as exc:
            self.abort("the connection had ended unnoticed")
            raise NotConnectedError("the connection had ended unnoticed") from exc
        except (aiohttp.ClientError, OSError) as exc:
            self.abort("the connection ended while sending")
            raise ConnectionLostError("the connection ended while sending") from exc

    def _receive(self, body: bytes) -> None:
        if self._pending.receive(body) is Unexpected.EVENT and decode_event(body) == SHUTDOWN_EVENT:
            self.worn.set()

    def _end(self, reason: str, *, oversized: bool = False) -> None:
        if self.end_reason is None:
            self.end_reason = reason
            self.worn.set()
            self._pending.fail(reason, oversized=oversized)
