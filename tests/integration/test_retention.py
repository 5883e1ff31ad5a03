"""What is old enough is dropped, as a whole and noted; what is young, or nobody's to drop, stays."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, InvalidParameterValue
from psycopg.sql import SQL, Identifier
from structlog.testing import capture_logs

from poller.config import load
from poller.daemon.check import check
from poller.daemon.retention import Retention
from poller.errors import HistoryInUseError
from poller.observation import Environment, Market, Promise, RunStarted
from poller.schedule import Schedule
from poller.storage.store import Saved, Store
from tests.support.database import compress, execute
from tests.support.snapshots import malformed, ok

LONG_AGO = datetime(2024, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TABLES = ("polls", "account_totals", "asset_balances", "positions", "raw_payloads")


def now() -> datetime:
    return datetime.now(UTC)


def times(url: str, table: str = "raw_payloads") -> list[object]:
    query = SQL("SELECT time FROM {} ORDER BY time").format(Identifier("poller", table))
    return [time for (time,) in execute(url, query)]


def noted(url: str) -> Mapping[object, object]:
    return {row[0]: row[1] for row in execute(url, "SELECT history, before FROM poller.dropped_history")}


def dropped(url: str, history: str | None, before: datetime | None) -> object:
    execute(url, "DELETE FROM poller.rollup_queue")  # to make them of two years of hours would take long
    [(parts,)] = execute(url, "SELECT poller.drop_history(%s, %s)", history, before)
    return parts


async def test_old_parts_are_dropped_whole_and_noted_and_nothing_else(store: Store, database_url: str) -> None:
    stored = [LONG_AGO + number * 10 * DAY for number in range(10)]
    for time in stored:
        await store.save(ok(time))
    await store.save(malformed(LONG_AGO + timedelta(seconds=10)))
    compress(database_url)

    for table in TABLES:
        before = LONG_AGO + 65 * DAY
        parts = dropped(database_url, table, before)

        end = noted(database_url)[table]
        assert isinstance(parts, int)
        assert isinstance(end, datetime)
        assert parts > 1
        assert LONG_AGO < end <= before
        assert times(database_url, table) == [time for time in _polled(stored, table) if time >= end]
    assert times(database_url, "rejected_payloads") == [LONG_AGO + timedelta(seconds=10)]


def _polled(stored: list[datetime], table: str) -> list[datetime]:
    return sorted([*stored, LONG_AGO + timedelta(seconds=10)]) if table == "polls" else stored


async def test_a_raw_payload_is_kept_as_long_as_configured_and_less_than_a_day_longer(
    store: Store, database_url: str
) -> None:
    keep, moment = 7 * DAY, now()
    for age in (6 * DAY, keep - timedelta(minutes=1), 8 * DAY + timedelta(minutes=1), 40 * DAY):
        await store.save(ok(moment - age))

    assert await store.drop_history("raw_payloads", keep=keep, now=moment) == 2

    assert times(database_url) == [moment - keep + timedelta(minutes=1), moment - 6 * DAY]
    assert len(times(database_url, "polls")) == 4


async def test_a_clock_that_is_ahead_drops_nothing_young(store: Store, database_url: str) -> None:
    await store.save(ok(now() - 2 * DAY))

    await store.drop_history("raw_payloads", keep=30 * DAY, now=now() + 400 * DAY)

    assert len(times(database_url)) == 1


async def test_what_comes_after_the_drop_is_taken_and_goes_with_the_next(store: Store, database_url: str) -> None:
    await store.save(ok(LONG_AGO))
    await store.save(ok(LONG_AGO + 40 * DAY))
    for table in TABLES:
        dropped(database_url, table, LONG_AGO + 100 * DAY)
    ends = noted(database_url)

    late = await store.save(ok(LONG_AGO))
    again = [dropped(database_url, table, LONG_AGO + 60 * DAY) for table in TABLES]

    assert (late, again, times(database_url, "polls")) == (Saved.NEW, [1] * 5, [])
    assert noted(database_url) == ends
    assert dropped(database_url, "polls", LONG_AGO + 60 * DAY) == 0


@pytest.mark.parametrize(
    "name", ["accounts", "rejected_payloads", "dropped_history", "poller.polls", "polls_2024_02", "pg_class", "", None]
)
def test_nothing_but_the_history_is_dropped(plain_database_url: str, name: str | None) -> None:
    with pytest.raises(InvalidParameterValue, match="is not a table of the history"):
        dropped(plain_database_url, name, LONG_AGO)


@pytest.mark.parametrize("before", [datetime(2999, 1, 1, tzinfo=UTC), None])
def test_the_future_is_not_dropped(plain_database_url: str, before: datetime | None) -> None:
    with pytest.raises(InvalidParameterValue, match="before an instant of the past"):
        dropped(plain_database_url, "polls", before)


async def test_a_reader_is_waited_for_a_moment_only_and_the_store_stays_open(store: Store, database_url: str) -> None:
    await store.save(ok(LONG_AGO))
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT count(*) FROM poller.raw_payloads")  # holds its lock until the end

        with pytest.raises(HistoryInUseError, match="lock timeout"):
            await store.drop_history("raw_payloads", keep=DAY, now=now())
        assert await store.save(ok(LONG_AGO + timedelta(seconds=10))) is Saved.NEW

    assert await store.drop_history("raw_payloads", keep=DAY, now=now()) == 1
    assert times(database_url) == []


async def test_only_partitions_with_an_end_are_dropped(plain_database_url: str) -> None:
    execute(plain_database_url, "CREATE TABLE poller_parts.rest PARTITION OF poller.polls DEFAULT")
    execute(
        plain_database_url,
        "CREATE TABLE poller_parts.first PARTITION OF poller.polls "
        "FOR VALUES FROM (MINVALUE) TO ('2020-01-01 01:00+01')",
    )
    with psycopg.connect(plain_database_url, options="-c timezone=Asia/Kolkata -c datestyle=SQL,DMY") as connection:
        assert connection.execute("SELECT poller.drop_history('polls', '2020-01-01Z')").fetchall() == [(1,)]

    assert execute(
        plain_database_url, "SELECT to_regclass('poller_parts.first'), to_regclass('poller_parts.rest')"
    ) == [(None, "poller_parts.rest")]


async def test_the_daemon_drops_once_an_hour_and_says_what(store: Store, database_url: str) -> None:
    retention = Retention(store, {"raw_payloads": 7 * DAY, "polls": 365 * DAY}, now=now)
    for age in (1, 10, 20):
        await store.save(ok(now() - age * DAY))

    with capture_logs() as logs:
        await retention.drop_old()
        await store.save(ok(now() - 30 * DAY))
        await retention.drop_old()

    assert logs == [{"event": "history dropped", "log_level": "info", "raw_payloads": 2}]
    assert len(times(database_url)) == 2


async def test_a_schedule_drops_by_itself_as_soon_as_the_database_is_open(plain_database_url: str) -> None:
    store, stop = Store(plain_database_url), asyncio.Event()
    await store.open()
    await store.save(ok(LONG_AGO))
    await store.close()
    schedule = Schedule(now=now, on_clock_step=no_step, on_error=lambda key, error: pytest.fail(f"{key}: {error}"))
    Retention(store, {"raw_payloads": DAY}, now=now).register(schedule, look_seconds=0.05)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(schedule.run(stop))
        await store.open()
        async with asyncio.timeout(120):
            while not noted(plain_database_url):  # noqa: ASYNC110 - the database announces nothing
                await asyncio.sleep(0.05)
        stop.set()

    await store.close()
    assert times(plain_database_url) == []


async def no_step(_seconds: float) -> None:
    """Do nothing about a clock that is set."""


async def test_a_drop_that_fails_is_told_and_keeps_nothing_from_being_stored(store: Store, database_url: str) -> None:
    await store.save(ok(LONG_AGO))
    retention = Retention(store, {"raw_payloads": DAY}, now=now)
    with psycopg.connect(database_url) as reader, capture_logs() as logs:
        reader.execute("SELECT count(*) FROM poller.raw_payloads")
        await retention.drop_old()

    assert [(log["event"], log["table"]) for log in logs] == [("history not dropped", "raw_payloads")]
    assert "lock timeout" in logs[0]["reason"]
    assert await store.save(ok(LONG_AGO + timedelta(seconds=10))) is Saved.NEW


async def test_a_database_that_is_not_open_is_asked_later(plain_database_url: str) -> None:
    store = Store(plain_database_url)
    retention = Retention(store, {"raw_payloads": DAY}, now=now)
    with capture_logs() as logs:
        await retention.drop_old()
        await store.open()
        await store.save(ok(LONG_AGO))
        await retention.drop_old()

    await store.close()
    assert [log["event"] for log in logs] == ["history dropped"]


async def test_a_role_drops_if_it_may_and_nothing_else(server: str, database_url: str, tmp_path: Path) -> None:
    name = f"test_{token_hex(8)}"
    role = Identifier(name)
    execute(server, SQL("CREATE ROLE {} LOGIN PASSWORD 'made up'").format(role))
    url = f"postgresql://{name}:made%20up@{database_url.rpartition('@')[2]}"
    try:
        execute(database_url, SQL("GRANT USAGE ON SCHEMA poller TO {}").format(role))
        execute(database_url, SQL("GRANT SELECT ON ALL TABLES IN SCHEMA poller TO {}").format(role))
        store = Store(url)
        await store.open()

        with pytest.raises(HistoryInUseError, match="the role lacks a right"):
            await store.drop_history("raw_payloads", keep=DAY, now=now())
        assert await retention_warned(tmp_path, url)
        execute(database_url, SQL("GRANT EXECUTE ON FUNCTION poller.drop_history TO {}").format(role))
        other = Store(database_url)
        await other.open()
        await other.save(ok(LONG_AGO))
        await other.close()

        assert await store.drop_history("raw_payloads", keep=DAY, now=now()) == 1
        assert not await retention_warned(tmp_path, url)
        for statement in (
            "DELETE FROM poller.positions",
            "DROP TABLE poller.positions",
            "TRUNCATE poller.dropped_history",
        ):
            with pytest.raises(InsufficientPrivilege):
                execute(url, statement)
        await store.close()
    finally:
        execute(database_url, SQL("DROP OWNED BY {}").format(role))
        execute(server, SQL("DROP ROLE {}").format(role))


async def retention_warned(folder: Path, url: str) -> bool:
    """Tell whether `check` warns that nothing is dropped."""
    (folder / "config.yaml").write_text("exchange: {environment: simulated}\naccounts: [{name: main}]\n")
    findings = check(load(folder / "config.yaml", {"DATABASE_URL": url}), hide=lambda _: None)
    return ("retention", True) in [(finding.subject, finding.good) async for finding in findings]


async def test_where_polls_were_dropped_nothing_is_missing(store: Store, database_url: str) -> None:
    promise = Promise(account="main", market=Market.USDM, interval_seconds=86_400)
    await store.save_run_started(
        RunStarted(
            instance="run",
            recorder="spool",
            release="0.1.0",
            environment=Environment.SIMULATED,
            started_at=LONG_AGO,
            promises=(promise,),
        )
    )
    for day in (0, 1, 50, 51, 100):
        await store.save(ok(LONG_AGO + day * DAY))
    missed = 'SELECT "from" FROM poller.poll_gaps ORDER BY 1 LIMIT 2'
    assert execute(database_url, missed) == [(LONG_AGO + 2 * DAY,), (LONG_AGO + 52 * DAY,)]

    dropped(database_url, "polls", LONG_AGO + 40 * DAY)

    assert execute(database_url, missed) == [(noted(database_url)["polls"],), (LONG_AGO + 52 * DAY,)]
