"""Flipped bytes, overwritten stretches, zeroed pages and truncations, anywhere in the file of a spool or in its log.

What is promised of a damaged spool: it opens; a row is given back as it was acknowledged if one copy of it is whole:
its leaf page and the pages that it overflows to, each in the file, or in a frame of the log with an untouched header;
what is given back is never anything else; and a loss is told by `recovered` or `damaged`, except that damage at the end
of the log looks like commits that were never finished, as after a power cut, and that an empty file without a log is a
new spool.
"""

import random
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from poller.observation import Entry, Environment, Market, Observation
from poller.spool import Spool
from poller.spool.carve import PAGE_SIZE, _page_cells, wal_of
from tests.torture.terms import Figure, Terms

NAME = "damaged spools: flipped bytes, overwritten stretches, zeroed pages, truncations"

_SHORT, _LONG, _CASES_OF_A_SPOOL = 40, 1000, 100
_MOST_BYTES = 64 * 1024 * 1024
_START = datetime(2026, 11, 21, tzinfo=UTC)
_WAL_HEADER, _FRAME_HEADER = 32, 24
_FRAME = _FRAME_HEADER + PAGE_SIZE

Stretch = tuple[str, int, int]
"""Bytes of a file: its name, the first and the one behind the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A spool on the disk.

    Attributes:
        entries: What was acknowledged, by id.
        copies: Of each row, the stretches of bytes that each of its copies consists of.
    """

    folder: Path
    entries: Mapping[int, Entry]
    copies: Mapping[int, tuple[frozenset[Stretch], ...]]


@dataclass(slots=True)
class Tally:
    """What came of all cases."""

    opened: int = 0
    intact_lost: int = 0
    wrong: int = 0
    untold: int = 0
    rows: int = 0
    kept: int = 0


async def torture(chance: random.Random, terms: Terms) -> AsyncIterator[Figure]:
    """Damage a spool in a new way for each case, and open it."""
    cases = _SHORT if terms.short else _LONG
    tally, spools = Tally(), tuple[Kept, ...]()
    for case in range(cases):
        if case % _CASES_OF_A_SPOOL == 0:
            spools = (
                await _keep(terms.folder / f"{case} closed", chance, closed=True),
                await _keep(terms.folder / f"{case} killed", chance, closed=False),
            )
        await _case(chance, chance.choice(spools), terms.folder / f"{case}", tally)
    yield Figure(name="damaged spools that opened", value=tally.opened, bound=f">= {cases}")
    yield Figure(name="rows lost of which a copy was whole", value=tally.intact_lost, bound="<= 0")
    yield Figure(name="rows that are not what was acknowledged", value=tally.wrong, bound="<= 0")
    yield Figure(name="losses that were not told, but for those at the end of a log", value=tally.untold, bound="<= 0")
    yield Figure(name="rows kept, percent", value=round(100 * tally.kept / tally.rows, 2), bound="")


async def _case(chance: random.Random, kept: Kept, folder: Path, tally: Tally) -> None:
    shutil.copytree(kept.folder, folder)
    before = _contents(folder)
    name = chance.choice([name for name in before if name in {"spool.sqlite", "spool.sqlite-wal"} and before[name]])
    chance.choice(_DAMAGES)(chance, folder / name)
    after = _contents(folder)
    spool = await Spool.open(folder / "spool.sqlite", max_size=_MOST_BYTES)
    found = await _everything(spool)
    tally.opened += 1
    tally.rows += len(kept.entries)
    tally.kept += len(found)
    tally.wrong += sum(kept.entries.get(row_id) != entry for row_id, entry in found.items())
    lost = kept.entries.keys() - found.keys()
    tally.intact_lost += sum(_is_whole(kept.copies[row_id], before, after) for row_id in lost)
    if not any(after[name] for name in after if not name.endswith(".lock")):
        lost = set[int]()  # an empty file without a log is a new spool
    unfinished = set(sorted(kept.entries)[-len(lost) :]) if name.endswith("-wal") else set[int]()
    if lost and lost != unfinished and not spool.recovered and not spool.damaged:
        tally.untold += len(lost)
    await spool.close()
    shutil.rmtree(folder)


def _contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def _everything(spool: Spool) -> dict[int, Entry]:
    await spool.offer_again(datetime(2000, 1, 1, tzinfo=UTC))
    found: dict[int, Entry] = {}
    while pending := await spool.oldest(500):
        found |= {item.id: item.entry for item in pending}
        await spool.done([item.id for item in pending])
    return found


