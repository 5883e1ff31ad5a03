"""Replies that take longer than an interval: no second request meanwhile, no queue, and a row for every tick."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from poller.observation import Market, Status
from poller.simulator import SimulatedExchange
from poller.simulator.faults import Delay
from poller.simulator.journal import Journal
from tests.support.database import execute
from tests.support.exchange import METHODS
from tests.support.host import Host, Kept, recorded
from tests.support.recording import recording
from tests.support.way import journey_to, target

SECOND = timedelta(seconds=1)


def asked(journal: Journal) -> int:
    return sum(seen.method == METHODS[Market.USDM] for seen in journal.requests)


def test_slow_replies_cost_their_ticks_and_nothing_overlaps_or_queues(tmp_path: Path) -> None:
    host, kept, requests = Host(), list[Kept](), list[int]()

    async def main() -> None:
        async with SimulatedExchange(clock=host.exchange) as exchange:
            exchange.add_account("main")
            exchange.faults.next(Market.USDM, Delay(1.5), times=3)
            async with recorded(host, exchange, tmp_path) as history:
                await asyncio.sleep(6)
            kept.extend(history.kept)
            requests.append(asked(exchange.journal))

    host.run(main)

    assert [one.status for one in kept[:4]] == [Status.TIMEOUT, Status.TIMEOUT, Status.TIMEOUT, None]
    assert [one.time for one in kept] == [kept[0].time + number * SECOND for number in range(len(kept))]
    assert requests == [len(kept)]


async def test_ticks_that_come_while_a_disk_is_slow_are_rows_of_their_own(
    exchange: SimulatedExchange, tmp_path: Path, plain_database_url: str
) -> None:
    async def until(condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 - plain counters announce nothing
            await asyncio.sleep(0.02)

    async with journey_to(exchange) as journey, asyncio.timeout(120):
        every_second = replace(target(exchange, Market.USDM), interval_seconds=1)
        await journey.exchange.clock.measure()
        async with recording(journey.way(every_second), folder=tmp_path, url=plain_database_url) as parts:
            await until(lambda: parts.recorder.is_recording)
            thawed = asyncio.Event()
            loop = asyncio.get_running_loop()
            parts.spool._thread.submit(lambda: asyncio.run_coroutine_threadsafe(thawed.wait(), loop).result())
            # A poll waits for the disk, and the tick behind it for being told as skipped.
            await until(lambda: parts.recorder.intake.begun - parts.recorder.intake.ended >= 2)
            requests = asked(exchange.journal)
            thawed.set()
            await exchange.journal.wait_until(lambda journal: asked(journal) >= requests + 2)
    rows = execute(plain_database_url, "SELECT time, status, attempts FROM poller.polls ORDER BY time")
    first = rows[0][0]
    assert isinstance(first, datetime)

    assert "skipped" in {status for _, status, _ in rows}
    assert [time for time, *_ in rows] == [first + number * SECOND for number in range(len(rows))]
    assert asked(exchange.journal) == sum(int(str(attempts)) for *_, attempts in rows)
