"""Polls on the instant: a day of them in virtual time, and a minute on the clocks of this machine.

In virtual time the exchange's clock goes 20 ppm faster than the host's, its replies and its answers to the question
what time it is take up to 300 ms now and then, and the host's wall clock is slewed. Lateness is told by the true
clocks, so it holds the error of the measured one. On the real clocks ten accounts are polled on both markets with a
real database.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from poller.observation import Market
from poller.simulator import SimulatedExchange
from poller.simulator.faults import Delay
from poller.simulator.scripts import Stage
from poller.simulator.weight import WeightLimits
from poller.storage.schema import upgrade
from tests.support.database import execute, new_database
from tests.support.host import Host, Kept, recorded
from tests.support.recording import recording
from tests.support.way import journey_to, target
from tests.torture.terms import Figure, Terms

NAME = "cadence: 99.9 % of ticks within 50 ms of their instant, drift 0"

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_ON_TIME_SECONDS: Final = 0.05
_ACCOUNTS: Final = 10


async def torture(chance: random.Random, terms: Terms) -> AsyncIterator[Figure]:
    """Tell how late polls are."""
    ticks = _HOUR if terms.short else _DAY
    kept = await asyncio.to_thread(_virtual_day, chance, terms.folder / "virtual", ticks)
    for figure in _virtual_figures(kept, ticks):
        yield figure
    duration = 10 if terms.short else 60
    with new_database(terms.server, extension=False) as url:
        await asyncio.to_thread(upgrade, url, lambda _: None)
        late, expected = await _real_minute(terms.folder, url, duration)
    for figure in _lateness("real clocks", late, expected, bound="" if terms.short else ">= 99.9"):
        yield figure


def _virtual_day(chance: random.Random, folder: Path, ticks: int) -> Sequence[Kept]:
    host = Host(exchange_rate=1.00002, wall_slew=1 + chance.uniform(-0.0005, 0.0005))
    kept: list[Kept] = []

    async def day() -> None:
        async with SimulatedExchange(seed=chance.randrange(2**32), clock=host.exchange) as exchange:
            exchange.add_account("main")
            for stage in (Stage.REQUEST, Stage.REST):
                for _ in range(3):
                    exchange.faults.next(None, Delay(chance.uniform(0.005, 0.3)), stage=stage, times=None, share=0.1)
            async with recorded(host, exchange, folder) as history:
                await asyncio.sleep(ticks)
            kept.extend(history.kept)

    host.run(day)
    return kept


def _virtual_figures(kept: Sequence[Kept], ticks: int) -> Iterator[Figure]:
    late = [one.late_seconds for one in kept if one.late_seconds is not None and one.status is None]
    yield from _lateness(f"{ticks} s at 1 s in virtual time", late, ticks, bound=">= 99.9")
    yield _drift("virtual time", [one.time for one in kept])


async def _real_minute(folder: Path, url: str, duration: int) -> tuple[Sequence[float], int]:
    async with AsyncExitStack() as stack:
        limits = WeightLimits(weight=100_000)
        exchange = await stack.enter_async_context(SimulatedExchange(limits=limits))
        journey = await stack.enter_async_context(journey_to(exchange))
        labels = [f"account {number}" for number in range(_ACCOUNTS)]
        for label in labels:
            exchange.add_account(label)
        await journey.exchange.clock.measure()
        targets = [replace(target(exchange, m, label), interval_seconds=1) for label in labels for m in Market]
        async with recording(journey.way(*targets), folder=folder, url=url):
            await asyncio.sleep(duration)
    rows = execute(url, "SELECT extract(epoch FROM requested_at - time)::float FROM poller.polls WHERE status = 'ok'")
    return [float(str(late)) for (late,) in rows], duration * len(targets)


def _lateness(where: str, late: Sequence[float], expected: int, *, bound: str) -> Iterator[Figure]:
    ordered = sorted(map(abs, late)) or [float("nan")]
    on_time = sum(one <= _ON_TIME_SECONDS for one in ordered)
    yield Figure(name=f"{where}: % of ticks polled within 50 ms", value=round(100 * on_time / expected, 3), bound=bound)
    for name, value in (("p50", ordered[len(ordered) // 2]), ("p99", ordered[-1 - len(ordered) // 100])):
        yield Figure(name=f"{where}: lateness {name}, ms", value=round(value * 1000, 3), bound="")
    yield Figure(name=f"{where}: worst lateness, ms", value=round(ordered[-1] * 1000, 3), bound="")


def _drift(where: str, times: Sequence[datetime]) -> Figure:
    """Count the ticks that are not exactly one second after the one before, on a whole second."""
    second = timedelta(seconds=1)
    drifted = sum(later - earlier != second or later.microsecond != 0 for earlier, later in pairwise(times))
    return Figure(name=f"{where}: ticks off their instants", value=drifted, bound="<= 0")
