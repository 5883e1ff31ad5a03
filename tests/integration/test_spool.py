import asyncio
import itertools
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poller.errors import ConfigError, SpoolFullError, SpoolLockedError
from poller.observation import (
    AssetMode,
    AssetModeSource,
    Entry,
    Environment,
    Market,
    ModesMeasured,
    Observation,
    PositionMode,
    Promise,
    RunStarted,
    RunStopped,
    Status,
)  # fmt: skip
from poller.spool import Spool
from poller.spool.row import decode, encode, identity_crc

MIB = 1024 * 1024
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


def observation(number: int, *, account: str = "main", market: Market = Market.USDM, body: bytes = b"") -> Observation:
    return Observation(
        environment=Environment.SIMULATED,
        account=account,
        market=market,
        time=START + timedelta(seconds=10 * number),
        status=None,
        body=body,
        instance="one",
    )


def size(file: Path) -> int:
    return file.stat().st_size


def content(file: Path) -> bytes:
    return file.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "spool.sqlite"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def spool(path: Path, clock: Clock) -> AsyncIterator[Spool]:
    opened = await Spool.open(path, max_size=4 * MIB, now=clock)
    yield opened
    await opened.close()


async def waiting(spool: Spool) -> list[Entry]:
    return [pending.entry for pending in await spool.oldest(10_000)]


async def store_all(spool: Spool) -> None:
    await spool.done([pending.id for pending in await spool.oldest(10_000)])


async def fill(spool: Spool) -> int:
    """Append until the spool is full and return how many it took."""
    for count in itertools.count():
        try:
            await spool.append(observation(count, body=bytes(50_000)))
        except SpoolFullError:
            return count
    raise AssertionError


texts = st.text(st.characters(exclude_categories=["Cs"]))
times = st.datetimes(timezones=st.just(UTC))
numbers = st.integers(-(2**63), 2**63 - 1)
entries = st.one_of(
    st.builds(
        Observation,
        environment=st.sampled_from(Environment),
        account=texts,
        market=st.sampled_from(Market),
        time=times,
        status=st.none() | st.sampled_from(Status),
        requested_at=st.none() | times,
        received_at=st.none() | times,
        latency_ms=st.none() | numbers,
        attempts=numbers,
        clock_offset_ms=st.none() | numbers,
        weight_used=st.none() | numbers,
        weight_limit=st.none() | numbers,
        exchange_status=st.none() | numbers,
        error_code=st.none() | numbers,
        error_message=st.none() | texts,
        asset_mode=st.none() | st.sampled_from(AssetMode),
        asset_mode_source=st.none() | st.sampled_from(AssetModeSource),
        codec=numbers,
        body=st.binary(max_size=10_000),
        instance=texts,
        position_mode=st.none() | st.sampled_from(PositionMode),
    ),
    st.builds(
        RunStarted,
        instance=texts,
        recorder=texts,
        release=texts,
        environment=st.sampled_from(Environment),
        started_at=times,
        promises=st.lists(
            st.builds(Promise, account=texts, market=st.sampled_from(Market), interval_seconds=numbers), max_size=3
        ).map(tuple),
    ),
    st.builds(RunStopped, instance=texts, stopped_at=times, reason=texts),
    st.builds(
        ModesMeasured,
        environment=st.sampled_from(Environment),
        account=texts,
        measured_at=times,
        asset_mode=st.none() | st.sampled_from(AssetMode),
        position_mode=st.none() | st.sampled_from(PositionMode),
        source=st.sampled_from(AssetModeSource),
    ),
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=60)
@given(batch=st.lists(entries, min_size=1, max_size=5))
def test_any_entries_come_back_as_they_were_and_in_their_order(tmp_path: Path, batch: list[Entry]) -> None:
    async def through_the_spool() -> list[Entry]:
        spool = await Spool.open(tmp_path / "spool.sqlite", max_size=64 * MIB)
        for entry in batch:
            await spool.append(entry)
        await spool.close()
        again = await Spool.open(tmp_path / "spool.sqlite", max_size=64 * MIB)
        found = await waiting(again)
        await store_all(again)
        await again.close()
        return found

    assert asyncio.run(through_the_spool()) == batch


