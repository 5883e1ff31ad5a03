"""The end of a ban outlives the process that was told of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from poller.daemon.bans import note_ban, noted_ban_seconds, noting_bans
from poller.exchange.holds import Hold
from poller.exchange.verdict import Action
from poller.spool import Spool
from tests.support.spools import fill

MIB = 1024 * 1024


@pytest.fixture(name="spool")
async def _spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = await Spool.open(tmp_path / "spool.sqlite", max_size=MIB)
    yield spool
    await spool.close()


def hold(action: Action, seconds: float) -> Hold:
    # The exchange's time is another one than the host's, and only the length of a ban counts.
    return Hold(action=action, until=datetime(2031, 1, 1, tzinfo=UTC), seconds=seconds, reason="x")


async def test_a_ban_is_noted_before_the_context_ends_and_known_after_a_restart(tmp_path: Path) -> None:
    first = await Spool.open(tmp_path / "spool.sqlite", max_size=MIB)
    async with noting_bans(first) as hear:
        hear(hold(Action.BAN, 300))
        hear(hold(Action.PAUSE, 900))
        hear(hold(Action.REFUSE, 900))
    await first.close()
    second = await Spool.open(tmp_path / "spool.sqlite", max_size=MIB)

    assert 180 < await noted_ban_seconds(second) <= 300
    await second.close()


async def test_without_a_note_there_is_no_ban(spool: Spool) -> None:
    assert await noted_ban_seconds(spool) == 0


async def test_a_ban_that_has_ended_is_none(spool: Spool) -> None:
    await note_ban(spool, datetime.now(UTC) - timedelta(seconds=1))

    assert await noted_ban_seconds(spool) == 0


async def test_the_longest_ban_is_believed(spool: Spool) -> None:
    await note_ban(spool, datetime.now(UTC) + timedelta(days=3, minutes=1))

    assert await noted_ban_seconds(spool) > 3 * 86_400


@pytest.mark.parametrize(
    "note", [b"", b"\xff", b"soon", b"2099-11-21T12:00:00", b"2099-11-21T12:00:00+00:00", b"9999-12-31T23:59:59+00:00"]
)
async def test_a_note_that_makes_no_sense_is_as_good_as_none(spool: Spool, note: bytes) -> None:
    await spool.remember("ban", note)
    with capture_logs() as logs:
        assert await noted_ban_seconds(spool) == 0

    assert [line["event"] for line in logs] == ["ban not known"]


async def test_a_ban_that_cannot_be_noted_is_logged(spool: Spool) -> None:
    await fill(spool)
    with capture_logs() as logs:
        await note_ban(spool, datetime.now(UTC))

    assert [line["event"] for line in logs] == ["ban not kept"]
