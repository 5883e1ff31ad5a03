"""What all connections of one simulated exchange share, and what a frame deserves. No sockets here."""

from collections.abc import Callable
from dataclasses import dataclass, field

from poller.observation import Market
from poller.simulator.accounts import Account
from poller.simulator.envelope import Answer
from poller.simulator.journal import Journal, SeenRequest
from poller.simulator.keys import Keyring
from poller.simulator.refusal import Refusal, RefusedError, refuse
from poller.simulator.replies import account_result
from poller.simulator.requests import Request, authenticate, decode, wants_rate_limits
from poller.simulator.scripts import Faults
from poller.simulator.venues import ACCOUNT_WEIGHT, LIGHT_WEIGHT, VENUES
from poller.simulator.weight import WeightLimits, WeightPool

_UNREADABLE = Request(None, "", {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The far end of one WebSocket.

    Attributes:
        shows_limits: Whether replies tell of the budget, unless a request says otherwise.
        number: Of the connection, from 1.
    """

    market: Market
    ip: str
    shows_limits: bool
    number: int


@dataclass(slots=True, kw_only=True)
class State:
    """Keys, budgets, faults and the clock.

    Attributes:
        clock: Seconds since the epoch.
        clock_offset: Seconds by which the exchange's clock is ahead of `clock`.
    """

    seed: int
    clock: Callable[[], float]
    limits: WeightLimits
    clock_offset: float = 0.0
    keyring: Keyring = field(default_factory=Keyring)
    faults: Faults = field(default_factory=Faults)
    journal: Journal = field(default_factory=Journal)
    pools: dict[str, WeightPool] = field(default_factory=dict)

    def server_ms(self) -> int:
        """Return the exchange's time in ms since the epoch."""
        return int((self.clock() + self.clock_offset) * 1000)

    def pool(self, ip: str) -> WeightPool:
        """Return the budget of an IP."""
        return self.pools.setdefault(ip, WeightPool(ip, self.limits))

    def answer(self, peer: Peer, frame: str) -> Answer:
        """Count a frame and return what it deserves."""
        server_ms = self.server_ms()
        request, verdict = self._judge(peer, frame, server_ms)
        shows_limits = wants_rate_limits(request.params, default=peer.shows_limits)
        blank = Answer(
            id=request.id,
            label=verdict.label if isinstance(verdict, Account) else None,
            limits=self.pool(peer.ip).rate_limits(server_ms) if shows_limits else None,
            server_ms=server_ms,
        )
        if isinstance(verdict, Account):
            answer = blank.with_result(account_result(self.seed, verdict, peer.market, server_ms))
        else:
            answer = blank.with_refusal(verdict)
        self._record(peer, request, answer)
        return answer

    def _judge(self, peer: Peer, frame: str, server_ms: int) -> tuple[Request, Account | Refusal]:
        request = _UNREADABLE
        method = VENUES[peer.market].method
        try:
            try:
                request = decode(frame)
            finally:
                # What cannot be read costs too, and being over the limit outranks every other refusal.
                weight = ACCOUNT_WEIGHT if request.method == method else LIGHT_WEIGHT
                self.pool(peer.ip).spend(weight, server_ms)
            if request.method != method:
                raise refuse(400, -5000, f"Method {request.method} is invalid")
            return request, authenticate(self.keyring, request.params, server_ms)
        except RefusedError as exc:
            return request, exc.refusal

    def _record(self, peer: Peer, request: Request, answer: Answer) -> None:
        timestamp = request.params.get("timestamp")
        self.journal.record(
            SeenRequest(
                market=peer.market,
                method=request.method,
                label=answer.label,
                at_ms=answer.server_ms,
                status=answer.status,
                connection=peer.number,
                timestamp_ms=timestamp if isinstance(timestamp, int) else None,
            )
        )
