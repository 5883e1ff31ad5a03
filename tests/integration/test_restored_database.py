"""A database that loses what it had committed: the spool brings it back, by itself or when it is asked."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from poller.config import Settings, load
from poller.daemon.replay import Replayed, replay
from poller.errors import ConfigError
from poller.observation import Environment, Market, RunStarted, RunStopped
from poller.spool import Spool
from poller.storage.store import Store
from poller.writer import OFFER_AGAIN, Writer
from tests.support.database import execute, new_database
from tests.support.pooler import pooler
from tests.support.replies import TIME, envelope, observed, usdm_asset, usdm_position, usdm_result
from tests.support.restored import earlier_state
from tests.support.writing import drained, running

GOOD = envelope(usdm_result(assets=[usdm_asset("USDT", "5.5")], positions=[usdm_position("BTCUSDT", "0.1")]))
NOW = datetime.now(UTC)


class Clock:
    """The clock of a host, which the test sets and every look moves on a little."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="spool")
async def _spool(tmp_path: Path, clock: Clock) -> AsyncIterator[Spool]:
    spool = await Spool.open(tmp_path / "spool.sqlite", max_size=2**24, now=clock)
    yield spool
    await spool.close()


async def append(spool: Spool, *numbers: int, account: str = "main") -> None:
    for number in numbers:
        time = TIME + timedelta(seconds=10 * number)
        await spool.append(observed(Market.USDM, GOOD, time=time, account=account))


def writer_of(spool: Spool, url: str) -> Writer:
    return Writer(spool=spool, store=Store(url))


