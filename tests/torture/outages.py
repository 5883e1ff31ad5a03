"""Outages of the database, one after the other, while accounts are polled each second; then half an hour in one go.

Each outage is of another kind: refused, reset, swallowed, frozen by the network, after the commit or by SIGSTOP of all
the server's processes, read-only, disk full (its error, raised by a trigger), a schema that does not fit, a restart.
One of them lasts a minute. Afterwards each tick of each account has its row.

Then the ticks of thirty minutes are spooled as fast as they can be made, with the database refusing, and drained when
it is back and polls still come.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from structlog import DropEvent
from structlog.testing import capture_logs
from structlog.typing import EventDict

from poller.daemon.recorder import Recorder
from poller.daemon.reference import Reference
from poller.observation import Environment, Market
from poller.poll import Target
from poller.simulator import SimulatedExchange
from poller.spool import Spool
from poller.storage.store import Store
from poller.writer import Writer
from tests.support.database import execute
from tests.support.passage import passage_to
from tests.support.way import journey_to, target
from tests.torture.outage_database import new_torture_database, number, polls, until
from tests.torture.outage_kinds import FROZEN, KINDS, Place
from tests.torture.outage_of_half_an_hour import half_an_hour
from tests.torture.terms import Figure, Terms

NAME: Final = "outages of the database"

_MEGABYTE: Final = 1024 * 1024
_STEP_SECONDS: Final = 0.05


class Log:
    """Keeps nothing of the log but when the writer said that it does not store."""

    def __init__(self) -> None:
        self.failed_at = float("-inf")

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        if event["event"] == "not storing":
            self.failed_at = time.monotonic()
        raise DropEvent


async def torture(chance: random.Random, terms: Terms) -> AsyncIterator[Figure]:
    """Yield what was lost, and how fast everything was noticed and made good."""
    chosen = ["refused", chance.choice(FROZEN)] if terms.short else chance.sample(list(KINDS), len(KINDS))
    log = Log()
    with capture_logs([log]):
        async for figure in _outages(chosen, log, terms):
            yield figure
        async for figure in half_an_hour(chance, terms):
            yield figure


async def _outages(chosen: Sequence[str], log: Log, terms: Terms) -> AsyncIterator[Figure]:
    at_least = 3.0 if terms.short else 15.0
    url = new_torture_database(terms.server)
    noticed, written = [0.0], [0.0]
    async with passage_to(url) as (way, through), _recording(terms.folder, through):
        await until(lambda: polls(url) > 0)
        for kind in chosen:
            began = time.monotonic()
            async with KINDS[kind](Place(url=url, way=way)):
                await asyncio.sleep(60.0 if kind == "refused" and not terms.short else at_least)
                await until(lambda began=began: log.failed_at > began)  # type: ignore[misc]  # bound at once
                if kind in FROZEN:
                    noticed.append(log.failed_at - began)
            back, before = time.monotonic(), polls(url)
            await until(lambda before=before: polls(url) > before)  # type: ignore[misc]  # bound at once
            written.append(time.monotonic() - back)
    [(expected, stored, polled)] = execute(url, _CADENCE)
    yield Figure(
        name=f"ticks during {len(chosen)} outages without a row",
        value=number(expected) - number(stored),
        bound="<= 0",
    )
    yield Figure(
        name="% of these ticks polled",
        value=100 * number(polled) / number(expected),
        bound="" if terms.short else ">= 99",
    )
    yield Figure(name="s until a frozen database was noticed, at most", value=max(noticed), bound=terms.within(15))
    yield Figure(name="s from the return to the first write, at most", value=max(written), bound=terms.within(20))


_CADENCE: Final = """
SELECT sum(expected), sum(stored), sum(polled) FROM (
    SELECT extract(epoch FROM max(time) - min(time)) + 1 AS expected, count(*) AS stored,
        count(*) FILTER (WHERE status = 'ok') AS polled
    FROM poller.polls GROUP BY account, market
) AS each
"""


@asynccontextmanager
async def _recording(folder: Path, url: str) -> AsyncIterator[None]:
    """Poll two accounts each second; all of it is in the database afterwards."""
    spool = await Spool.open(folder / "outages.sqlite", max_size=2**28)
    store = Store(url)
    async with SimulatedExchange() as simulator:
        for label in ("one", "two"):
            simulator.add_account(label)
        async with journey_to(simulator) as journey:
            way = journey.way(
                *(_each_second(simulator, market, label) for label in ("one", "two") for market in Market)
            )
            writer = Writer(spool=spool, store=store)
            reference = Reference(way, store=store)
            recorder = Recorder(way=way, reference=reference, spool=spool, writer=writer, keep_seconds=3600)
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(recorder.record(stop, environment=Environment.SIMULATED))
                yield
                stop.set()
    await store.close()
    await spool.close()


def _each_second(simulator: SimulatedExchange, market: Market, label: str) -> Target:
    return replace(target(simulator, market, label), interval_seconds=1)