def test_the_entries_of_the_first_release_can_be_read() -> None:
    promises = (Promise(account="main", market=Market.USDM, interval_seconds=10),)
    time = START + timedelta(seconds=10)
    first = Observation(
        environment=Environment.LIVE,
        account="main",
        market=Market.USDM,
        time=time,
        status=Status.TIMEOUT,
        requested_at=time,
        attempts=2,
        clock_offset_ms=-3,
        weight_used=120,
        weight_limit=2400,
        error_code=-1021,
        error_message="late",
        asset_mode=AssetMode.MULTI_ASSETS,
        asset_mode_source=AssetModeSource.CONFIG,
        codec=1,
        body=b"\1\2",
        instance="i",
    )
    started = RunStarted(
        instance="i", recorder="r", release="0.1.0", environment=Environment.LIVE, started_at=time, promises=promises
    )

    assert first == decode(
        bytes.fromhex(
            "dc0016ab6f62736572766174696f6e01a46c697665a46d61696ea47573646dd6ff6b0187caa774696d656f7574d6ff6b0187cac0"
            "c002fd78cd0960c0d1fc03a46c617465ac6d756c74695f617373657473a6636f6e66696701c4020102a169"
        )
    )
    assert started == decode(
        bytes.fromhex(
            "98ab72756e5f7374617274656401a169a172a5302e312e30a46c697665d6ff6b0187ca9193a46d61696ea47573646d0a"
        )
    )
    assert RunStopped(instance="i", stopped_at=time, reason="sigterm") == decode(
        bytes.fromhex("95ab72756e5f73746f7070656401a169d6ff6b0187caa77369677465726d")
    )


def test_the_modes_of_their_first_release_can_be_read() -> None:
    assert ModesMeasured(
        environment=Environment.LIVE,
        account="main",
        measured_at=START + timedelta(seconds=10),
        asset_mode=AssetMode.MULTI_ASSETS,
        position_mode=PositionMode.HEDGE,
        source=AssetModeSource.EXCHANGE,
    ) == decode(
        bytes.fromhex(
            "98ae6d6f6465735f6d6561737572656401a46c697665a46d61696ed6ff6b0187caac6d756c74695f617373657473a56865646765"
            "a865786368616e6765"
        )
    )


async def test_appends_at_the_same_time_all_get_ids_of_their_own(spool: Spool) -> None:
    ids = await asyncio.gather(*(spool.append(observation(number)) for number in range(1000)))

    assert len(set(ids)) == 1000
    assert {pending.id: pending.entry for pending in await spool.oldest(1000)} == {
        row_id: observation(number) for number, row_id in enumerate(ids)
    }


async def test_stored_entries_are_not_offered_but_come_back_when_they_are_asked_for(spool: Spool, clock: Clock) -> None:
    ids = [await spool.append(observation(number)) for number in range(3)]
    await spool.done(ids[:1])
    clock.time += timedelta(minutes=1)
    await spool.done([*ids[1:2], ids[0], 999])

    assert await waiting(spool) == [observation(2)]
    clock.time += timedelta(minutes=1)
    assert await spool.offer_again(START + timedelta(minutes=1)) == 1
    assert await waiting(spool) == [observation(1), observation(2)]
    assert await spool.offer_again(START) == 1
    assert await waiting(spool) == [observation(0), observation(1), observation(2)]


async def test_thousands_of_entries_are_offered_again_and_purged_in_steps(spool: Spool, clock: Clock) -> None:
    await asyncio.gather(*(spool.append(observation(number)) for number in range(2100)))
    await store_all(spool)
    clock.time += timedelta(minutes=1)

    assert await spool.offer_again(START) == 2100
    assert spool.depth == 2100
    await store_all(spool)
    assert await spool.purge(clock.time + timedelta(seconds=1)) == 2099
    assert spool.depth == 0


async def test_a_purge_keeps_what_is_not_stored_what_was_stored_later_and_the_last_ticks(
    spool: Spool, clock: Clock
) -> None:
    ids = [await spool.append(observation(number)) for number in range(4)]
    await spool.append(observation(7, account="other", market=Market.COINM))
    await spool.done(ids[:2])
    clock.time += timedelta(hours=1)
    await spool.done(ids[2:3])

    assert await spool.purge(START + timedelta(minutes=1)) == 2
    assert await spool.last_ticks() == {
        ("main", Market.USDM): observation(3).time,
        ("other", Market.COINM): observation(7).time,
    }
    clock.time += timedelta(hours=1)
    await spool.offer_again(START)
    assert await waiting(spool) == [
        observation(2),
        observation(3),
        observation(7, account="other", market=Market.COINM),
    ]


async def test_an_older_tick_does_not_move_the_last_one_back(spool: Spool) -> None:
    await spool.append(observation(5))
    await spool.append(observation(4))

    assert await spool.last_ticks() == {("main", Market.USDM): observation(5).time}


async def test_ids_are_not_used_twice_even_if_everything_is_purged(path: Path, clock: Clock) -> None:
    used: set[int] = set()
    for number in range(5):
        spool = await Spool.open(path, max_size=MIB, now=clock)
        used.add(await spool.append(observation(number)))
        await store_all(spool)
        await spool.purge(clock.time + timedelta(days=1))
        await spool.close()

    assert len(used) == 5


