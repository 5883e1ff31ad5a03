"""A damaged spool opens, gives back what is whole and nothing that is not."""

import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from poller.observation import Entry, Environment, Market, Observation, RunStarted
from poller.spool import Pending, Recovery, Spool
from poller.spool.file import Record

MIB = 1024 * 1024
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LAST = 79
PAGE = 4096
FEW = 12
"""More rows than one page holds."""


@dataclass(frozen=True)
class Kept:
    """A spool on the disk, and what was acknowledged in it."""

    folder: Path
    entries: dict[int, Entry]
    recorder: str


@dataclass(frozen=True)
class Found:
    """What an opened spool gives back."""

    entries: dict[int, Entry]
    recorder: str
    recovered: Recovery | None
    damaged: int
    last_tick: datetime | None
    next_id: int


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - damage that can be done again, no secrets


def observation(number: int, body: bytes = b"") -> Observation:
    return Observation(
        environment=Environment.SIMULATED,
        account="main",
        market=Market.USDM,
        time=START + timedelta(seconds=10 * number),
        status=None,
        body=body,
        instance="one",
    )


async def keep(folder: Path, *, closed: bool) -> Kept:
    """Make a spool with entries of many sizes, a part of them stored; unless closed, with most of it in the log."""
    random = seeded(5)
    spool = await Spool.open(folder / "live" / "spool.sqlite", max_size=64 * MIB)
    run = RunStarted(
        instance="one",
        recorder=spool.recorder,
        release="0.1.0",
        environment=Environment.SIMULATED,
        started_at=START,
        promises=(),
    )
    entries: dict[int, Entry] = {await spool.append(run): run}
    for number in range(LAST + 1):
        entry = observation(number, random.randbytes(random.choice([0, 200, 500, 600, 3000, 9000])))
        entries[await spool.append(entry)] = entry
        if number == LAST // 2:
            await spool.done(list(entries)[:30])
            await spool.remember("note", b"what a restart must not forget")
    if closed:
        await spool.close()
    shutil.copytree(folder / "live", folder / "kept")
    await spool.close()
    return Kept(folder / "kept", entries, spool.recorder)


async def found(folder: Path) -> Found:
    spool = await Spool.open(folder / "spool.sqlite", max_size=64 * MIB)
    await spool.offer_again(datetime(2000, 1, 1, tzinfo=UTC))
    entries: dict[int, Entry] = {}
    while offered := await spool.oldest(1000):
        entries |= {pending.id: pending.entry for pending in offered}
        await spool.done([pending.id for pending in offered])
    last_tick = (await spool.last_ticks()).get(("main", Market.USDM))
    next_id = await spool.append(observation(LAST + 1))
    await spool.close()
    return Found(entries, spool.recorder, spool.recovered, spool.damaged, last_tick, next_id)


def copied(kept: Kept, folder: Path) -> Path:
    return Path(shutil.copytree(kept.folder, folder))


