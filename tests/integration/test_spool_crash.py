"""A spool that is killed, or whose disk ends, keeps what it acknowledged; run as a program, it is what is killed."""

import asyncio
import itertools
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from poller.errors import SpoolFullError
from poller.observation import Entry, Environment, Market, Observation
from poller.spool import Spool

MIB = 1024 * 1024
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KILLS = 36
SEED = 20261121


def observation(number: int) -> Observation:
    random = Random(number)  # noqa: S311 - bodies that can be made again, no secrets
    return Observation(
        environment=Environment.SIMULATED,
        account="main",
        market=Market.USDM,
        time=START + timedelta(seconds=number),
        status=None,
        body=random.randbytes(random.choice([0, 500, 700, 5000])),
        instance="one",
    )


async def append_for_ever(path: Path, first: int) -> None:
    """Append three at a time and store some; print what was acknowledged."""
    spool = await Spool.open(path, max_size=64 * MIB)
    for start in itertools.count(first, 3):
        numbers = range(start, start + 3)
        ids = await asyncio.gather(*(spool.append(observation(number)) for number in numbers))
        print(*itertools.chain(*zip(ids, numbers, strict=True)), flush=True)  # noqa: T201 - for the test to read
        if start % 4 == 0:
            await spool.done([pending.id for pending in await spool.oldest(5)])


def killed_after(lines: int, path: Path, first: int) -> dict[int, int]:
    """Run the program above, kill it after some lines and return what it acknowledged: ids to numbers."""
    command = [sys.executable, __file__, str(path), str(first)]
    acknowledged: dict[int, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in itertools.islice(child.stdout, lines):
            acknowledged |= pairs(line)
        child.kill()
        acknowledged |= {row_id: number for line in child.stdout for row_id, number in pairs(line).items()}
    assert acknowledged, "the program did not run"
    return acknowledged


def pairs(line: str) -> dict[int, int]:
    words = [int(word) for word in line.split()] if line.endswith("\n") else []
    return dict(zip(words[::2], words[1::2], strict=True))


async def everything(path: Path) -> tuple[dict[int, Entry], Spool]:
    spool = await Spool.open(path, max_size=64 * MIB)
    await spool.offer_again(datetime(2000, 1, 1, tzinfo=UTC))
    entries: dict[int, Entry] = {}
    while offered := await spool.oldest(1000):
        assert not entries.keys() & {pending.id for pending in offered}
        entries |= {pending.id: pending.entry for pending in offered}
        await spool.done([pending.id for pending in offered])
    return entries, spool


@contextmanager
def files_end_at(most_bytes: int) -> Iterator[None]:
    """Let no write go further into a file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def append_until_full(spool: Spool) -> int:
    for number in itertools.count():
        try:
            await spool.append(observation(number))
        except SpoolFullError:
            return number
    raise AssertionError


@asynccontextmanager
async def closing(spool: Spool) -> AsyncIterator[Spool]:
    try:
        yield spool
    finally:
        await spool.close()


async def entries_of(spool: Spool) -> list[Entry]:
    return [pending.entry for pending in await spool.oldest(10_000)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB, where the tests may make one."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "spool", str(tmp_path)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no small file system can be made here: {made.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


async def test_what_was_acknowledged_is_there_after_any_kill(tmp_path: Path) -> None:
    print("seed", SEED)  # noqa: T201 - shown when the test fails
    random = Random(SEED)  # noqa: S311 - kills that can be done again, no secrets
    path = tmp_path / "spool.sqlite"
    acknowledged: dict[int, int] = {}
    for _ in range(KILLS):
        first = 1 + max(acknowledged.values(), default=0)
        acknowledged |= await asyncio.to_thread(killed_after, random.randrange(1, 40), path, first)

    entries, spool = await everything(path)

    assert {row_id: entries[row_id] for row_id in acknowledged} == {
        row_id: observation(number) for row_id, number in acknowledged.items()
    }
    assert list(entries) == sorted(entries)
    assert (spool.recovered, spool.damaged) == (None, 0)
    last = max(entry.time for entry in entries.values() if isinstance(entry, Observation))
    assert await spool.last_ticks() == {("main", Market.USDM): last}
    await spool.close()


async def test_a_full_disk_refuses_keeps_what_it_has_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "spool.sqlite", max_size=64 * MIB)
    with files_end_at(MIB):
        count = await append_until_full(spool)
        assert count > 200
        assert await entries_of(spool) == [observation(number) for number in range(count)]
    for number in range(count, count + 500):
        await spool.append(observation(number))

    assert await entries_of(spool) == [observation(number) for number in range(count + 500)]
    await spool.close()


async def test_on_a_disk_of_its_own_that_is_full_a_spool_makes_room_by_itself(small_disk: Path) -> None:
    async with closing(await Spool.open(small_disk / "spool.sqlite", max_size=64 * MIB)) as spool:
        count = await append_until_full(spool)
        assert count > 500
        assert await entries_of(spool) == [observation(number) for number in range(count)]
        while offered := await spool.oldest(10):
            await spool.done([pending.id for pending in offered])
        assert spool.depth == 0

        again = await append_until_full(spool)
        assert again > count * 0.9
        assert await entries_of(spool) == [observation(number) for number in range(again)]


async def test_a_crash_while_the_disk_is_full_loses_nothing(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "live" / "spool.sqlite", max_size=64 * MIB)
    with files_end_at(MIB):
        count = await append_until_full(spool)
        shutil.copytree(tmp_path / "live", tmp_path / "crashed")
    await spool.close()

    entries, again = await everything(tmp_path / "crashed" / "spool.sqlite")

    assert list(entries.values())[:count] == [observation(number) for number in range(count)]
    await again.close()


async def test_a_rescue_without_room_is_refused_and_succeeds_when_there_is(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    spool = await Spool.open(path, max_size=64 * MIB)
    for number in range(300):
        await spool.append(observation(number))
    await spool.close()
    _damage(path)
    before = path.read_bytes()

    with files_end_at(200_000), pytest.raises(SpoolFullError):
        await Spool.open(path, max_size=64 * MIB)
    assert path.read_bytes() == before

    entries, again = await everything(path)
    assert list(entries.values()) == [observation(number) for number in range(300)]
    await again.close()


def _damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"no database")


if __name__ == "__main__":
    asyncio.run(append_for_ever(Path(sys.argv[1]), int(sys.argv[2])))