async def test_a_restart_changes_nothing(path: Path, clock: Clock) -> None:
    first = await Spool.open(path, max_size=MIB, now=clock)
    await first.append(observation(0))
    clock.time += timedelta(minutes=1)
    await first.append(observation(1))
    await first.done([pending.id for pending in await first.oldest(1)])
    await first.close()

    second = await Spool.open(path, max_size=MIB, now=clock)

    assert await waiting(second) == [observation(1)]
    assert (second.recorder, second.depth, second.oldest_at) == (first.recorder, 1, START + timedelta(minutes=1))
    assert (second.recovered, second.damaged) == (None, 0)
    await second.close()


async def test_the_figures_follow_what_happens(spool: Spool, clock: Clock) -> None:
    empty = spool.bytes
    assert (spool.depth, spool.oldest_at) == (0, None)

    first = await spool.append(observation(0, body=bytes(20_000)))
    clock.time += timedelta(seconds=10)
    await spool.append(observation(1))
    assert (spool.depth, spool.oldest_at) == (2, START)
    assert 16_000 < spool.bytes - empty < 32_000

    await spool.done([first])
    assert (spool.depth, spool.oldest_at) == (1, START + timedelta(seconds=10))


async def test_large_entries_are_offered_a_few_at_a_time(path: Path) -> None:
    spool = await Spool.open(path, max_size=64 * MIB)
    for number in range(8):
        await spool.append(observation(number, body=bytes(3 * MIB)))

    assert 1 <= len(await spool.oldest(100)) < 8
    await spool.close()


async def test_nobody_else_may_read_the_files_that_the_spool_makes(spool: Spool, path: Path) -> None:
    await spool.append(observation(0))

    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(("spool.sqlite", "spool.sqlite-wal", "spool.sqlite-shm", "spool.sqlite.lock"), 0o600)


async def test_a_second_owner_is_refused_and_told_who_the_first_is(spool: Spool, path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from poller.spool import Spool\n"
        "asyncio.run(Spool.open(Path(sys.argv[1]), max_size=2**20))"
    )
    second = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )

    assert second.returncode == 1
    refusal = second.stderr.splitlines()[-1]
    assert "SpoolLockedError" in refusal
    assert f"pid {os.getpid()} (" in refusal
    assert f" on {os.uname().nodename} since 2026-11-21 12:00:00 UTC" in refusal
    await spool.append(observation(0))
    assert await waiting(spool) == [observation(0)]


async def test_a_spool_is_free_again_when_it_is_closed(path: Path) -> None:
    first = await Spool.open(path, max_size=MIB)
    with pytest.raises(SpoolLockedError):
        await Spool.open(path, max_size=MIB)
    await first.close()

    await (await Spool.open(path, max_size=MIB)).close()


async def test_a_closed_spool_refuses_and_may_be_closed_again(path: Path) -> None:
    spool = await Spool.open(path, max_size=MIB)
    await spool.close()
    await spool.close()

    for call in (spool.append(observation(0)), spool.oldest(1), spool.done([1]), spool.purge(START)):
        with pytest.raises(RuntimeError, match="the spool is closed"):
            await call


async def test_closing_finishes_what_was_asked_for(path: Path) -> None:
    spool = await Spool.open(path, max_size=MIB)
    async with asyncio.TaskGroup() as tasks:
        appends = [tasks.create_task(spool.append(observation(number))) for number in range(20)]
        await asyncio.sleep(0)
        tasks.create_task(spool.close())

    again = await Spool.open(path, max_size=MIB)
    assert [pending.id for pending in await again.oldest(100)] == [append.result() for append in appends]
    await again.close()


async def test_the_loop_runs_on_while_the_disk_is_slow(spool: Spool, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the append waits until this ends, as it would for a slow disk
        append = asyncio.create_task(spool.append(observation(0)))
        for _ in range(1000):
            await asyncio.sleep(0)
        assert not append.done()
        assert spool.depth == 0
        other.execute("COMMIT")

    assert await append
    assert await waiting(spool) == [observation(0)]


async def test_a_cancelled_append_that_was_on_its_way_is_still_kept(spool: Spool, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        appends = [asyncio.create_task(spool.append(observation(number))) for number in range(3)]
        await asyncio.sleep(0)
        for append in appends[:2]:
            append.cancel()
        await asyncio.wait(appends[:2])
        assert all(append.cancelled() for append in appends[:2])
        other.execute("COMMIT")

    await appends[2]
    assert await waiting(spool) == [observation(0), observation(1), observation(2)]


async def test_an_entry_that_cannot_be_encoded_is_refused_alone(spool: Spool) -> None:
    with pytest.raises(OverflowError):
        await spool.append(msgspec.structs.replace(observation(0), error_code=2**70))
    await spool.append(observation(1))

    assert await waiting(spool) == [observation(1)]


async def test_a_full_spool_drops_what_is_stored_first_and_then_refuses(path: Path) -> None:
    spool = await Spool.open(path, max_size=MIB)
    count = await fill(spool)
    assert count > 10
    assert size(path) <= MIB
    with pytest.raises(SpoolFullError):
        await spool.append(observation(count, body=bytes(50_000)))
    assert [entry.time for entry in await waiting(spool) if isinstance(entry, Observation)] == [
        observation(number).time for number in range(count)
    ]

    await spool.done([pending.id for pending in await spool.oldest(3)])
    await spool.append(observation(count, body=bytes(50_000)))
    assert len(await waiting(spool)) == count - 2
    await store_all(spool)
    assert await fill(spool) >= count - 1
    assert size(path) <= MIB
    await spool.close()


async def test_everything_can_be_marked_in_a_full_spool(path: Path, clock: Clock) -> None:
    spool = await Spool.open(path, max_size=MIB, now=clock)
    results: list[int | BaseException] = []
    while not any(isinstance(result, SpoolFullError) for result in results[-100:]):
        appends = (spool.append(observation(number)) for number in range(100))
        results += await asyncio.gather(*appends, return_exceptions=True)
    kept = sum(isinstance(result, int) for result in results)
    assert kept > 1000

    while offered := await spool.oldest(7):
        await spool.done([pending.id for pending in offered])
    clock.time += timedelta(hours=1)
    assert await spool.offer_again(START) == kept
    await store_all(spool)
    clock.time += timedelta(hours=1)
    assert await spool.purge(clock.time) == kept - 1
    assert size(path) <= MIB
    await spool.close()


async def test_one_large_entry_does_not_keep_small_ones_out_of_a_full_spool(path: Path) -> None:
    spool = await Spool.open(path, max_size=MIB)
    results = await asyncio.gather(
        *(spool.append(observation(number, body=bytes(2 * MIB if number == 5 else 10))) for number in range(10)),
        return_exceptions=True,
    )

    assert [number for number, result in enumerate(results) if isinstance(result, SpoolFullError)] == [5]
    assert len(await waiting(spool)) == 9
    await spool.close()


async def test_the_file_does_not_grow_when_entries_come_and_go(path: Path, clock: Clock) -> None:
    spool = await Spool.open(path, max_size=64 * MIB, now=clock)
    sizes = []
    for round_number in range(10):
        await asyncio.gather(*(spool.append(observation(round_number, body=bytes(900))) for _ in range(500)))
        await store_all(spool)
        clock.time += timedelta(hours=1)
        await spool.purge(clock.time)
        sizes.append(size(path))

    assert max(sizes) == sizes[2]
    assert size(path.with_name("spool.sqlite-wal")) < 8 * MIB
    await spool.close()


async def test_the_spool_of_a_newer_release_is_refused_and_left_as_it_is(path: Path) -> None:
    await (await Spool.open(path, max_size=MIB)).close()
    with closing(sqlite3.connect(path)) as other, other:
        (recorder,) = other.execute("SELECT recorder FROM identity").fetchone()
        other.execute("UPDATE identity SET version = 2, crc = ?", (identity_crc(recorder, 2),))
        other.execute("PRAGMA user_version = 2")
    before = content(path)

    with pytest.raises(ConfigError, match=r"has version 2, this release reads up to version 1"):
        await Spool.open(path, max_size=MIB)
    assert content(path) == before


async def test_the_database_of_another_program_is_refused_and_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE dashboards (id INTEGER)")
    before = content(path)

    with pytest.raises(ConfigError, match="is a database, but no spool"):
        await Spool.open(path, max_size=MIB)
    assert content(path) == before


async def test_a_path_that_cannot_be_used_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    for path in (tmp_path / "file" / "spool.sqlite", tmp_path):
        with pytest.raises(ConfigError, match=r"spool.path: .* cannot be used"):
            await Spool.open(path, max_size=MIB)
    with pytest.raises(ConfigError, match=r"spool.max_size: 1000 bytes"):
        await Spool.open(tmp_path / "spool.sqlite", max_size=1000)


async def test_the_lock_is_free_after_a_refused_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        await Spool.open(tmp_path / "spool.sqlite", max_size=1000)

    await (await Spool.open(tmp_path / "spool.sqlite", max_size=MIB)).close()


def test_a_typical_entry_without_its_body_takes_little() -> None:
    assert len(encode(observation(0))) < 120
