"""One live socket to the exchange, shared by all requests of a market.

When it ends, by whatever fault, every pending request fails at once with an error that says so. Opening the next one is
the business of `reconnect`; what a result means is the business of `normalize`.
"""

import asyncio
import errno
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

import aiohttp
import msgspec
from aiohttp import WSCloseCode, WSMsgType

from poller.errors import ConnectionLostError, NotConnectedError
from poller.exchange.frames import SHUTDOWN_EVENT, Unexpected, decode_event
from poller.exchange.pending import OnUnexpected, PendingRequests, Reply
from poller.exchange.signing import Params

__all__ = ["DEFAULT_LIMITS", "Connection", "HandshakeError", "Limits", "OnUnexpected", "Params", "Reply"]

_CLOSE_SECONDS = 2.0
_CLOSE_REPLY_SECONDS = 1.0


class HandshakeError(NotConnectedError):
    """The socket could not be opened.

    Attributes:
        status: Of HTTP, when the exchange answered at all.
        retry_after_seconds: How long the exchange asks to be left alone.
    """

    def __init__(self, reason: str, *, status: int | None = None, retry_after_seconds: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a socket may take.

    Attributes:
        heartbeat_seconds: Silence after which the peer is pinged; without a pong in half of it the socket has ended.
        max_frame_bytes: A frame of this size ends the socket.
    """

    connect_seconds: float = 10.0
    heartbeat_seconds: float = 20.0
    max_frame_bytes: int = 16 * 1024 * 1024


DEFAULT_LIMITS = Limits()


class Connection:
    """One socket; `run` must be running for replies to arrive.

    Attributes:
        worn: Set when the socket has ended or the exchange has announced to end it: time for another one.
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
            raise _handshake_error(exc) from exc
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
    def silent_rounds(self) -> int:
        """How often in a row requests were given up without a frame since; those given up together count once."""
        return self._pending.silent_rounds

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
                    oversized = _is_oversized(message.data)
                    self._end(_end_reason(message.type, message.data, message.extra), oversized=oversized)
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
            self._closed.set()

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


def _is_oversized(data: object) -> bool:
    return isinstance(data, aiohttp.WebSocketError) and data.code == WSCloseCode.MESSAGE_TOO_BIG


def _end_reason(kind: WSMsgType, data: object, extra: str | None) -> str:
    if kind is WSMsgType.CLOSE:
        words = f" {extra!r}" if extra else ""
        return f"the exchange closed the connection: code {data}{words}"
    if isinstance(data, TimeoutError):
        return "the exchange did not answer a ping"
    if isinstance(data, aiohttp.WebSocketError):
        return f"the exchange broke the protocol: {data}"
    return "the connection ended without a close frame"


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "the name of the exchange could not be resolved"),
    (aiohttp.ClientProxyConnectionError, "the proxy could not be reached"),
    (aiohttp.ClientConnectorCertificateError, "the certificate of the exchange is not trusted"),
    (aiohttp.ClientSSLError, "TLS failed"),
    (aiohttp.ServerDisconnectedError, "the exchange hung up during the handshake"),
    (TimeoutError, "the handshake took too long"),
)


def _handshake_error(exc: Exception) -> HandshakeError:
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return HandshakeError(f"the proxy answered with HTTP {exc.status}")
    if isinstance(exc, aiohttp.WSServerHandshakeError):
        retry_after = exc.headers.get("Retry-After", "") if exc.headers else ""
        return HandshakeError(
            f"the exchange answered the handshake with HTTP {exc.status}",
            status=exc.status,
            retry_after_seconds=int(retry_after) if retry_after.isdecimal() else None,
        )
    for kind, reason in _REASONS:
        if isinstance(exc, kind):
            return HandshakeError(reason)
    if isinstance(exc, OSError) and exc.errno is not None:
        return HandshakeError(f"the exchange could not be reached: {errno.errorcode.get(exc.errno, exc.errno)}")
    return HandshakeError(f"the handshake failed: {type(exc).__name__}")
