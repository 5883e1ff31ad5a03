"""The last hours of the simulated exchange in a spool, as a daemon that ran there would have left them."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from poller import __version__
from poller.codec import compress
from poller.observation import Entry, Environment, Market, Observation, Promise, RunStarted, RunStopped, Status
from poller.simulator.accounts import Account
from poller.simulator.envelope import encode
from poller.simulator.replies import account_result
from poller.spool import Spool

Away = Mapping[int, tuple[Status, str]]
"""Why ticks have no reply, by their number from the newest, which is 1."""

_INSTANCE: Final = "an earlier run"


async def leave(path: Path, *accounts: Account, hours: float, interval_seconds: int, away: Away, seed: int = 0) -> None:
    """Make a spool that waits to be stored: every account on both markets, from `hours` ago until now.

    Args:
        path: Of the spool.
        accounts: As the simulated exchange has them.
        hours: How far back the first tick is.
        interval_seconds: From one tick to the next.
        away: What went wrong, for all of them.
        seed: Of the simulated exchange.
    """
    spool = await Spool.open(path, max_size=2**30)
    try:
        for entries in _entries(accounts, hours, interval_seconds, away, seed=seed, recorder=spool.recorder):
            await asyncio.gather(*map(spool.append, entries))
    finally:
        await spool.close()


def _entries(
    accounts: tuple[Account, ...], hours: float, interval_seconds: int, away: Away, *, seed: int, recorder: str
) -> Iterator[list[Entry]]:
    step = timedelta(seconds=interval_seconds)
    newest = datetime.fromtimestamp(datetime.now(UTC).timestamp() // interval_seconds * interval_seconds, UTC)
    ticks = range(round(timedelta(hours=hours) / step), 0, -1)
    series = [(account, market) for account in accounts for market in Market]
    promises = tuple(
        Promise(account=account.label, market=market, interval_seconds=interval_seconds) for account, market in series
    )
    yield [
        RunStarted(
            instance=_INSTANCE,
            recorder=recorder,
            release=__version__,
            environment=Environment.SIMULATED,
            started_at=newest - (ticks[0] - 0.5) * step,
            promises=promises,
        )
    ]
    for tick in ticks:
        time = newest - (tick - 1) * step
        yield [_observation(account, market, time, away.get(tick), seed) for account, market in series]
    yield [RunStopped(instance=_INSTANCE, stopped_at=newest + step / 10, reason="SIGTERM")]


def _observation(
    account: Account, market: Market, time: datetime, failure: tuple[Status, str] | None, seed: int
) -> Observation:
    status, message = failure or (None, None)
    codec, body = 0, b""
    if failure is None:
        result = account_result(seed, account, market, int(time.timestamp() * 1000))
        codec, body = compress(market, encode({"id": "1", "status": 200, "result": result}))
    return Observation(
        environment=Environment.SIMULATED,
        account=account.label,
        market=market,
        time=time,
        status=status,
        requested_at=time,
        received_at=None if failure else time + timedelta(milliseconds=12),
        latency_ms=None if failure else 12,
        attempts=1,
        error_message=message,
        codec=codec,
        body=body,
        instance=_INSTANCE,
    )
