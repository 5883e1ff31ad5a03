"""Half an hour of ticks, spooled as fast as they can be made, and drained."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from mmap import PAGESIZE
from pathlib import Path
from typing import Final

from poller.observation import Market
from poller.spool import Spool
from poller.storage.store import Store
from poller.writer import Writer
from tests.support.passage import Passage, passage_to
from tests.torture.outage_database import new_torture_database, polls, until
from tests.torture.outage_ticks import Ticks
from tests.torture.terms import Figure, Terms

_MEGABYTE: Final = 1024 * 1024
_STEP_SECONDS: Final = 0.05
_SPOOL_BYTES: Final = 2**28


async def half_an_hour(chance: random.Random, terms: Terms) -> AsyncIterator[Figure]:
    """Yield what was lost, what the polls took in memory and in the spool, and how fast they were drained."""
    ticks = {market: Ticks(chance, market, accounts=5 if terms.short else 10) for market in Market}
    for market in Market:
        size = await _bytes_each(terms.folder / f"{market}.sqlite", ticks[market])
        bound = "< 1000" if market is Market.USDM else ""
        yield Figure(name=f"bytes of the spool for a {market} poll", value=size, bound=bound)
    url = new_torture_database(terms.server)
    spool = await Spool.open(terms.folder / "half.sqlite", max_size=_SPOOL_BYTES)
    async with passage_to(url) as (way, through):
        store = Store(through)
        long = _Long(spool=spool, writer=Writer(spool=spool, store=store), way=way, ticks=ticks[Market.USDM])
        async for figure in long.figures(1500 if terms.short else 18_000, terms):
            yield figure
        await store.close()
    await spool.close()
    lost = long.ticks.count - _PROBED - polls(url)
    yield Figure(name="of the polls spooled in a compressed outage lost", value=lost, bound="<= 0")


_PROBED: Final = 1000


async def _bytes_each(path: Path, ticks: Ticks) -> float:
    spool = await Spool.open(path, max_size=_SPOOL_BYTES)
    empty = spool.bytes
    await _append(spool, ticks, _PROBED)
    size = (spool.bytes - empty) / _PROBED
    await spool.close()
    return size


class _Long:
    """An outage, and the polls during it and after."""

    def __init__(self, *, spool: Spool, writer: Writer, way: Passage, ticks: Ticks) -> None:
        self.spool = spool
        self.writer = writer
        self.way = way
        self.ticks = ticks

    async def figures(self, count: int, terms: Terms) -> AsyncIterator[Figure]:
        """Spool `count` polls with the database refusing, and drain them with it back."""
        self.way.refuse()
        memory = _resident()
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self.writer.run())
            await _append(self.spool, self.ticks, count)
            grown = _resident() - memory
            back = time.monotonic()
            await self.way.open()
            enough = asyncio.Event()
            polling = tasks.create_task(self._poll_on(enough))
            await until(lambda: self.spool.depth < count)
            first = time.monotonic()
            await until(lambda: self.spool.depth < 100)
            drained = time.monotonic()
            grown = max(grown, _resident() - memory)
            enough.set()
            delays = sorted(await polling)
            await self.writer.drained.wait()
            writing.cancel()
        yield Figure(name=f"MB that the memory grew by {count} polls", value=grown / _MEGABYTE, bound="< 20")
        yield Figure(name="s from the return to the first write", value=first - back, bound=terms.within(20))
        rate = count / (drained - first)
        yield Figure(name="usdm polls drained each s", value=rate, bound="" if terms.short else ">= 1000")
        for name, at in (("half", 0.5), ("99 %", 0.99)):
            delay = delays[int(at * len(delays))]
            yield Figure(name=f"ms to append meanwhile, {name} of the polls", value=1000 * delay, bound="")

    async def _poll_on(self, enough: asyncio.Event) -> list[float]:
        delays = []
        while not enough.is_set():
            self.writer.wake()
            began = time.monotonic()
            await self.spool.append(self.ticks.next())
            delays.append(time.monotonic() - began)
            await asyncio.sleep(_STEP_SECONDS)
        self.writer.wake()
        return delays


async def _append(spool: Spool, ticks: Ticks, count: int) -> None:
    for _ in range(count // 100):
        await asyncio.gather(*(spool.append(ticks.next()) for _ in range(100)))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGESIZE
