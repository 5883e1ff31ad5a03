"""Partitions appear before they are needed, or when they are, and nobody has to wait for them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from poller.errors import UnstorableError
from poller.storage.store import Saved, Store
from poller.storage.tier import Tier
from tests.support.database import execute
from tests.support.snapshots import ok

TABLES = ["account_totals", "asset_balances", "polls", "positions", "raw_payloads"]
LONG_AGO = datetime(2020, 2, 29, 23, 59, 50, tzinfo=UTC)


def spans_of(url: str, table: str = "polls") -> list[str]:
    """Return the months, as YYYY_MM, or the days, as YYYY_MM_DD, that a table has a partition for."""
    parts = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(%s) ORDER BY 1"
    return [str(part).removeprefix(f"poller_parts.{table}_") for (part,) in execute(url, parts, f"poller.{table}")]


def coming_months(url: str) -> list[str]:
    """Return this month, by the database's clock in UTC, and the three after it."""
    months = """
    SELECT to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + ahead * INTERVAL '1 month', 'YYYY_MM')
    FROM generate_series(0, 3) AS ahead
    """
    return [str(month) for (month,) in execute(url, months)]


def coming_spans(url: str, table: str, *, since_yesterday: bool = False) -> list[str]:
    """Return what a table has a partition for as long as nothing else is stored."""
    if table != "raw_payloads":
        return coming_months(url)
    days = """
    SELECT to_char(now() AT TIME ZONE 'UTC' + (ahead - %s) * INTERVAL '1 day', 'YYYY_MM_DD')
    FROM generate_series(0, 7) AS ahead
    """
    return [str(day) for (day,) in execute(url, days, int(since_yesterday))]


def test_a_new_schema_has_this_month_and_three_more_but_days_of_raw_payloads(plain_database_url: str) -> None:
    for table in TABLES:
        # The schema is that of a template, which may have been built before midnight.
        since = [coming_spans(plain_database_url, table, since_yesterday=yesterday) for yesterday in (False, True)]
        assert spans_of(plain_database_url, table) in since


async def test_the_months_ahead_are_kept(plain_database_url: str) -> None:
    execute(plain_database_url, "SELECT poller.ensure_partitions()")
    for table in TABLES:
        newest = f"{table}_{spans_of(plain_database_url, table)[-1]}"
        execute(plain_database_url, SQL("DROP TABLE {}").format(Identifier("poller_parts", newest)))
    store = Store(plain_database_url)
    await store.open()

    created = [await store.ensure_partitions(), await store.ensure_partitions()]

    await store.close()
    assert created == [len(TABLES), 0]
    for table in TABLES:
        coming = coming_spans(plain_database_url, table)
        assert spans_of(plain_database_url, table)[-len(coming) :] == coming


async def test_a_save_creates_the_month_that_it_misses(store: Store, database_url: str) -> None:
    missing = [datetime(2019, 9, 1, tzinfo=UTC), LONG_AGO, datetime(2024, 12, 31, tzinfo=UTC)]

    assert [await store.save(ok(time)) for time in missing] == [Saved.NEW] * 3

    assert execute(database_url, "SELECT time FROM poller.positions ORDER BY time") == [(time,) for time in missing]
    if store.tier is Tier.PLAIN:
        assert spans_of(database_url) == ["2019_09", "2020_02", "2024_12", *coming_months(database_url)]
        assert spans_of(database_url, "raw_payloads")[:3] == ["2019_09_01", "2020_02_29", "2024_12_31"]


async def test_history_ends_with_the_third_month_ahead(store: Store, database_url: str) -> None:
    [(end,)] = execute(
        database_url,
        "SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + INTERVAL '4 months') AT TIME ZONE 'UTC'",
    )
    assert isinstance(end, datetime)

    assert await store.save(ok(end - timedelta(seconds=10))) is Saved.NEW
    with pytest.raises(UnstorableError, match="no history is kept for "):
        await store.save(ok(end))
    with pytest.raises(psycopg.errors.DatetimeFieldOverflow):
        execute(database_url, "SELECT poller.ensure_partitions(%s)", end)