async def _keep(folder: Path, chance: random.Random, *, closed: bool) -> Kept:
    """Make a spool with entries of many sizes, a part of them stored; unless closed, with its last rows in the log."""
    live = folder / "live"
    entries: dict[int, Entry] = {}
    spool = await Spool.open(live / "spool.sqlite", max_size=_MOST_BYTES)
    for number in range(chance.randrange(40, 160)):
        entry = Observation(
            environment=Environment.SIMULATED,
            account="main",
            market=Market.USDM,
            time=_START + timedelta(seconds=number),
            status=None,
            body=chance.randbytes(chance.choice([0, 200, 600, 900, 3000, 9000])),
            instance="one",
        )
        entries[await spool.append(entry)] = entry
        if number == 20:
            await spool.done(entries)
    if closed:
        await spool.close()
    shutil.copytree(live, folder / "kept", ignore=shutil.ignore_patterns("*-shm"))
    await spool.close()
    kept = Kept(folder=folder / "kept", entries=entries, copies=_copies(folder / "kept" / "spool.sqlite"))
    assert kept.copies.keys() >= entries.keys(), "this scenario cannot find the rows in the files"
    return kept


def _copies(path: Path) -> Mapping[int, tuple[frozenset[Stretch], ...]]:
    """Find all copies of all rows in an undamaged spool."""
    data = path.read_bytes()
    wal = wal_of(path).read_bytes() if wal_of(path).exists() else b""
    frames = {at: int.from_bytes(wal[at : at + 4], "big") for at in range(_WAL_HEADER, len(wal) - _FRAME + 1, _FRAME)}
    last = {page: at for at, page in frames.items()}

    def in_file(number: int) -> tuple[bytes, Stretch]:
        at = (number - 1) * PAGE_SIZE
        return data[at : at + PAGE_SIZE].ljust(PAGE_SIZE, b"\0"), (path.name, at, at + PAGE_SIZE)

    def in_log(number: int) -> tuple[bytes, Stretch]:
        if number not in last:
            return in_file(number)
        at = last[number]
        return wal[at + _FRAME_HEADER : at + _FRAME], (wal_of(path).name, at, at + _FRAME)

    found: dict[int, tuple[frozenset[Stretch], ...]] = {}
    leaves = [(number, *in_file(number), in_file) for number in range(1, len(data) // PAGE_SIZE + 1)]
    for at, number in frames.items():
        leaf = wal[at + _FRAME_HEADER : at + _FRAME]
        leaves.append((number, leaf, (wal_of(path).name, at, at + _FRAME), in_log))
    for number, page, stretch, read in leaves:
        for row_id, parts in _rows(number, page, read):
            found[row_id] = (*found.get(row_id, ()), frozenset({stretch, *parts}))
    return found


def _rows(
    number: int, page: bytes, read: Callable[[int], tuple[bytes, Stretch]]
) -> Iterator[tuple[int, frozenset[Stretch]]]:
    """Yield the ids of the entries on a page, and where their overflow is."""
    parts: list[Stretch] = []

    def noted(overflow: int) -> bytes:
        found, stretch = read(overflow)
        parts.append(stretch)
        return found

    for row_id, columns in _page_cells(page, number, noted):
        if len(columns) == 5 and columns[0] is None:
            yield row_id, frozenset(parts)
        parts.clear()


def _is_whole(copies: tuple[frozenset[Stretch], ...], before: Mapping[str, bytes], after: Mapping[str, bytes]) -> bool:
    return any(all(before[name][first:end] == after[name][first:end] for name, first, end in copy) for copy in copies)


def _flip(chance: random.Random, file: Path) -> None:
    data = bytearray(file.read_bytes())
    for _ in range(chance.choice([1, 1, 1, 2, 10, 100])):
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
    file.write_bytes(data)


def _flip_early(chance: random.Random, file: Path) -> None:
    """Hit the header, the layout or the first rows: the most that few bytes can do."""
    data = bytearray(file.read_bytes())
    data[chance.randrange(min(len(data), 2 * PAGE_SIZE))] ^= chance.randrange(1, 256)
    file.write_bytes(data)


def _overwrite(chance: random.Random, file: Path) -> None:
    data = bytearray(file.read_bytes())
    at, length = chance.randrange(len(data)), chance.choice([16, 512, PAGE_SIZE, 5 * PAGE_SIZE])
    data[at : at + length] = chance.randbytes(min(length, len(data) - at))
    file.write_bytes(data)


def _zero_pages(chance: random.Random, file: Path) -> None:
    data = bytearray(file.read_bytes())
    for _ in range(chance.choice([1, 2, 8])):
        at = chance.randrange(len(data) // PAGE_SIZE + 1) * PAGE_SIZE
        data[at : at + PAGE_SIZE] = bytes(len(data[at : at + PAGE_SIZE]))
    file.write_bytes(data)


def _truncate(chance: random.Random, file: Path) -> None:
    size = file.stat().st_size
    whole_pages = chance.random() < 0.5
    left = (
        chance.randrange(size // PAGE_SIZE) * PAGE_SIZE if whole_pages and size > PAGE_SIZE else chance.randrange(size)
    )
    with file.open("r+b") as opened:
        opened.truncate(left)


_DAMAGES = (_flip, _flip_early, _overwrite, _zero_pages, _truncate)
