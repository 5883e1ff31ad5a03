"""Notes outlive restarts, a full spool and a damaged file, and a spool without them is the one it always was."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from poller.errors import SpoolFullError
from poller.observation import Environment, Market, Observation
from poller.spool import Spool

MIB = 1024 * 1024
PAGE = 4096
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.sqlite"


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


async def opened(path: Path) -> Spool:
    return await Spool.open(path, max_size=MIB)


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def size(path: Path) -> int:
    return path.stat().st_size


def content(path: Path) -> bytes:
    return path.read_bytes()


def copied(path: Path, folder: Path) -> Path:
    """Copy a spool with its log, as a crash would leave it."""
    folder.mkdir()
    for file in path.parent.glob("spool.sqlite*"):
        if file.name in {"spool.sqlite", "spool.sqlite-wal"}:
            (folder / file.name).write_bytes(file.read_bytes())
    return folder / path.name


def damage(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def change_byte(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


async def filled(path: Path) -> Spool:
    spool = await opened(path)
    number = 0
    for length in (20_000, 500, 0):
        try:
            while True:
                await spool.append(observation(number, bytes(length)))
                number += 1
        except SpoolFullError:
            continue
    return spool


async def test_notes_are_there_after_a_restart_as_they_were_last(path: Path) -> None:
    spool = await opened(path)
    assert await spool.notes() == {}
    await spool.remember("ban", b"first")
    await spool.remember("ban", b"second")
    await spool.remember("key:main", b"")
    await spool.remember("key:old", b"\0\xff")
    await spool.remember("key:old", None)
    await spool.remember("never known", None)
    await spool.close()

    again = await opened(path)
    assert await again.notes() == {"ban": b"second", "key:main": b""}
    await again.close()


async def test_a_spool_from_before_there_were_notes_takes_them_and_loses_nothing(path: Path) -> None:
    spool = await opened(path)
    row_id = await spool.append(observation(0))
    await spool.close()
    before = tables(path)

    again = await opened(path)
    await again.remember("ban", b"until then")
    assert [pending.id for pending in await again.oldest(10)] == [row_id]
    await again.close()

    assert before == {"identity", "entries", "last_ticks", "damaged"}
    assert tables(path) == before | {"notes"}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version FROM identity").fetchall() == [(1,)]


async def test_a_spool_that_is_full_for_entries_takes_notes(path: Path) -> None:
    spool = await filled(path)
    depth = spool.depth
    for account in range(30):
        await spool.remember(f"key:{account}", bytes(16))
    for number in range(100):
        await spool.remember("ban", bytes([number]))

    assert len(await spool.notes()) == 31
    assert (await spool.notes())["ban"] == bytes([99])
    assert spool.depth == depth
    assert size(path) <= MIB
    await spool.close()


async def test_without_any_room_a_note_is_refused_and_the_earlier_one_stays(path: Path) -> None:
    spool = await filled(path)
    await spool.remember("ban", b"first")
    refused = await asyncio.gather(
        *(spool.remember(f"key:{number}", bytes(1000)) for number in range(200)), return_exceptions=True
    )
    kept = [number for number, result in enumerate(refused) if result is None]

    assert 10 < len(kept) < 200
    assert {type(result) for result in refused} == {type(None), SpoolFullError}
    assert await spool.notes() == {"ban": b"first"} | {f"key:{number}": bytes(1000) for number in kept}
    await spool.close()


async def test_a_note_is_small(path: Path) -> None:
    spool = await opened(path)
    with pytest.raises(ValueError, match="1024 bytes"):
        await spool.remember("ban", bytes(1022))
    with pytest.raises(UnicodeEncodeError):
        await spool.remember("\ud800", b"")

    assert await spool.notes() == {}
    await spool.close()


@pytest.mark.parametrize(
    "change", ["value = x'00'", "value = 7", "name = 'another'", "noted_at = 'x'", "noted_at = noted_at + 1", "crc = 0"]
)
async def test_a_note_that_cannot_be_believed_is_dropped_and_counted(path: Path, change: str) -> None:
    spool = await opened(path)
    await spool.remember("key:main", b"a fingerprint")
    await spool.remember("ban", b"until then")
    await spool.close()
    damage(path, f"UPDATE notes SET {change} WHERE name = 'ban'")  # noqa: S608 - the changes above

    again = await opened(path)
    assert await again.notes() == {"key:main": b"a fingerprint"}
    assert again.damaged == 1
    await again.remember("ban", b"anew")
    assert await again.notes() == {"key:main": b"a fingerprint", "ban": b"anew"}
    assert again.damaged == 1
    assert await again.oldest(10) == []
    await again.close()


@pytest.mark.parametrize("closed", [True, False])
async def test_a_rescue_carries_the_newest_notes_over_and_brings_no_forgotten_one_back(
    path: Path, tmp_path: Path, *, closed: bool
) -> None:
    spool = await opened(path)
    for number in range(40):
        await spool.append(observation(number, bytes(700)))
        await spool.remember("ban", bytes([number]))
        await spool.remember("key:main", b"a fingerprint")
        await spool.remember("key:old", None if number == 39 else b"another")
    if closed:
        await spool.close()
    copy = copied(path, tmp_path / "copy")
    await spool.close()
    with copy.open("r+b") as file:
        file.write(bytes(PAGE))  # the page that says where the tables are

    rescued = await opened(copy)
    assert rescued.recovered is not None
    assert rescued.recovered.moved_to is not None
    assert await rescued.notes() == {"ban": bytes([39]), "key:main": b"a fingerprint"}
    await rescued.close()


async def test_the_last_note_in_a_damaged_log_counts(path: Path, tmp_path: Path) -> None:
    spool = await opened(path)
    await spool.append(observation(0))
    await spool.remember("ban", b"first")
    await spool.close()
    spool = await opened(path)
    await spool.append(observation(1))
    await spool.remember("ban", b"second")
    copy = copied(path, tmp_path / "copy")
    change_byte(copy.with_name("spool.sqlite-wal"), 40)  # in the first frame's checksum: SQLite passes over all of them
    await spool.close()

    again = await opened(copy)
    assert await again.notes() == {"ban": b"second"}
    await again.close()


async def test_an_older_note_in_what_is_left_of_a_log_does_not_count(path: Path, tmp_path: Path) -> None:
    spool = await opened(path)
    await spool.remember("ban", b"first")
    copy = copied(path, tmp_path / "copy")
    await spool.remember("ban", b"second")
    await spool.close()
    copy.write_bytes(content(path))
    change_byte(copy.with_name("spool.sqlite-wal"), 40)

    again = await opened(copy)
    assert await again.notes() == {"ban": b"second"}
    await again.close()