def numbers(url: str) -> list[int]:
    """Return which polls are there, with all of their rows."""
    rows = execute(
        url,
        "SELECT time FROM poller.polls JOIN poller.account_totals USING (time, account, market)"
        " JOIN poller.asset_balances USING (time, account, market)"
        " JOIN poller.positions USING (time, account, market)"
        " JOIN poller.raw_payloads USING (time, account, market) WHERE status = 'ok' ORDER BY time",
    )
    return [int((time - TIME).total_seconds()) // 10 for (time,) in rows if isinstance(time, datetime)]


async def test_what_a_restored_database_lost_of_the_last_minutes_comes_back_by_itself(
    spool: Spool, plain_server: str, plain_database_url: str
) -> None:
    await append(spool, 0, 1)
    await drained(writer_of(spool, plain_database_url))
    with earlier_state(plain_server, plain_database_url) as earlier:
        writer = writer_of(spool, plain_database_url)
        async with running(writer), asyncio.timeout(120):
            await append(spool, 2, 3)
            writer.wake()
            await writer.drained.wait()
            await asyncio.to_thread(earlier.restore)
            await append(spool, 4)
            writer.wake()
            await writer.drained.wait()

        assert numbers(plain_database_url) == [0, 1, 2, 3, 4]


async def test_a_server_that_is_replaced_behind_a_connection_that_survives_is_noticed(
    spool: Spool, plain_server: str, plain_template: str, plain_database_url: str
) -> None:
    with new_database(plain_server, extension=False, template=plain_template) as other:
        async with pooler(plain_database_url) as (between, url):
            writer = writer_of(spool, url)
            async with running(writer), asyncio.timeout(120):
                await append(spool, 0, 1)
                writer.wake()
                await writer.drained.wait()
                assert between.clients == 1
                between.replace(other)
                await append(spool, 2)
                writer.wake()
                await writer.drained.wait()

        assert numbers(plain_database_url) == [0, 1]
        assert numbers(other) == [0, 1, 2]


async def test_it_comes_back_also_when_the_database_was_away_for_hours_and_we_were_restarted(
    spool: Spool, clock: Clock, plain_server: str, plain_database_url: str
) -> None:
    with earlier_state(plain_server, plain_database_url) as earlier:
        await append(spool, 0, 1)
        await drained(writer_of(spool, plain_database_url))
        earlier.restore()
        clock.now += timedelta(hours=5)
        await drained(writer_of(spool, plain_database_url))

        assert numbers(plain_database_url) == [0, 1]


async def test_it_comes_back_also_when_the_host_clock_was_set_back_meanwhile(
    spool: Spool, clock: Clock, plain_server: str, plain_database_url: str
) -> None:
    with earlier_state(plain_server, plain_database_url) as earlier:
        for number, step in enumerate((timedelta(0), timedelta(days=-1), timedelta(seconds=-3), timedelta(hours=2))):
            clock.now += step
            await append(spool, number)
            await drained(writer_of(spool, plain_database_url))
        earlier.restore()
        clock.now -= timedelta(hours=1)
        await drained(writer_of(spool, plain_database_url))

        assert numbers(plain_database_url) == [0, 1, 2, 3]


async def test_a_database_that_breaks_off_again_and_again_is_not_offered_more_each_time(
    spool: Spool, clock: Clock, plain_database_url: str
) -> None:
    await append(spool, 0)
    await drained(writer_of(spool, plain_database_url))
    clock.now += OFFER_AGAIN * 1.5
    await append(spool, 1)
    await drained(writer_of(spool, plain_database_url))
    store = Store(plain_database_url)
    writer = Writer(spool=spool, store=store)
    for _ in range(3):
        await writer._connect()
        assert writer._offer_since is not None
        await spool.offer_again(writer._offer_since)
        await store.close()

    assert spool.depth == 1


async def test_what_it_lost_before_is_replayed_beside_the_daemon(
    spool: Spool, clock: Clock, tmp_path: Path, plain_server: str, plain_database_url: str
) -> None:
    settings = settings_for(tmp_path, plain_database_url)
    with earlier_state(plain_server, plain_database_url) as earlier:
        clock.now = NOW - timedelta(hours=3)
        await spool.append(
            RunStarted(
                instance="run-1",
                recorder="r",
                release="1",
                environment=Environment.SIMULATED,
                started_at=TIME,
                promises=(),
            )
        )
        await append(spool, 0, 1)
        await append(spool, 1, account="other")
        await drained(writer_of(spool, plain_database_url))
        clock.now = NOW - timedelta(hours=2)
        await spool.append(RunStopped(instance="run-1", stopped_at=TIME, reason="signal"))
        await append(spool, 2)
        await drained(writer_of(spool, plain_database_url))
        clock.now = NOW
        await append(spool, 3)
        await drained(writer_of(spool, plain_database_url))
        earlier.restore()
        writer = writer_of(spool, plain_database_url)
        async with running(writer), asyncio.timeout(120):
            await writer.drained.wait()
            assert numbers(plain_database_url) == [3]

            part = await replayed(settings, until=NOW - timedelta(hours=2.5), account="main")
            assert (part.total, part.new, part.other, part.passed_over) == (4, 2, 1, 1)
            assert numbers(plain_database_url) == [0, 1, 3]

            rest = await replayed(settings)
            assert (rest.total, rest.seen, rest.new, rest.existing, rest.other) == (7, 7, 2, 3, 2)
        assert await replayed(settings) == Replayed(total=7, seen=7, existing=5, other=2)

        assert numbers(plain_database_url) == [0, 1, 1, 2, 3]
        assert execute(plain_database_url, "SELECT instance, stop_reason FROM poller.runs") == [("run-1", "signal")]


async def test_a_replay_needs_a_spool(tmp_path: Path, plain_database_url: str) -> None:
    with pytest.raises(ConfigError, match="there is no spool"):
        await replayed(settings_for(tmp_path / "elsewhere", plain_database_url))


async def replayed(settings: Settings, *, until: datetime | None = None, account: str | None = None) -> Replayed:
    told: list[tuple[int, int]] = []
    done = await replay(
        settings,
        since=NOW - timedelta(hours=24),
        until=until or NOW + timedelta(seconds=10),
        account=account,
        hide=lambda _: None,
        report=lambda now: told.append((now.seen, now.total)),
    )
    assert told[0] == (0, done.total)
    assert told[-1] == (done.total, done.total)
    return done


def settings_for(folder: Path, url: str) -> Settings:
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(
        "exchange: {environment: simulated}\naccounts: [{name: main}]\nspool: {path: spool.sqlite}\n", encoding="utf-8"
    )
    return load(folder / "config.yaml", {"DATABASE_URL": url})
