"""What a full spool refused is told as soon as it has room again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from poller.daemon.intake import AT_ONCE, Intake
from poller.observation import Entry, Environment, Market, Observation, RunStarted, Status
from poller.spool import Spool
from tests.support.spools import fill

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
INTERVAL = timedelta(seconds=10)
KEY = ("main", Market.USDM)


def observation(number: int) -> Observation:
    return Observation(
        environment=Environment.SIMULATED,
        account="main",
        market=Market.USDM,
        time=START + number * INTERVAL,
        status=None,
        body=b"a reply",
        instance="run",
    )


async def full(path: Path) -> tuple[Spool, Intake, list[Entry]]:
    spool = await Spool.open(path / "spool.sqlite", max_size=2**19)
    await fill(spool)
    told: list[Entry] = []
    return spool, Intake(spool, intervals={KEY: 10}, appended=lambda: told.append(observation(0))), told


async def emptied(spool: Spool) -> list[Entry]:
    found: list[Entry] = []
    while pending := await spool.oldest(100):
        await spool.done([item.id for item in pending])
        found += [item.entry for item in pending]
    return found


async def test_what_was_refused_is_counted_and_told_when_there_is_room(tmp_path: Path) -> None:
    spool, intake, told = await full(tmp_path)
    run = RunStarted(
        instance="run", recorder="spool", release="1", environment=Environment.SIMULATED, started_at=START, promises=()
    )
    await intake.append(run)
    for number in range(3):
        await intake.append(observation(number))
    await intake.tell_lost()
    assert (intake.refused, told) == (3, [])

    await emptied(spool)
    await intake.tell_lost()
    started, *lost = await emptied(spool)

    assert started == run
    assert [
        (entry.time, entry.status, entry.body, entry.instance) for entry in lost if isinstance(entry, Observation)
    ] == [(observation(number).time, Status.SPOOL_FULL, b"", "run") for number in range(3)]
    assert told
    await intake.tell_lost()
    assert await emptied(spool) == []
    await spool.close()


async def test_a_day_of_lost_ticks_is_remembered_in_no_room_and_told_in_parts(tmp_path: Path) -> None:
    spool, intake, _ = await full(tmp_path)
    for number in (0, AT_ONCE + 9):
        await intake.append(observation(number))
    await emptied(spool)

    await intake.tell_lost()
    first = await emptied(spool)
    await intake.tell_lost()
    times = [entry.time for entry in (*first, *await emptied(spool)) if isinstance(entry, Observation)]

    assert len(first) == AT_ONCE
    assert times == [observation(number).time for number in range(AT_ONCE + 10)]
    await spool.close()


async def test_what_is_lost_anew_is_told_anew(tmp_path: Path) -> None:
    spool, intake, _ = await full(tmp_path)
    for number in range(5):
        await intake.append(observation(number))
    await emptied(spool)
    await intake.append(observation(5))
    await intake.tell_lost()
    await fill(spool)
    await intake.append(observation(6))
    await emptied(spool)
    await intake.tell_lost()

    assert [entry.time for entry in await emptied(spool) if isinstance(entry, Observation)] == [observation(6).time]
    await spool.close()
