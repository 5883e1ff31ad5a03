"""One poll of one (account, market): from the tick to an observation.

Owns the deadline of the tick and decides every status but `ok` and `malformed`, which the normaliser decides.
"""

import asyncio
import random
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from poller.codec import compress
from poller.errors import ClockUnavailableError
from poller.exchange.asking import Attempt, Exchange, Question
from poller.exchange.verdict import Verdict
from poller.observation import AssetMode, AssetModeSource, Environment, Observation, PositionMode, Status

MAX_DEADLINE_SECONDS: Final = 10.0
_SHARE_OF_INTERVAL: Final = 0.8
_RETRY_SECONDS: Final = (0.2, 0.4, 0.8, 1.6)
_INT32: Final = 2**31

_log = structlog.stdlib.get_logger()


def deadline_seconds(interval_seconds: float) -> float:
    """Return how long after its instant a tick may take, with queueing, retries and clock measurement."""
    return min(MAX_DEADLINE_SECONDS, _SHARE_OF_INTERVAL * interval_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(Question):
    """One (account, market), and how it is asked."""

    environment: Environment
    interval_seconds: int
    asset_mode: AssetMode | None = None
    asset_mode_source: AssetModeSource | None = None
    position_mode: PositionMode | None = None


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
    if held := exchange.holds.reason(target.account, target.market):
        return tick.observation(Status.PAUSED, held)
    if asyncio.get_running_loop().time() >= deadline:
        return tick.observation(Status.SKIPPED, "this process came to it after its deadline")
    try:
        return await tick.run(deadline)
    except Exception as exc:  # noqa: BLE001 - a fault of ours in one poll must cost one tick, not the recording of all
        _log.exception("poll failed unexpectedly", **tick.whose)
        return tick.observation(Status.EXCHANGE_ERROR, f"internal error: {type(exc).__name__}")


def unanswered(
    target: Target, time: datetime, status: Status, reason: str, *, exchange: Exchange, instance: str
) -> Observation:
    """Return the observation of a tick for which nothing was sent."""
    return _Tick(target, time, exchange, instance).observation(status, reason)


class _Tick:
    """The attempts of one tick; only the newest request of it is live."""

    def __init__(self, target: Target, time: datetime, exchange: Exchange, instance: str) -> None:
        self._target = target
        self._time = time
        self._exchange = exchange
        self._instance = instance
        self._attempts = 0

    async def run(self, deadline: float) -> Observation:
        """Try until there is an answer, another try cannot help or the next one would pass the deadline."""
        last = await self._attempt(deadline)
        for pause in _RETRY_SECONDS:
            if not last.verdict.retry or not await self._may_retry(last.verdict, pause, deadline):
                break
            again = await self._attempt(deadline)
            if again.verdict.status is Status.PAUSED:
                break  # nothing was sent, so what the exchange said before is the outcome
            repeated, last = last.verdict.resync and again.verdict.resync, again
            if repeated:
                _log.error("timestamp refused again", **self.whose, offset_ms=self._exchange.clock.offset_ms)
                break
        self._conclude(last)
        return self.observation(last.verdict.status, last.message, last)

    def observation(self, status: Status | None, message: str | None, attempt: Attempt | None = None) -> Observation:
        """Return what the tick produced, ended by `status`; None leaves the reply to the normaliser."""
        target, weight = self._target, self._exchange.budget.weight
        reply = attempt.reply if attempt else None
        envelope = reply.envelope if reply else None
        codec, body = (0, b"") if reply is None or status is not None else compress(target.market, reply.body)
        return Observation(
            environment=target.environment,
            account=target.account,
            market=target.market,
            time=self._time,
            status=status,
            requested_at=attempt.requested_at if attempt else None,
            received_at=attempt.received_at if attempt else None,
            latency_ms=reply.latency_ms if reply else None,
            attempts=self._attempts,
            clock_offset_ms=self._exchange.clock.offset_ms,
            weight_used=_small(weight.used),
            weight_limit=_small(weight.limit),
            exchange_status=_small(envelope.status if envelope else None),
            error_code=_small(envelope.error.code if envelope and envelope.error else None),
            error_message=message,
            asset_mode=target.asset_mode,
            asset_mode_source=target.asset_mode_source,
            codec=codec,
            body=body,
            instance=self._instance,
            position_mode=target.position_mode,
        )

    async def _attempt(self, deadline: float) -> Attempt:
        attempt = await self._exchange.ask(self._target, deadline=deadline)
        self._attempts += attempt.requested_at is not None
        return attempt

    async def _may_retry(self, verdict: Verdict, pause: float, deadline: float) -> bool:
        """Wait a little, and tell whether another attempt fits into the tick."""
        delay = random.uniform(0, pause)  # noqa: S311 - spreads retries, guards nothing
        if asyncio.get_running_loop().time() + delay >= deadline:
            return False
        if verdict.resync and not (await self._measure_clock(deadline) and self._is_now()):
            return False
        await asyncio.sleep(delay)
        return True

    def _conclude(self, last: Attempt) -> None:
        """Hold what the last attempt speaks against, although each of them might have passed."""
        if last.verdict.retry:
            reason, account = last.message or f"{last.verdict.status}", self._target.account
            self._exchange.holds.apply(
                last.verdict.consequence, self._target.market, reason=reason, account=account, error=last.error
            )

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

    @property
    def whose(self) -> dict[str, str]:
        return {"account": self._target.account, "market": self._target.market.value}


def _small(number: int | None) -> int | None:
    """Return a status, code or weight, unless it is no such thing: they have few digits, their columns 32 bits."""
    return number if number is not None and abs(number) < _INT32 else None
