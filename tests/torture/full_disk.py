"""A disk that fills up and empties under a spool: what it acknowledged stays as it was, and nothing else appears.

Root gets a small file system of its own, where every write can fail (ENOSPC); others a limit for the length of a file
(EFBIG). The room comes and goes between any two calls. Again and again the files are copied as they lie, as a kill
would leave them, and the copy is read; entries that were reported as stored may be gone, for their room was needed.
"""

import os
import random
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from poller.errors import SpoolFullError
from poller.observation import Entry, Environment, Market, Observation
from poller.spool import Spool
from tests.torture.terms import Figure, Terms

NAME = "full disks under a spool"

_SHORT, _LONG, _ROUND = 600, 20_000, 60
_MOST_BYTES = 64 * 1024 * 1024
_MIB = 1024 * 1024
_DISK_BYTES = 24 * _MIB
_START = datetime(2026, 11, 21, tzinfo=UTC)
_EVER = datetime(2000, 1, 1, tzinfo=UTC)

Leave = Callable[[int | None], None]
"""Leaves so many bytes free, or all that there are."""


@dataclass(slots=True)
class Tally:
    """What came of all calls.

    Attributes:
        waiting: Acknowledged and never reported as stored.
    """

    acknowledged: dict[int, Entry] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)
    refused: int = 0
    not_opened: int = 0
    lost: int = 0
    wrong: int = 0
    damaged: int = 0


async def torture(chance: random.Random, terms: Terms) -> AsyncIterator[Figure]:
    """Use a spool in every way while its disk is full, nearly full or empty."""
    tally, numbers = Tally(), count()
    with _small_disk(terms.folder / "disk") as (folder, leave):
        spool = await Spool.open(folder / "spool.sqlite", max_size=_MOST_BYTES)
        for step in range(_SHORT if terms.short else _LONG):
            if chance.random() < 0.1:
                leave(chance.choice([None, 0, 4096, 20_000, 100_000, _MIB, 17 * _MIB]))
            try:
                await _use(chance, spool, tally, next(numbers))
            except SpoolFullError:
                tally.refused += 1
            if step % _ROUND == _ROUND - 1:
                leave(None)
                await _compare(shutil.copytree(folder, terms.folder / f"{step}", ignore=_others), tally)
                await spool.close()
                leave(chance.choice([None, 0, 4096, _MIB]))
                spool = await _opened(folder, leave, tally)
        await spool.close()
    yield Figure(name="entries acknowledged", value=len(tally.acknowledged), bound=">= 50")
    yield Figure(name="calls refused", value=tally.refused, bound=">= 10")
    yield Figure(name="acknowledged entries lost", value=tally.lost, bound="<= 0")
    yield Figure(name="entries that are not what was acknowledged", value=tally.wrong, bound="<= 0")
    yield Figure(name="spools damaged", value=tally.damaged, bound="<= 0")
    yield Figure(name="spools not opened before there was room", value=tally.not_opened, bound="")


async def _use(chance: random.Random, spool: Spool, tally: Tally, number: int) -> None:
    match chance.choices(["append", "done", "offer again", "purge", "remember"], [74, 8, 6, 6, 6])[0]:
        case "append":
            entry = _entry(number, chance.randbytes(chance.choice([0, 500, 700, 5000, 60_000])))
            row_id = await spool.append(entry)
            tally.acknowledged[row_id] = entry
            tally.waiting.add(row_id)
        case "done":
            ids = [item.id for item in await spool.oldest(chance.choice([1, 20, 500]))]
            await spool.done(ids)
            tally.waiting.difference_update(ids)
        case "offer again":
            await spool.offer_again(_EVER)
        case "purge":
            await spool.purge(datetime.now(UTC))
        case _:
            await spool.remember("note", chance.randbytes(500))


async def _compare(folder: Path, tally: Tally) -> None:
    """Look for what was acknowledged in a copy of the spool."""
    spool = await Spool.open(folder / "spool.sqlite", max_size=_MOST_BYTES)
    await spool.offer_again(_EVER)
    found: dict[int, Entry] = {}
    while pending := await spool.oldest(500):
        found |= {item.id: item.entry for item in pending}
        await spool.done([item.id for item in pending])
    tally.lost += len(tally.waiting - found.keys())
    tally.wrong += sum(tally.acknowledged.get(row_id) != entry for row_id, entry in found.items())
    tally.damaged += bool(spool.recovered or spool.damaged)
    await spool.close()
    shutil.rmtree(folder)


async def _opened(folder: Path, leave: Leave, tally: Tally) -> Spool:
    try:
        spool = await Spool.open(folder / "spool.sqlite", max_size=_MOST_BYTES)
    except SpoolFullError:
        tally.not_opened += 1
        leave(None)
        spool = await Spool.open(folder / "spool.sqlite", max_size=_MOST_BYTES)
    tally.damaged += bool(spool.recovered or spool.damaged)
    return spool


def _entry(number: int, body: bytes) -> Observation:
    return Observation(
        environment=Environment.SIMULATED,
        account="main",
        market=Market.USDM,
        time=_START + timedelta(seconds=number),
        status=None,
        body=body,
        instance="one",
    )


def _others(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith("spool.sqlite") or name.endswith("-shm")]


@contextmanager
def _small_disk(folder: Path) -> Iterator[tuple[Path, Leave]]:
    """Have a disk of 24 MiB, where we may make one; else one whose files cannot grow."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "spool", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield from _limited(folder)
        return
    filler = folder / "filler"

    def leave(free: int | None) -> None:
        filler.unlink(missing_ok=True)
        disk = os.statvfs(folder)
        taken = 0 if free is None else disk.f_bavail * disk.f_frsize - free
        if taken > 0:
            with filler.open("wb") as opened:
                os.posix_fallocate(opened.fileno(), 0, taken)

    try:
        yield folder, leave
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _limited(folder: Path) -> Iterator[tuple[Path, Leave]]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def leave(free: int | None) -> None:
        largest = max((file.stat().st_size for file in folder.iterdir()), default=0)
        resource.setrlimit(resource.RLIMIT_FSIZE, before if free is None else (largest + free, before[1]))

    try:
        yield folder, leave
    finally:
        leave(None)
