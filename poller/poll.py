"""One poll of one (account, market): from the tick to an observation.

Owns the deadline of the tick and decides every status but `ok` and `malformed`, which the normaliser decides.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from poller.codec import compress
from poller.errors import ClockUnavailableError, TransientError
from poller.exchange.clock import ExchangeClock
from poller.exchange.pending import Reply
from poller.exchange.reconnect import Link
from poller.exchange.signing import Credentials, Params, signed_params
from poller.exchange.verdict import Verdict, judge, judge_failure, public_message, quiet_until
from poller.exchange.weight import Weight
from poller.observation import AssetMode, AssetModeSource, Environment, Market, Observation, Status

MAX_DEADLINE_SECONDS: Final = 10.0
_SHARE_OF_INTERVAL: Final = 0.8
_RETRY_SECONDS: Final = (0.2, 0.4, 0.8, 1.6)
_RECV_WINDOW_MS: Final = 5000
_INT32: Final = 2**31
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_log = structlog.stdlib.get_logger()


def deadline_seconds(interval_seconds: float) -> float:
    """Return how long after its instant a tick may take, with queueing, retries and clock measurement."""
    return min(MAX_DEADLINE_SECONDS, _SHARE_OF_INTERVAL * interval_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One (account, market), and how it is asked."""

    environment: Environment
    account: str
    market: Market
    method: str
    weight: int
    interval_seconds: int
    credentials: Credentials
    asset_mode: AssetMode | None = None


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What all polls of one process share: one socket per market, one clock, one weight budget, one silence.

    Attributes:
        quiet_until: Nothing is sent from this IP before, because the exchange said so.
    """

    links: Mapping[Market, Link]
    clock: ExchangeClock
    weight: Weight
    quiet_until: datetime | None = None

    def silent_seconds(self) -> float:
        """Return for how long nothing may be sent from this IP."""
        return 0.0 if self.quiet_until is None else max(0.0, (self.quiet_until - self.clock.now()).total_seconds())


async def poll(target: Target, time: datetime, *, exchange: Exchange, deadline: float, instance: str) -> Observation:
    """Ask for the account until `deadline` at the latest, and tell what came of it.

    Args:
        target: Whom to ask for.
        time: The scheduled instant in exchange time.
        exchange: The way there.
        deadline: By the clock of the loop.
        instance: The run that polls.
    """
    tick = _Tick(target, time, exchange, instance)
    if exchange.silent_seconds():
        return tick.observation(
            Status.PAUSED, f"the exchange asked for silence until {exchange.quiet_until:%Y-%m-%d %H:%M:%S} UTC"
        )
    if asyncio.get_running_loop().time() >= deadline:
        return tick.observation(Status.SKIPPED, "this process came to it after its deadline")
    try:
        return await tick.run(deadline)
    except Exception as exc:  # noqa: BLE001 - a fault of ours in one poll must cost one tick, not the recording of all
        _log.exception("poll failed unexpectedly", account=target.account, market=target.market.value)
        return tick.observation(Status.EXCHANGE_ERROR, f"internal error: {type(exc).__name__}")


def unanswered(
    target: Target, time: datetime, status: Status, reason: str, *, exchange: Exchange, instance: str
) -> Observation:
    """Return the observation of a tick for which nothing was sent."""
    return _Tick(target, time, exchange, instance).observation(status, reason)


def epoch_ms(instant: datetime) -> int:
    """Return an instant as the exchange writes it, in whole ms since the epoch."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


