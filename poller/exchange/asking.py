"""One request on its way: through the weight budget and the holds to a socket, and what came of it."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from poller.errors import NotConnectedError, TransientError
from poller.exchange.budget import Budget, Spent
from poller.exchange.clock import ExchangeClock
from poller.exchange.holds import Holds
from poller.exchange.messages import RemoteError
from poller.exchange.pending import Reply
from poller.exchange.reconnect import Link
from poller.exchange.signing import Credentials, Params, signed_params
from poller.exchange.verdict import Verdict, judge, public_message
from poller.observation import Market, Status

_RECV_WINDOW_MS: Final = 5000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _HeldBackError(TransientError):
    """A hold has begun before the request was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked for, and in whose name."""

    account: str
    market: Market
    method: str
    weight: int
    credentials: Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of one request; its status is `paused` when it was held back, and then nothing was sent.

    Attributes:
        message: The exchange's words, or why there is no reply; without addresses and keys.
        requested_at: When it was sent, in exchange time; None when it was not.
        received_at: When the reply arrived, in exchange time.
    """

    verdict: Verdict
    message: str | None = None
    requested_at: datetime | None = None
    received_at: datetime | None = None
    reply: Reply | None = None

    @property
    def error(self) -> RemoteError | None:
        """The exchange's error, if that is what it replied."""
        return self.reply.envelope.error if self.reply and self.reply.envelope else None


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What all requests of one process share: one socket per market, one clock, one budget, one set of holds.

    Attributes:
        served: When each (account, market) was last asked for, in the loop's time: the longest ago comes first.
    """

    links: Mapping[Market, Link]
    clock: ExchangeClock
    budget: Budget
    holds: Holds
    served: dict[tuple[str, Market], float] = field(default_factory=dict)

    async def ask(self, question: Question, *, deadline: float) -> Attempt:
        """Send a request when the budget has room for it, and tell what came of it before `deadline` (loop time)."""
        last = self.served.get((question.account, question.market), -math.inf)
        spent = await self.budget.admit(question.weight, deadline=deadline, last=last)
        if spent is None:
            return Attempt(verdict=Verdict(Status.PAUSED), message=self.budget.reason)
        with spent:
            sending = _Sending(self, question, spent)
            try:
                reply = await self.links[question.market].request(question.method, sending.params, deadline=deadline)
            except _HeldBackError as exc:
                return Attempt(verdict=Verdict(Status.PAUSED), message=str(exc))
            except TransientError as exc:
                message = public_message(str(exc), question.credentials.api_key)
                requested_at = None if isinstance(exc, NotConnectedError) else sending.requested_at
                return Attempt(verdict=judge(exc), message=message, requested_at=requested_at)
            received_at = self.clock.now()
            if reply.envelope:
                spent.answer(reply.envelope.rate_limits)
        return self._judged(question, reply, sending.requested_at, received_at)

    def _judged(
        self, question: Question, reply: Reply, requested_at: datetime | None, received_at: datetime
    ) -> Attempt:
        verdict = judge(reply.envelope)
        error = reply.envelope.error if reply.envelope else None
        message = public_message(error.msg, question.credentials.api_key) if error else None
        if verdict.status is None:
            self.holds.succeeded(question.account, question.market)
        else:
            message = message or "the exchange gave no reason"
            self.holds.apply(verdict, question.market, reason=message, account=question.account, error=error)
        return Attempt(
            verdict=verdict, message=message, requested_at=requested_at, received_at=received_at, reply=reply
        )


def epoch_ms(instant: datetime) -> int:
    """Return an instant as the exchange writes it, in whole ms since the epoch."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


@dataclass(slots=True)
class _Sending:
    """The last look before a request is sent; `requested_at` is when that was."""

    exchange: Exchange
    question: Question
    spent: Spent
    requested_at: datetime | None = None

    def params(self) -> Params:
        """Sign at the moment of sending, so that a wait for the socket does not age the timestamp.

        Raises:
            _HeldBackError: A hold has begun during that wait.
        """
        exchange, question = self.exchange, self.question
        if held := exchange.holds.reason(question.account, question.market):
            raise _HeldBackError(held)
        self.spent.send()
        exchange.served[question.account, question.market] = asyncio.get_running_loop().time()
        self.requested_at = exchange.clock.now()
        timestamp_ms = epoch_ms(self.requested_at)
        return signed_params(question.credentials, timestamp_ms=timestamp_ms, recv_window_ms=_RECV_WINDOW_MS)