def change(file: Path, at: int, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(data)


def flip(file: Path, random: Random) -> None:
    at = random.randrange(file.stat().st_size)
    change(file, at, bytes([file.read_bytes()[at] ^ 1 << random.randrange(8)]))


def lost(kept: Kept, got: Found) -> set[int]:
    """Return what is missing, after making sure that nothing was made up."""
    assert {row_id: kept.entries[row_id] for row_id in got.entries} == got.entries
    return kept.entries.keys() - got.entries.keys()


def aside(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if ".damaged-" in file.name)


async def test_an_unclean_end_alone_is_no_damage(tmp_path: Path) -> None:
    kept = await keep(tmp_path, closed=False)

    got = await found(kept.folder)

    assert (lost(kept, got), got.recovered, got.recorder) == (set(), None, kept.recorder)


@pytest.mark.parametrize("name", ["spool.sqlite", "spool.sqlite-wal"])
async def test_a_flipped_bit_costs_a_page_of_rows_at_most_and_is_told(tmp_path: Path, name: str) -> None:
    kept = await keep(tmp_path, closed=name == "spool.sqlite")
    for seed in range(40):
        folder = copied(kept, tmp_path / f"{seed}")
        flip(folder / name, seeded(seed))

        got = await found(folder)

        missing = lost(kept, got)
        assert len(missing) <= FEW, seed
        if missing != {max(kept.entries)}:  # which may look like a commit that was never finished
            assert not missing or got.recovered or got.damaged, seed
            assert got.last_tick == observation(LAST).time, seed


async def test_a_header_with_any_byte_changed_costs_nothing(tmp_path: Path) -> None:
    kept = await keep(tmp_path, closed=True)
    for at in range(0, 100, 3):
        folder = copied(kept, tmp_path / f"{at}")
        change(folder / "spool.sqlite", at, b"\x07")

        got = await found(folder)

        assert (lost(kept, got), got.recorder) == (set(), kept.recorder), at


async def test_a_page_of_zeros_costs_its_rows(tmp_path: Path) -> None:
    kept = await keep(tmp_path, closed=True)
    pages = (kept.folder / "spool.sqlite").stat().st_size // PAGE
    for number in range(0, pages, 2):
        folder = copied(kept, tmp_path / f"{number}")
        change(folder / "spool.sqlite", number * PAGE, bytes(PAGE))

        got = await found(folder)

        assert len(lost(kept, got)) <= FEW, number
        assert got.recorder == kept.recorder, number


async def test_a_file_cut_short_gives_back_what_is_left_of_it(tmp_path: Path) -> None:
    kept = await keep(tmp_path, closed=True)
    size = (kept.folder / "spool.sqlite").stat().st_size
    before = len(kept.entries)
    for seed, part in enumerate([0.999, 0.9, 0.75, 0.5, 0.25, 0.1, 0.02, 0.0001]):
        folder = copied(kept, tmp_path / f"{seed}")
        with (folder / "spool.sqlite").open("r+b") as file:
            file.truncate(int(size * part))

        got = await found(folder)

        left = len(kept.entries) - len(lost(kept, got))
        assert len(kept.entries) * part - FEW <= left <= before, part
        assert got.recovered or got.damaged, part  # the end of the last page may be within one row
        before = left


async def test_a_log_cut_short_gives_back_what_is_left_of_it(tmp_path: Path) -> None:
    kept = await keep(tmp_path, closed=False)
    size = (kept.folder / "spool.sqlite-wal").stat().st_size
    for seed, part in enumerate([0.95, 0.5, 0.1, 0.0001]):
        folder = copied(kept, tmp_path / f"{seed}")
        with (folder / "spool.sqlite-wal").open("r+b") as file:
            file.truncate(int(size * part))

        got = await found(folder)

        assert len(lost(kept, got)) <= len(kept.entries) * (1 - part) + FEW, part


async def test_an_empty_file_beside_its_log_is_rescued_from_the_log(tmp_path: Path) -> None:
    kept = await keep(tmp_path, closed=False)
    (kept.folder / "spool.sqlite").write_bytes(b"")

    got = await found(kept.folder)

    assert (lost(kept, got), got.recorder) == (set(), kept.recorder)
    assert got.recovered


@pytest.mark.parametrize(
    ("text", "damaged"),
    [
        (b"identity (recorder", b"identity \xca(recorder"),
        (b"tabledamageddamaged", b"table\xcaamageddamaged"),
        (b"appended_at INTEGER NOT NULL, stored_at", b"appended_aX INTEGER NOT NULL, stored_at"),
        (b"stored_at INTEGER NOT NULL, crc INTEGER", b"stored_at INTEGER NOT NULL, cXc INTEGER"),
        (b"notes (name TEXT", b"notes (nXme TEXT"),
    ],
)
async def test_a_layout_with_another_word_in_it_costs_nothing(tmp_path: Path, text: bytes, damaged: bytes) -> None:
    kept = await keep(tmp_path, closed=True)
    file = kept.folder / "spool.sqlite"
    whole = file.read_bytes()
    assert text in whole
    file.write_bytes(whole.replace(text, damaged[: len(text)].ljust(len(text)), 1))

    got = await found(kept.folder)

    assert (lost(kept, got), got.recorder, got.next_id) == (set(), kept.recorder, max(kept.entries) + 1)
    assert got.recovered


async def test_the_damaged_file_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    kept = await keep(tmp_path, closed=True)
    change(kept.folder / "spool.sqlite", 0, b"no database")
    before = (kept.folder / "spool.sqlite").read_bytes()

    got = await found(kept.folder)

    (moved,) = aside(kept.folder)
    assert moved.read_bytes() == before
    assert moved.stat().st_mode & 0o777 == 0o600
    assert got.recovered == Recovery(moved_to=moved, entries=len(kept.entries), damaged=0)
    assert got.next_id == max(kept.entries) + 1


async def test_a_file_of_anything_else_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite").write_bytes(seeded(1).randbytes(10_000))

    got = await found(tmp_path)

    assert got.entries == {}
    assert got.recovered == Recovery(moved_to=aside(tmp_path)[0], entries=0, damaged=0)


async def test_a_rescue_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    kept = await keep(tmp_path, closed=True)
    (kept.folder / "spool.sqlite").rename(kept.folder / "spool.sqlite.rescued")
    (kept.folder / "spool.sqlite").write_bytes(b"damaged")
    (kept.folder / "spool.sqlite-wal").write_bytes(b"damaged")

    got = await found(kept.folder)

    assert lost(kept, got) == set()
    assert got.recovered
    assert [file.read_bytes() for file in aside(kept.folder)] == [b"damaged", b"damaged"]


async def test_the_recorder_is_known_from_the_last_run_when_its_own_row_is_lost(tmp_path: Path) -> None:
    kept = await keep(tmp_path, closed=True)
    with closing(sqlite3.connect(kept.folder / "spool.sqlite")) as other, other:
        other.execute("UPDATE identity SET crc = crc + 1")

    assert (await found(kept.folder)).recorder == kept.recorder


async def test_a_last_tick_that_cannot_be_believed_is_found_again_in_the_entries(tmp_path: Path) -> None:
    kept = await keep(tmp_path, closed=True)
    with closing(sqlite3.connect(kept.folder / "spool.sqlite")) as other, other:
        other.execute("UPDATE last_ticks SET time = time + 1000000000000000")

    got = await found(kept.folder)

    assert (lost(kept, got), got.last_tick) == (set(), observation(LAST).time)


@pytest.mark.parametrize("change_row", ["crc = crc + 1", "entry = 'text'", "appended_at = 2", "entry = zeroblob(20)"])
async def test_a_damaged_row_is_set_aside_and_the_next_are_offered(tmp_path: Path, change_row: str) -> None:
    kept = await keep(tmp_path, closed=True)
    broken = list(kept.entries)[40:43]
    with closing(sqlite3.connect(kept.folder / "spool.sqlite")) as other, other:
        for row_id in broken:
            other.execute(f"UPDATE entries SET {change_row} WHERE id = {row_id}")  # noqa: S608 - the test's own

    got = await found(kept.folder)

    assert (lost(kept, got), got.recovered, got.damaged) == (set(broken), None, 3)


async def test_a_queue_of_damaged_rows_alone_is_empty_and_kept(tmp_path: Path) -> None:
    kept = await keep(tmp_path, closed=True)
    with closing(sqlite3.connect(kept.folder / "spool.sqlite")) as other, other:
        other.execute("UPDATE entries SET crc = 1")
    spool = await Spool.open(kept.folder / "spool.sqlite", max_size=64 * MIB)
    depth = spool.depth

    assert await spool.oldest(5) == []
    assert (spool.depth, spool.damaged, spool.oldest_at) == (0, depth, None)
    await spool.close()
    with closing(sqlite3.connect(kept.folder / "spool.sqlite")) as other:
        reasons = other.execute("SELECT reason, count(*) FROM damaged GROUP BY reason").fetchall()
    assert reasons == [("wrong checksum", depth)]


async def test_an_entry_that_no_release_knows_is_set_aside_with_the_reason(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "spool.sqlite", max_size=MIB)
    await spool._submit(spool._use, lambda file: file.append([Record(b"\x91\xa7unknown", None)]))
    last = await spool.append(observation(1))

    assert [pending.id for pending in await spool.oldest(5)] == [last]
    assert spool.damaged == 1
    await spool.close()


async def test_damage_under_a_running_spool_is_rescued_and_the_call_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    spool = await Spool.open(path, max_size=64 * MIB)
    ids = [await spool.append(observation(number, seeded(number).randbytes(9000))) for number in range(300)]
    spool._file._database.reuse_log()
    _wreck(path, range(3, 400, 5))

    offered: list[Pending] = []
    while batch := await spool.oldest(20):
        offered += batch
        await spool.done([pending.id for pending in batch])
    last = await spool.append(observation(300))

    assert spool.recovered is not None
    assert spool.recovered.moved_to is not None
    assert last == max(ids) + 1
    assert {pending.id for pending in offered} <= set(ids)
    assert all(pending.entry == observation(pending.id - 1, _body(pending.id - 1)) for pending in offered)
    await spool.close()


def _body(number: int) -> bytes:
    return seeded(number).randbytes(9000)


def _wreck(path: Path, pages: Iterable[int]) -> None:
    for number in pages:
        change(path, number * PAGE, bytes(PAGE))
