"""A spool that holds polls of the past, as after a long outage."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Final

from poller.codec import compress
from poller.errors import SpoolFullError
from poller.observation import Environment, Market, Observation
from poller.spool import Spool
from tests.torture.program import Workplace

_AT_ONCE: Final = 200


async def fill(workplace: Workplace, *, max_size: int, count: int | None) -> int:
    """Append one poll for each of the last `count` seconds, or until the spool is full; return how many."""
    spool = await Spool.open(workplace.spool, max_size=max_size)
    account = workplace.accounts[0]
    codec, body = compress(Market.USDM, _reply(workplace, account))
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=count or 100_000)
    appended = 0
    try:
        while count is None or appended < count:
            some = range(appended, appended + min(_AT_ONCE, (count or appended + _AT_ONCE) - appended))
            await asyncio.gather(
                *(
                    spool.append(_observation(account, first + timedelta(seconds=second), codec, body))
                    for second in some
                )
            )
            appended += len(some)
    except SpoolFullError:
        assert count is None, "the backlog does not fit"
    finally:
        await spool.close()
    return appended


def _observation(account: str, time: datetime, codec: int, body: bytes) -> Observation:
    return Observation(
        environment=Environment.SIMULATED,
        account=account,
        market=Market.USDM,
        time=time,
        status=None,
        requested_at=time,
        received_at=time + timedelta(milliseconds=20),
        latency_ms=20,
        attempts=1,
        codec=codec,
        body=body,
        instance="an earlier run",
    )


def _reply(workplace: Workplace, account: str) -> bytes:
    result = workplace.exchange.result(account, Market.USDM)
    return json.dumps({"id": 1, "status": 200, "result": result, "rateLimits": []}).encode()
