"""History on a host whose clock is wrong, or is stepped while it records: by the exchange's time, each tick once."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from poller.exchange.clock import steady_seconds
from poller.observation import Market
from poller.poll import Target
from poller.simulator import SimulatedExchange
from poller.simulator.faults import HttpReply
from poller.simulator.scripts import Stage
from tests.support.database import execute
from tests.support.exchange import METHODS
from tests.support.recording import Recording, recording
from tests.support.way import Journey, journey_to, target

Row = tuple[datetime, str, datetime, int]
SECOND = timedelta(seconds=1)


@asynccontextmanager
async def true_exchange() -> AsyncIterator[SimulatedExchange]:
    """Run an exchange whose clock goes on whatever is done to the host's."""
    base = time.time() - steady_seconds()
    async with SimulatedExchange(clock=lambda: base + steady_seconds()) as exchange:
        exchange.add_account("main")
        yield exchange


def every_second(exchange: SimulatedExchange) -> Target:
    return replace(target(exchange, Market.USDM), interval_seconds=1)


def polls(url: str) -> list[Row]:
    rows = execute(url, "SELECT time, status, received_at, clock_offset_ms FROM poller.polls ORDER BY time")
    return [(at, status, received, offset) for at, status, received, offset in rows]  # type: ignore[misc]  # psycopg's rows are objects


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the exchange's journal announces nothing
            await asyncio.sleep(0.02)


async def answered(exchange: SimulatedExchange, count: int) -> None:
    """Return when the exchange has served so many more polls."""
    wanted = len(served(exchange)) + count
    await until(lambda: len(served(exchange)) >= wanted)


def served(exchange: SimulatedExchange) -> list[int]:
    method = METHODS[Market.USDM]
    return [seen.at_ms for seen in exchange.journal.requests if seen.method == method and seen.status == 200]


def assert_history(rows: list[Row], *, began: datetime) -> None:
    """Each second of the exchange's time once, all good, none filed under another time than its own."""
    assert [at for at, *_ in rows] == [rows[0][0] + number * SECOND for number in range(len(rows))]
    assert {status for _, status, *_ in rows} == {"ok"}
    assert began <= rows[0][0] <= began + 10 * SECOND
    assert all(timedelta(0) <= received - at < SECOND for at, _, received, _ in rows)


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_host_that_is_an_hour_wrong_records_by_the_time_of_the_exchange(
    plain_database_url: str, tmp_path: Path, hours: int
) -> None:
    async with true_exchange() as exchange, journey_to(exchange) as journey:
        began = datetime.fromtimestamp(exchange.server_ms() // 1000, UTC)
        with time_machine.travel(time.time() + hours * 3600, tick=True):
            await journey.exchange.clock.measure()
            async with recorded(journey, tmp_path, plain_database_url):
                await answered(exchange, 3)
    rows = polls(plain_database_url)

    assert_history(rows, began=began)
    assert all(abs(offset + hours * 3_600_000) < 1000 for *_, offset in rows)


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_wrong_clock_that_is_measured_only_while_it_records_files_nothing_wrongly(
    plain_database_url: str, tmp_path: Path, hours: int
) -> None:
    async with true_exchange() as exchange, journey_to(exchange) as journey:
        began = datetime.fromtimestamp(exchange.server_ms() // 1000, UTC)
        with time_machine.travel(time.time() + hours * 3600, tick=True):
            # The exchange refuses the first timestamps, and only then can its clock be measured.
            async with recorded(journey, tmp_path, plain_database_url):
                await answered(exchange, 3)
    rows = polls(plain_database_url)
    good = [row for row in rows if row[1] == "ok"]

    assert_history(good, began=began)
    assert {status for _, status, *_ in rows} - {"ok"} <= {"clock_skew", "disconnected"}


async def test_steps_of_the_host_clock_by_an_hour_lose_and_double_no_tick(
    plain_database_url: str, tmp_path: Path
) -> None:
    async with true_exchange() as exchange, journey_to(exchange) as journey:
        began = datetime.fromtimestamp(exchange.server_ms() // 1000, UTC)
        with time_machine.travel(time.time(), tick=True) as traveller:
            await journey.exchange.clock.measure()
            async with recorded(journey, tmp_path, plain_database_url):
                for hours in (1, -2, 1):
                    await answered(exchange, 2)
                    traveller.shift(timedelta(hours=hours))
                await answered(exchange, 2)
    rows = polls(plain_database_url)

    assert_history(rows, began=began)
    assert {round(offset / 3_600_000) for *_, offset in rows} == {0, -1, 1}


async def test_a_step_of_the_host_clock_is_measured_at_once(plain_database_url: str, tmp_path: Path) -> None:
    async with true_exchange() as exchange, journey_to(exchange) as journey:
        with time_machine.travel(time.time(), tick=True) as traveller:
            await journey.exchange.clock.measure()
            async with recorded(journey, tmp_path, plain_database_url):
                await answered(exchange, 1)
                asked = len(times_asked(exchange))
                traveller.shift(timedelta(hours=1))
                await until(lambda: len(times_asked(exchange)) >= asked + 5)

    assert journey.exchange.clock.offset_ms is not None


async def test_while_the_time_is_not_told_the_last_measurement_holds(plain_database_url: str, tmp_path: Path) -> None:
    async with true_exchange() as exchange, journey_to(exchange) as journey:
        began = datetime.fromtimestamp(exchange.server_ms() // 1000, UTC)
        with time_machine.travel(time.time(), tick=True) as traveller:
            await journey.exchange.clock.measure()
            exchange.faults.next(None, HttpReply(status=503), stage=Stage.REST, times=None)
            async with recorded(journey, tmp_path, plain_database_url):
                await answered(exchange, 1)
                traveller.shift(timedelta(hours=1))
                await answered(exchange, 2)

    assert_history(polls(plain_database_url), began=began)


def times_asked(exchange: SimulatedExchange) -> list[int]:
    return [seen.at_ms for seen in exchange.journal.requests if seen.method.endswith("/time")]


def recorded(journey: Journey, folder: Path, url: str) -> AbstractAsyncContextManager[Recording]:
    return recording(journey.way(every_second(journey.simulator)), folder=folder, url=url)
