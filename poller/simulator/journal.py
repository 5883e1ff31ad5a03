"""What the exchange saw, for tests and for people who try their own client."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from poller.observation import Market

_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """A WebSocket request or, with its path as the method, a REST request.

    Attributes:
        label: The account, when the request could prove it.
        at_ms: When it came, by the exchange's clock.
        status: What it deserved; a fault may have answered something else.
        connection: Numbers the WebSocket that it came on, from 1; 0 for REST.
        timestamp_ms: When it was made, by its own account.
    """

    market: Market
    method: str
    label: str | None
    at_ms: int
    status: int
    connection: int = 0
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenHandshake:
    """An attempt to open a WebSocket; `status` is 101 when it was accepted."""

    market: Market
    at_ms: int
    status: int


class Journal:
    """The last 10,000 requests and handshakes, and how many there were in all, by market."""

    def __init__(self) -> None:
        self.requests: deque[SeenRequest] = deque(maxlen=_KEPT)
        self.handshakes: deque[SeenHandshake] = deque(maxlen=_KEPT)
        self.pongs: Counter[Market] = Counter()
        self.request_count: Counter[Market] = Counter()
        self.handshake_count: Counter[Market] = Counter()
        self._waiting: list[asyncio.Future[None]] = []

    def record(self, seen: SeenRequest | SeenHandshake) -> None:
        """Keep what was seen and wake who waits for it."""
        if isinstance(seen, SeenRequest):
            self.requests.append(seen)
            self.request_count[seen.market] += 1
        else:
            self.handshakes.append(seen)
            self.handshake_count[seen.market] += 1
        self._wake()

    def record_pong(self, market: Market) -> None:
        """Count a pong that answers one of our pings."""
        self.pongs[market] += 1
        self._wake()

    async def wait_until(self, holds: "Callable[[Journal], bool]") -> None:
        """Return as soon as `holds` is true of this journal."""
        while not holds(self):
            change = asyncio.get_running_loop().create_future()
            self._waiting.append(change)
            await change

    def _wake(self) -> None:
        for change in self._waiting:
            if not change.done():
                change.set_result(None)
        self._waiting.clear()