async def test_history_begins_with_the_exchange(store: Store, database_url: str) -> None:
    before = datetime(2019, 8, 31, 23, 59, 59, tzinfo=UTC)

    with pytest.raises(UnstorableError, match="no history is kept for 2019-08-31T23:59:59"):
        await store.save(ok(before))
    with pytest.raises(psycopg.errors.DatetimeFieldOverflow):
        execute(database_url, "SELECT poller.ensure_partitions(%s)", before)


def test_months_begin_in_utc_wherever_the_session_is(plain_database_url: str) -> None:
    with psycopg.connect(plain_database_url, options="-c timezone=Pacific/Auckland -c datestyle=German") as connection:
        connection.execute("SELECT poller.ensure_partitions(%s)", (LONG_AGO,))

    bounds = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = 'poller_parts.polls_2020_02'::regclass"
    with psycopg.connect(plain_database_url, options="-c timezone=UTC") as connection:
        assert connection.execute(bounds).fetchall() == [
            ("FOR VALUES FROM ('2020-02-01 00:00:00+00') TO ('2020-03-01 00:00:00+00')",)
        ]


def test_a_partition_is_like_its_table(plain_database_url: str) -> None:
    shape = """
    SELECT attnum, attname, atttypid, attnotnull, attstorage, col_description(attrelid, attnum),
        pg_get_expr(adbin, adrelid)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = to_regclass(%s) AND attnum > 0
    ORDER BY attnum
    """
    for table in TABLES:
        part = f"poller_parts.{table}_{spans_of(plain_database_url, table)[0]}"
        assert execute(plain_database_url, shape, part) == execute(plain_database_url, shape, f"poller.{table}") != []


def test_creating_a_month_never_blocks_a_reader(plain_database_url: str) -> None:
    locks = """
    SELECT relname, mode FROM pg_locks JOIN pg_class ON pg_class.oid = relation
    WHERE pid = %s AND relnamespace = 'poller'::regnamespace
    """
    with (
        psycopg.connect(plain_database_url, options="-c lock_timeout=20s") as reader,
        psycopg.connect(plain_database_url, options="-c lock_timeout=20s") as writer,
    ):
        reader.execute("SELECT count(*) FROM poller.polls")  # holds its lock until the end

        writer.execute("SELECT poller.ensure_partitions(%s)", (LONG_AGO,))

        held = set(execute(plain_database_url, locks, writer.info.backend_pid))
        assert {("polls", "ShareUpdateExclusiveLock"), ("positions", "ShareUpdateExclusiveLock")} <= held
        assert not {mode for _, mode in held} & {"ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}
        with psycopg.connect(plain_database_url, options="-c lock_timeout=20s") as late:
            assert late.execute("SELECT count(*) FROM poller.polls").fetchall() == [(0,)]
            late.execute("INSERT INTO poller.polls (time, account, market, status, attempts, instance) "
                         "VALUES (now(), 'main', 'usdm', 'ok', 1, 'run')")  # fmt: skip


def test_two_callers_create_a_month_once(plain_database_url: str) -> None:
    def create(_: int) -> object:
        [(created,)] = execute(plain_database_url, "SELECT poller.ensure_partitions(%s)", LONG_AGO)
        return created

    with ThreadPoolExecutor() as threads:
        created = list(threads.map(create, range(4)))

    assert sorted(map(str, created)) == ["0", "0", "0", str(len(TABLES))]


def test_a_month_that_was_detached_is_attached_again(plain_database_url: str) -> None:
    execute(plain_database_url, "SELECT poller.ensure_partitions(%s)", LONG_AGO)
    execute(plain_database_url, "ALTER TABLE poller.polls DETACH PARTITION poller_parts.polls_2020_02")

    execute(plain_database_url, "SELECT poller.ensure_partitions(%s)", LONG_AGO)

    assert "2020_02" in spans_of(plain_database_url)


async def test_history_is_built_as_its_tier_says(store: Store, database_url: str) -> None:
    partitioned = (
        "SELECT relname::text FROM pg_class WHERE oid = ANY(SELECT partrelid FROM pg_partitioned_table) ORDER BY 1"
    )
    hypertables = "SELECT hypertable_name::text FROM timescaledb_information.hypertables ORDER BY 1"

    built = execute(database_url, partitioned if store.tier is Tier.PLAIN else hypertables)

    assert [name for (name,) in built] == TABLES
    await store.ensure_partitions()  # a day may have begun since the database was made
    assert await store.ensure_partitions() == 0
