"""One WebSocket of a client: reads requests, sends what they deserve or what a fault makes of it, pings, and ends."""

import asyncio
import contextlib
import itertools
import socket
import struct
from dataclasses import dataclass
from typing import assert_never

from aiohttp import WSMessage, WSMsgType, web

from poller.simulator.envelope import encode
from poller.simulator.faults import Freeze, HangUp, Outcome, Reset
from poller.simulator.scripts import Stage
from poller.simulator.state import Peer, State

_CLOSING_SECONDS = 1.0
_ENDED = {WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRules:
    """How the exchange treats a WebSocket; all in seconds.

    Attributes:
        ping_interval: Between the server's pings.
        pong_timeout: Without an answer to any of them, after which it hangs up.
        lifetime: After which it hangs up in any case.
        shutdown_notice: How long before that a `serverShutdown` event is sent; None sends none.
        latency: What every reply takes.
    """

    ping_interval: float = 180
    pong_timeout: float = 600
    lifetime: float = 86_400
    shutdown_notice: float | None = None
    latency: float = 0


class Connection:
    """A WebSocket that was accepted."""

    def __init__(self, state: State, rules: ConnectionRules, peer: Peer, websocket: web.WebSocketResponse) -> None:
        self.peer = peer
        self._state = state
        self._rules = rules
        self._websocket = websocket
        self._held: list[bytes] = []
        self._pings: set[bytes] = set()
        self._answered_at = asyncio.get_running_loop().time()
        self._is_frozen = False

    async def run(self, transport: asyncio.Transport) -> None:
        """Serve until either side ends the connection."""
        self._transport = transport
        async with asyncio.TaskGroup() as tasks:
            timers = [tasks.create_task(timer) for timer in (self._ping(), self._await_pongs(), self._grow_old())]
            answering: set[asyncio.Task[None]] = set()
            while True:
                message = await self._websocket.receive()
                if await self._has_ended(message):
                    break
                if message.type in {WSMsgType.TEXT, WSMsgType.BINARY} and not self._is_frozen:
                    task = tasks.create_task(self._serve(message))
                    answering.add(task)
                    task.add_done_callback(answering.discard)
            for unfinished in (*timers, *answering):
                unfinished.cancel()

    @property
    def is_open(self) -> bool:
        """Whether neither side has ended it."""
        return not self._websocket.closed

    async def hang_up(self, code: int, reason: bytes = b"") -> None:
        """Close the WebSocket; a frozen one is cut."""
        if self._is_frozen:
            self._transport.abort()
            return
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self._websocket.close(code=code, message=reason)
        except TimeoutError:
            self._transport.abort()

    async def announce_shutdown(self, *, wrapped: bool = True) -> None:
        """Tell the client that this connection will end soon, by `{"event": …}` or bare: both forms are in use."""
        event = {"e": "serverShutdown", "E": self._state.server_ms()}
        await self._send(encode({"event": event} if wrapped else event))

    async def _has_ended(self, message: WSMessage) -> bool:
        if message.type is WSMsgType.PING and not self._is_frozen:
            with contextlib.suppress(ConnectionError):
                await self._websocket.pong(message.data)
        elif message.type is WSMsgType.PONG:
            self._note_pong(message.data)
        elif message.type is WSMsgType.CLOSE:
            if self._is_frozen:
                # Nothing more can be received; the client's giving up on the socket cancels us.
                await asyncio.Event().wait()
            await self._websocket.close(drain=False)
            return True
        return message.type in _ENDED

    async def _serve(self, message: WSMessage) -> None:
        # Requests are text; the bytes of a binary frame are refused like any other malformed request.
        frame = message.data if message.type is WSMsgType.TEXT else ""
        answer = self._state.answer(self.peer, frame)
        outcome = self._state.faults.outcome(Stage.REQUEST, self.peer.market, answer=answer, label=answer.label)
        await asyncio.sleep(self._rules.latency + outcome.delay)
        await self._deliver(outcome)

    async def _deliver(self, outcome: Outcome) -> None:
        if outcome.is_late:
            self._held.extend(outcome.frames)
        elif outcome.frames:
            frames = (*outcome.frames, *self._held)
            self._held.clear()
            for frame in frames:
                await self._send(frame)
        match outcome.ending:
            case None:
                pass
            case HangUp(code=code, reason=reason):
                await self.hang_up(code, reason)
            case Reset():
                reset(self._transport)
            case Freeze():
                self._is_frozen = True
            case _ as unreachable:
                assert_never(unreachable)

    async def _send(self, frame: bytes) -> None:
        if self._is_frozen:
            return
        with contextlib.suppress(ConnectionError):  # the client was faster to end the connection
            await self._websocket.send_frame(frame, WSMsgType.TEXT)

    async def _ping(self) -> None:
        for number in itertools.count(1):
            await asyncio.sleep(self._rules.ping_interval)
            if self._is_frozen:
                return
            payload = f"{self._state.server_ms()}.{number}".encode()
            self._pings.add(payload)
            with contextlib.suppress(ConnectionError):
                await self._websocket.ping(payload)

    def _note_pong(self, payload: bytes) -> None:
        if bytes(payload) in self._pings:  # an unsolicited pong is allowed, but does not keep the connection
            self._pings.clear()
            self._answered_at = asyncio.get_running_loop().time()
            self._state.journal.record_pong(self.peer.market)

    async def _await_pongs(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            left = self._answered_at + self._rules.pong_timeout - now()
            if left <= 0:
                return await self._dismiss(1008, b"Pong timeout")
            await asyncio.sleep(left)

    async def _grow_old(self) -> None:
        notice = self._rules.shutdown_notice
        await asyncio.sleep(self._rules.lifetime - (notice or 0))
        if notice is not None:
            await self.announce_shutdown()
            await asyncio.sleep(notice)
        await self._dismiss(1001)

    async def _dismiss(self, code: int, reason: bytes = b"") -> None:
        # A half-open connection is one that nobody ends, our own rules included.
        if not self._is_frozen:
            await self.hang_up(code, reason)


def reset(transport: asyncio.BaseTransport | None) -> None:
    """End a TCP connection with a reset instead of a farewell."""
    if not isinstance(transport, asyncio.Transport):
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
