"""The requests of one socket that wait for their reply; knows nothing of the socket.

Requests and replies are matched by `id` and by nothing else, so a reply that comes late, twice or unasked can never be
taken for another.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_urlsafe

from poller.errors import ConnectionLostError, OversizedFrameError
from poller.exchange.frames import Unexpected, decode_envelope, unaddressed
from poller.exchange.messages import Envelope

OnUnexpected = Callable[[Unexpected, bytes], None]
"""Is shown each frame that answers no request."""

_REMEMBERED = 1000
_ID_BYTES = 6  # kept with every reply; fewer could be found by chance in a frame that cannot be decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The frame that answers a request.

    Attributes:
        body: The frame as received.
        envelope: None when the frame cannot be decoded, yet holds the id of the request.
        latency_ms: From sending to receiving, by the monotonic clock.
    """

    body: bytes = field(repr=False)
    envelope: Envelope | None
    latency_ms: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that is about to be sent; `outcome` is a value, so that nobody has to look at it."""

    id: str
    outcome: asyncio.Future[Reply | ConnectionLostError]
    sent_at: float


class PendingRequests:
    """All requests that were sent on one socket and have neither a reply nor been given up.

    Attributes:
        silent_rounds: How often in a row requests were given up without a frame since; those given up together count
            once.
    """

    def __init__(self, unexpected: Counter[Unexpected], on_unexpected: OnUnexpected | None = None) -> None:
        self._unexpected = unexpected
        self._on_unexpected = on_unexpected
        self._loop = asyncio.get_running_loop()
        self._by_id: dict[str, Pending] = {}
        self._given_up: deque[str] = deque(maxlen=_REMEMBERED)
        self._owed_since: float | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def silence(self) -> float:
        """How many seconds ago the first request began that no frame has followed; 0 when there is none."""
        return 0.0 if self._owed_since is None else self._loop.time() - self._owed_since

    @contextmanager
    def expect(self) -> Iterator[Pending]:
        """Wait for one reply inside the block; a block that is cancelled gives it up."""
        pending = Pending(token_urlsafe(_ID_BYTES), self._loop.create_future(), self._loop.time())
        self._by_id[pending.id] = pending
        if self._owed_since is None:
            self._owed_since = pending.sent_at
        try:
            yield pending
        except asyncio.CancelledError:
            self._give_up(pending)
            raise
        finally:
            self._by_id.pop(pending.id, None)

    def receive(self, body: bytes) -> Unexpected | None:
        """Deliver a frame to the request that it answers; return what it is when it answers none."""
        received_at = self._loop.time()
        self._owed_since = None
        envelope = decode_envelope(body)
        request_id = envelope.id if envelope is not None else self._only_id_in(body)
        pending = self._by_id.pop(request_id, None) if isinstance(request_id, str) else None
        if pending is None:
            return self._survive(self._kind(envelope, body), body)
        if pending.outcome.done():  # its deadline passed in this very turn of the loop
            return self._survive(Unexpected.LATE, body)
        latency_ms = round((received_at - pending.sent_at) * 1000)
        pending.outcome.set_result(Reply(body=body, envelope=envelope, latency_ms=latency_ms))
        return None

    def fail(self, reason: str, *, oversized: bool = False) -> None:
        """End the wait of every request with an error of its own.

        A frame above the limit is never read, so whose it was is known only when just one request can be meant.
        """
        waiting = [pending.outcome for pending in self._by_id.values() if not pending.outcome.done()]
        known = oversized and len(waiting) == 1 and not self._given_up
        for outcome in waiting:
            outcome.set_result(OversizedFrameError(reason) if known else ConnectionLostError(reason))

    async def settle(self) -> None:
        """Return when no request is pending."""
        while self._by_id:
            await asyncio.wait([pending.outcome for pending in self._by_id.values()])

    def _give_up(self, pending: Pending) -> None:
        if self._by_id.pop(pending.id, None) is not None:
            self._given_up.append(pending.id)
        elif not pending.outcome.cancelled() and isinstance(reply := pending.outcome.result(), Reply):
            self._survive(Unexpected.LATE, reply.body)

    def _only_id_in(self, body: bytes) -> str | None:
        found = [request_id for request_id in self._by_id if request_id.encode() in body]
        return found[0] if len(found) == 1 else None

    def _kind(self, envelope: Envelope | None, body: bytes) -> Unexpected:
        if envelope is None:
            return Unexpected.UNDECODABLE
        if envelope.id is None:
            return unaddressed(envelope, body)
        if isinstance(envelope.id, str) and envelope.id in self._given_up:
            self._given_up.remove(envelope.id)
            return Unexpected.LATE
        return Unexpected.UNKNOWN

    def _survive(self, kind: Unexpected, body: bytes) -> Unexpected:
        self._unexpected[kind] += 1
        if self._on_unexpected is not None:
            self._on_unexpected(kind, body)
        return kind
