"""What leaves this address besides polls: handshakes and REST requests, under the same holds and the same budget."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, TypeVar

import aiohttp
import structlog

from poller.errors import ClockUnavailableError, RestRefusedError, RestUnavailableError
from poller.exchange.budget import Budget, Spent
from poller.exchange.clock import ExchangeClock, Sample, steady_seconds
from poller.exchange.connection import Connection, HandshakeError
from poller.exchange.endpoints import HANDSHAKE_WEIGHT, TIME_WEIGHT, Endpoint
from poller.exchange.frames import Unexpected
from poller.exchange.holds import Hold, Holds
from poller.exchange.http import Rest
from poller.exchange.messages import RemoteError
from poller.exchange.rest import server_time
from poller.exchange.verdict import Action, assess, judge, public_message
from poller.exchange.weight import Weight
from poller.observation import Market

_REST_SECONDS: Final = 5.0
_LOOK_AGAIN_SECONDS: Final = 1.0
_HANDSHAKE_SECONDS: Final = 60.0
_HARMLESS: Final = frozenset({Unexpected.LATE, Unexpected.EVENT})

T = TypeVar("T")

_log = structlog.stdlib.get_logger()


class Wire:
    """The way out of one process.

    Attributes:
        clock: Exchange time, measured over REST.
        budget: The weight that may leave here.
        holds: What must not be asked now.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoints: Mapping[Market, Endpoint],
        *,
        share: float,
        on_hold: Callable[[Hold], None] | None = None,
        steady: Callable[[], float] = steady_seconds,
    ) -> None:
        """Prepare to ask the markets in `endpoints`.

        Args:
            session: With the proxy, if there is one.
            endpoints: Those that are polled.
            share: Of the address's weight that may be used up here.
            on_hold: Told each hold when it begins or grows, after it was logged.
            steady: Seconds that nobody can set.
        """
        self._session = session
        self._endpoints = endpoints
        self._on_hold = on_hold
        self._steady = steady
        self.clock = ExchangeClock(self.sample, steady=steady)
        self.budget = Budget(Weight(self.clock.now_ms, measured=self._is_measured), share=share)
        self.holds = Holds(self.clock, self._held)

    async def connect(self, market: Market, unexpected: Counter[Unexpected]) -> Connection:
        """Open a socket, unless the whole address has to be silent: a handshake costs weight on it, too.

        Raises:
            HandshakeError: There is no socket.
        """
        with await self._patiently(HANDSHAKE_WEIGHT) as spent:
            spent.send()
            try:
                return await Connection.open(
                    self._session,
                    self._endpoints[market].ws_url,
                    unexpected,
                    on_unexpected=partial(self._overhear, market),
                )
            except HandshakeError as exc:
                verdict = judge(exc)
                if verdict.pauses:
                    self.holds.apply(verdict, market, reason=str(exc), retry_after_seconds=exc.retry_after_seconds)
                raise

    async def sample(self) -> Sample:
        """Ask the markets in turn for the time: they belong to one exchange, and any of them may be down.

        Raises:
            ClockUnavailableError: None tells it now.
        """
        reason = "no market is polled"
        for endpoint in self._endpoints.values():
            ask = partial(server_time, self._session, endpoint, steady=self._steady)
            try:
                return await self.rest(endpoint.market, TIME_WEIGHT, ask)
            except (RestUnavailableError, RestRefusedError) as exc:
                reason = str(exc)
        raise ClockUnavailableError(f"the exchange did not tell its time: {reason}")

    async def rest(self, market: Market, weight: int, request: Callable[[], Awaitable[Rest[T]]]) -> T:
        """Send a REST request if that is possible soon, and return the value in its answer.

        Raises:
            RestUnavailableError: It was not sent, or not answered.
            RestRefusedError: The exchange refused it.
        """
        if self.holds.silent_seconds():
            raise RestUnavailableError("the exchange has asked for silence")
        spent = await self.budget.admit(weight, deadline=asyncio.get_running_loop().time() + _REST_SECONDS)
        if spent is None:
            raise RestUnavailableError(self.budget.reason)
        with spent:
            spent.send()
            try:
                answer = await request()
            except RestRefusedError as exc:
                self._refused(market, exc, spent)
                raise
            if answer.used_weight is not None:
                spent.told(answer.used_weight)
        return answer.value

    async def _patiently(self, weight: int) -> Spent:
        while True:
            if silent := self.holds.silent_seconds():
                # The clock of a sleep stands still while the machine is suspended, the one of holds goes on.
                await asyncio.sleep(min(silent, _LOOK_AGAIN_SECONDS))
                continue
            deadline = asyncio.get_running_loop().time() + _HANDSHAKE_SECONDS
            spent = await self.budget.admit(weight, deadline=deadline)
            if spent is None:
                continue
            if not self.holds.silent_seconds():
                return spent
            spent.end()

    def _refused(self, market: Market, exc: RestRefusedError, spent: Spent) -> None:
        if exc.used_weight is not None:
            spent.told(exc.used_weight)
        verdict = assess(status=exc.status, code=exc.code)
        if verdict.pauses:
            error = RemoteError(exc.code or 0, exc.msg)
            self.holds.apply(verdict, market, reason=str(exc), error=error, retry_after_seconds=exc.retry_after_seconds)

    def _overhear(self, market: Market, kind: Unexpected, body: bytes) -> None:
        log = _log.debug if kind in _HARMLESS else _log.warning
        frame = public_message(body[:300].decode(errors="replace"))
        log("unexpected frame", market=market.value, kind=kind.value, frame=frame)
        self.holds.overhear(market, body)

    def _held(self, hold: Hold) -> None:
        whose = {"account": hold.account, "market": hold.market and hold.market.value}
        log = _log.bind(**{name: value for name, value in whose.items() if value})
        facts = {
            "until": hold.until.isoformat(timespec="seconds"),
            "seconds": round(hold.seconds, 1),
            "reason": hold.reason,
        }
        match hold.action:
            case Action.PAUSE:
                log.warning("address paused", **facts)
            case Action.BAN:
                log.error("address banned", **facts)
            case Action.BACK_OFF:
                log.warning("market left alone", **facts)
            case Action.REFUSE:
                log.warning("account refused", **facts)
            case _:
                log.error("request rejected", **facts)
        if self._on_hold is not None:
            self._on_hold(hold)

    def _is_measured(self) -> bool:
        return self.clock.offset_ms is not None
