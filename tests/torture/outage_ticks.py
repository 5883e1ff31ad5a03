"""Observations of simulated accounts, second after second, made faster than the seconds pass."""

import random
from datetime import UTC, datetime, timedelta
from typing import Final

from poller.codec import compress
from poller.observation import Environment, Market, Observation
from poller.simulator.accounts import Account
from poller.simulator.envelope import encode
from poller.simulator.replies import account_result

_REPLIES: Final = 30
_APART: Final = timedelta(seconds=107)
_BEGINNING: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Ticks:
    """The ticks of some accounts on one market, each second one of each; the replies repeat after a while.

    Attributes:
        count: How many were made.
    """

    def __init__(self, chance: random.Random, market: Market, *, accounts: int) -> None:
        self._market = market
        self._accounts = accounts
        self.count = 0
        seed = chance.randrange(2**32)
        self._replies = [
            [_reply(seed, market, f"account {number}", _BEGINNING + index * _APART) for index in range(_REPLIES)]
            for number in range(accounts)
        ]

    def next(self) -> Observation:
        """Return the next observation."""
        second, number = divmod(self.count, self._accounts)
        self.count += 1
        codec, body = self._replies[number][second % _REPLIES]
        time = _BEGINNING + timedelta(seconds=second)
        return Observation(
            environment=Environment.SIMULATED,
            account=f"account {number}",
            market=self._market,
            time=time,
            status=None,
            requested_at=time,
            received_at=time + timedelta(milliseconds=20),
            latency_ms=20,
            attempts=1,
            clock_offset_ms=1,
            weight_used=5,
            weight_limit=2400,
            exchange_status=200,
            codec=codec,
            body=body,
            instance="0123456789abcdef0123456789abcdef",
        )


def _reply(seed: int, market: Market, label: str, at: datetime) -> tuple[int, bytes]:
    result = account_result(seed, Account(label=label), market, int(at.timestamp() * 1000))
    return compress(market, encode({"id": f"{seed:032x}", "status": 200, "result": result, "rateLimits": []}))
