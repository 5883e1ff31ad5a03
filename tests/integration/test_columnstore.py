"""What is kept by columns is gated, made anew, dropped and altered as rows are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg.errors import ConfigurationLimitExceeded
from psycopg.sql import SQL, Identifier
from sqlalchemy import text

from poller.normalize import normalize
from poller.storage.engine import migration_engine, recording_engine
from poller.storage.store import Saved, Store
from tests.integration.test_renormalize import contents, renormalized, tick
from tests.support.database import compress, execute
from tests.support.histories import refresh
from tests.support.snapshots import failed, ok

BEGIN = datetime(2026, 2, 5, tzinfo=UTC)
TICKS = 300


def at(number: int) -> datetime:
    return BEGIN + timedelta(seconds=10 * number)


@pytest.fixture(name="filled")
async def _filled(community_database_url: str) -> str:
    """A database whose ticks, the last of them a failure, are all kept by columns."""
    store = Store(community_database_url)
    await store.open()
    await store.save_all([ok(at(number)) for number in range(TICKS - 1)])
    await store.save(failed(at(TICKS - 1)))
    await store.close()
    assert compress(community_database_url) == 5
    return community_database_url


async def test_the_gate_holds_for_what_is_kept_by_columns(filled: str) -> None:
    store = Store(filled)
    await store.open()
    saved = [
        await store.save(snapshot)
        for snapshot in (ok(at(0), instance="other"), failed(at(1)), ok(at(TICKS - 1)), ok(at(TICKS)), ok(at(TICKS)))
    ]
    late = await store.save_all([ok(at(number)) for number in range(TICKS - 5, TICKS + 5)])
    await store.close()

    assert saved == [Saved.EXISTING, Saved.EXISTING, Saved.REPLACED, Saved.NEW, Saved.EXISTING]
    assert late == [Saved.EXISTING] * 6 + [Saved.NEW] * 4
    assert execute(filled, "SELECT status, replaced_status, count(*) FROM poller.polls GROUP BY 1, 2 ORDER BY 3") == [
        ("ok", "timeout", 1),
        ("ok", None, TICKS + 4),
    ]
    for table in ("account_totals", "asset_balances", "positions", "raw_payloads"):
        stored = SQL("SELECT count(*), count(DISTINCT time) FROM {}").format(Identifier("poller", table))
        assert execute(filled, stored) == [(TICKS + 5, TICKS + 5)]
    assert compress(filled) == 5
    assert execute(filled, "SELECT count(*) FROM poller.positions") == [(TICKS + 5,)]


async def test_rows_that_are_kept_by_columns_are_made_anew(community_database_url: str, tmp_path: Path) -> None:
    url = community_database_url
    store = Store(url)
    await store.open()
    await store.save_all([normalize(tick(number)).snapshot for number in range(50)])
    await store.close()
    right = contents(url)
    execute(url, "UPDATE poller.positions SET notional = notional + 1 WHERE time < %s", tick(4).time)
    compress(url)

    done = await renormalized(tmp_path, url)

    assert (done.changed, done.unchanged) == (4, 46)
    assert contents(url) == right


@pytest.mark.parametrize("engine", ["recording", "migrating"])
async def test_a_poll_of_hundreds_of_positions_is_unpacked_whole(community_database_url: str, engine: str) -> None:
    url = community_database_url
    execute(
        url,
        "INSERT INTO poller.positions (time, account, market, symbol, position_side) "
        "SELECT %s + tick * INTERVAL '10 s', 'main', 'usdm', number || 'USDT', 'BOTH' "
        "FROM generate_series(1, 1000) AS tick, generate_series(1, 110) AS number",
        BEGIN,
    )
    compress(url)
    change = text("UPDATE poller.positions SET notional = 1 WHERE market = 'usdm' AND time = '2026-02-05 00:00:10Z'")

    with pytest.raises(ConfigurationLimitExceeded):
        execute(url, "UPDATE poller.positions SET notional = 1 WHERE market = 'usdm' AND time < '2026-02-06Z'")
    if engine == "recording":
        recording = recording_engine(url, on_connect=lambda _: None)
        async with recording.connect() as connection:
            changed = (await connection.execute(change)).rowcount
        await recording.dispose()
    else:
        with migration_engine(url).begin() as blocking:
            changed = blocking.execute(change).rowcount

    assert changed == 110


async def test_policies_take_what_is_older_than_some_days_and_nothing_younger(community_database_url: str) -> None:
    url = community_database_url
    store = Store(url)
    await store.open()
    await store.save(ok(datetime.now(UTC)))
    await store.save(ok(datetime.now(UTC) - timedelta(days=40)))
    await store.close()

    jobs = execute(url, "SELECT job_id FROM timescaledb_information.jobs WHERE hypertable_schema = 'poller'")
    for (job,) in jobs:
        execute(url, "CALL public.run_job(%s)", job)

    assert execute(
        url,
        "SELECT range_end > now(), is_compressed, count(*) FROM timescaledb_information.chunks "
        "GROUP BY 1, 2 ORDER BY 1",
    ) == [(False, True, 5), (True, False, 5)]


def test_columns_come_and_go_and_checks_come(filled: str) -> None:
    for statement in (
        "ALTER TABLE poller.positions ADD COLUMN new text NOT NULL DEFAULT 'x'",
        "ALTER TABLE poller.positions ADD COLUMN other numeric",
        "ALTER TABLE poller.positions DROP COLUMN extra",
        "ALTER TABLE poller.positions ADD CONSTRAINT symbol CHECK (symbol <> '')",
    ):
        execute(filled, statement)

    assert execute(filled, "SELECT DISTINCT new, other FROM poller.positions") == [("x", None)]


def test_what_is_kept_by_columns_is_dropped(filled: str) -> None:
    refresh(filled)

    assert execute(filled, "SELECT poller.drop_history('positions', now())") == [(1,)]
    assert execute(filled, "SELECT count(*) FROM poller.positions") == [(0,)]