class _Tick:
    """The attempts of one tick; only the newest request of it is live."""

    def __init__(self, target: Target, time: datetime, exchange: Exchange, instance: str) -> None:
        self._target = target
        self._time = time
        self._exchange = exchange
        self._instance = instance
        self._attempts = 0
        self._requested_at: datetime | None = None
        self._received_at: datetime | None = None
        self._reply: Reply | None = None
        self._failure = ""

    async def run(self, deadline: float) -> Observation:
        """Try until there is an answer, another try cannot help or the next one would pass the deadline."""
        loop = asyncio.get_running_loop()
        verdict = await self._attempt(deadline)
        for pause in _RETRY_SECONDS:
            delay = random.uniform(0, pause)  # noqa: S311 - spreads retries, guards nothing
            if not verdict.retry or loop.time() + delay >= deadline:
                break
            if verdict.resync and not (await self._measure_clock(deadline) and self._is_now()):
                break
            await asyncio.sleep(delay)
            again = await self._attempt(deadline)
            verdict = again if not (verdict.resync and again.resync) else Verdict(again.status)
        return self.observation(verdict.status, self._failure or None)

    def observation(self, status: Status | None, message: str | None) -> Observation:
        """Return what the tick produced so far, ended by `status`; None leaves the reply to the normaliser."""
        target, reply, weight = self._target, self._reply, self._exchange.weight
        envelope = reply.envelope if reply else None
        codec, body = (0, b"") if reply is None or status is not None else compress(target.market, reply.body)
        return Observation(
            environment=target.environment,
            account=target.account,
            market=target.market,
            time=self._time,
            status=status,
            requested_at=self._requested_at,
            received_at=self._received_at,
            latency_ms=reply.latency_ms if reply else None,
            attempts=self._attempts,
            clock_offset_ms=self._exchange.clock.offset_ms,
            weight_used=_small(weight.used),
            weight_limit=_small(weight.limit),
            exchange_status=_small(envelope.status if envelope else None),
            error_code=_small(envelope.error.code if envelope and envelope.error else None),
            error_message=message,
            asset_mode=target.asset_mode,
            asset_mode_source=AssetModeSource.CONFIG if target.asset_mode else None,
            codec=codec,
            body=body,
            instance=self._instance,
        )

    async def _attempt(self, deadline: float) -> Verdict:
        self._reply, self._received_at, self._failure = None, None, ""
        try:
            reply = await self._exchange.links[self._target.market].request(
                self._target.method, self._params, deadline=deadline
            )
        except TransientError as exc:
            self._failure = public_message(str(exc), self._target.credentials.api_key)
            return judge_failure(exc)
        self._reply, self._received_at = reply, self._exchange.clock.now()
        if reply.envelope and self._requested_at:
            sent_ms = epoch_ms(self._requested_at)
            self._exchange.weight.observe(reply.envelope.rate_limits, sent_ms=sent_ms)
        verdict = judge(reply.envelope)
        error = reply.envelope.error if reply.envelope else None
        if error is not None:
            self._failure = public_message(error.msg, self._target.credentials.api_key)
        if verdict.pauses:
            self._exchange.quiet_until = quiet_until(error, self._received_at)
        return verdict

    def _params(self) -> Params:
        """Sign at the moment of sending, so that a wait for the socket does not age the timestamp."""
        self._attempts += 1
        self._exchange.weight.spend(self._target.weight)
        self._requested_at = self._exchange.clock.now()
        timestamp_ms = epoch_ms(self._requested_at)
        return signed_params(self._target.credentials, timestamp_ms=timestamp_ms, recv_window_ms=_RECV_WINDOW_MS)

    def _is_now(self) -> bool:
        """Tell whether the tick is still of this moment: one of a wrong clock must not file a reply under its time."""
        return abs((self._exchange.clock.now() - self._time).total_seconds()) <= MAX_DEADLINE_SECONDS

    async def _measure_clock(self, deadline: float) -> bool:
        try:
            async with asyncio.timeout_at(deadline):
                await self._exchange.clock.measure()
        except (ClockUnavailableError, TimeoutError):
            return False
        return True


def _small(number: int | None) -> int | None:
    """Return a status, code or weight, unless it is no such thing: they have few digits, their columns 32 bits."""
    return number if number is not None and abs(number) < _INT32 else None
