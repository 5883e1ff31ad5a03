"""Recording on a host whose clock is wrong, or is stepped meanwhile: by the exchange's time, each tick once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from poller.observation import Status
from poller.simulator import SimulatedExchange
from poller.simulator.faults import HttpReply
from poller.simulator.scripts import Stage
from tests.support.host import BEGINS, Host, Kept, recorded

HOUR = 3600.0
SECOND = timedelta(seconds=1)
Story = Callable[[SimulatedExchange], Awaitable[None]]


def recorded_by(host: Host, folder: Path, story: Story, *, measured: bool = True) -> Sequence[Kept]:
    """Return what a host keeps while a story goes on; the exchange's clock is right whatever is done to the host's."""
    kept: list[Kept] = []

    async def main() -> None:
        async with SimulatedExchange(clock=host.exchange) as exchange:
            exchange.add_account("main")
            async with recorded(host, exchange, folder, measured=measured) as history:
                await story(exchange)
            kept.extend(history.kept)

    host.run(main)
    return kept


async def some_time(_exchange: SimulatedExchange) -> None:
    await asyncio.sleep(10)


def assert_history(kept: Sequence[Kept]) -> None:
    """Each second of the exchange's time once, all good, none filed under another time than its own."""
    assert len(kept) >= 5
    assert [one.time for one in kept] == [kept[0].time + number * SECOND for number in range(len(kept))]
    assert {one.status for one in kept} == {None}
    assert BEGINS <= kept[0].time <= BEGINS + 10 * SECOND
    assert all(one.received_at and timedelta(0) <= one.received_at - one.time < SECOND for one in kept)


def offset_hours(kept: Sequence[Kept]) -> list[float]:
    return [round(one.clock_offset_ms / 3_600_000, 2) for one in kept if one.clock_offset_ms is not None]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_host_that_is_an_hour_wrong_records_by_the_time_of_the_exchange(tmp_path: Path, hours: int) -> None:
    kept = recorded_by(Host(wall_stepped=hours * HOUR), tmp_path, some_time)

    assert_history(kept)
    assert offset_hours(kept) == [-hours] * len(kept)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wrong_clock_that_is_measured_only_while_it_records_files_nothing_wrongly(tmp_path: Path, hours: int) -> None:
    # The exchange refuses the first timestamps, and only then can its clock be measured.
    kept = recorded_by(Host(wall_stepped=hours * HOUR), tmp_path, some_time, measured=False)

    assert_history([one for one in kept if one.status is None])
    assert {one.status for one in kept} - {None} <= {Status.CLOCK_SKEW, Status.DISCONNECTED}


def test_steps_of_the_host_clock_by_an_hour_lose_and_double_no_tick(tmp_path: Path) -> None:
    host = Host()

    async def steps(_exchange: SimulatedExchange) -> None:
        for hours in (1, -2, 1):
            await asyncio.sleep(3)
            host.step(hours * HOUR)
        await asyncio.sleep(3)

    kept = recorded_by(host, tmp_path, steps)

    assert_history(kept)
    assert set(offset_hours(kept)) == {0, -1, 1}


def test_a_step_of_the_host_clock_is_measured_at_once(tmp_path: Path) -> None:
    host = Host()
    asked: list[int] = []

    async def step(exchange: SimulatedExchange) -> None:
        await asyncio.sleep(3)
        asked.append(times_asked(exchange))
        host.step(HOUR)
        await asyncio.sleep(3)
        asked.append(times_asked(exchange))

    recorded_by(host, tmp_path, step)

    assert asked[1] == asked[0] + 5


def test_while_the_time_is_not_told_the_last_measurement_holds(tmp_path: Path) -> None:
    host = Host()

    async def step(exchange: SimulatedExchange) -> None:
        exchange.faults.next(None, HttpReply(status=503), stage=Stage.REST, times=None)
        await asyncio.sleep(3)
        host.step(HOUR)
        await asyncio.sleep(5)

    assert_history(recorded_by(host, tmp_path, step))


def times_asked(exchange: SimulatedExchange) -> int:
    return sum(seen.method.endswith("/time") for seen in exchange.journal.requests)
