"""The daemon's side of the rollups: a minute's work at a time, off the way of what is stored."""

from datetime import timedelta

from poller.daemon.rollups import Rollups
from poller.storage.store import Store
from tests.support.database import execute
from tests.support.heard import heard
from tests.support.snapshots import TICK, ok

QUEUE = "INSERT INTO poller.rollup_queue (hour, account, market) SELECT hour, 'main', 'usdm' FROM "


async def test_a_backlog_is_worked_off_and_told(plain_database_url: str) -> None:
    own = Store(plain_database_url)
    execute(
        plain_database_url, QUEUE + "generate_series(%s::timestamptz, %s, '1 hour') AS hour",
        TICK, TICK + timedelta(hours=149),
    )  # fmt: skip

    with heard() as events:
        await Rollups(own).refresh()
        await Rollups(own).refresh()

    assert execute(plain_database_url, "SELECT count(*) FROM poller.rollup_queue") == [(0,)]
    assert events == {"rollups catching up": 1}
    await own.close()


async def test_a_database_that_takes_nothing_is_told_and_asked_again(plain_database_url: str) -> None:
    writer, own = Store(plain_database_url), Store(plain_database_url)
    await writer.open()
    await writer.save(ok())
    execute(plain_database_url, "ALTER FUNCTION poller.refresh_rollups RENAME TO hidden")

    with heard() as events:
        await Rollups(own).refresh()
        execute(plain_database_url, "ALTER FUNCTION poller.hidden RENAME TO refresh_rollups")
        await Rollups(own).refresh()

    assert events == {"rollups not refreshed": 1}
    assert execute(plain_database_url, "SELECT ticks_stored FROM poller.hourly_ticks") == [(1,)]
    await writer.close()
    await own.close()
