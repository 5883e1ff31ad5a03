"""How many bytes a day of an ordinary account takes on plain PostgreSQL; docs/sizes.md says what they are made of."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from secrets import token_hex, token_urlsafe
from typing import Any

from psycopg.sql import SQL, Identifier
from sqlalchemy import insert, select

from poller.codec import compress
from poller.normalize import normalize
from poller.observation import AssetMode, AssetModeSource, Environment, Market, Observation
from poller.records import Snapshot
from poller.simulator.accounts import Account
from poller.simulator.replies import account_result
from poller.storage.engine import migration_engine
from poller.storage.store import Store
from poller.storage.tables import HISTORY
from tests.support.database import compress as compress_chunks
from tests.support.database import execute

ASSETS, POSITIONS = 3, 5
SAVED, TIMES = 1_080, 8  # three hours as the daemon stores them, and their rows again until the day is full
AT_ONCE = 60

DAY = datetime(2026, 11, 10, tzinfo=UTC)
INSTANCE = token_hex(6)


def tick(number: int) -> datetime:
    return DAY + timedelta(seconds=10 * number)


def reply(number: int) -> bytes:
    """Return what the simulated exchange sends, with three assets and at most five positions that are not zero."""
    result = account_result(7, Account(label="main"), Market.USDM, int(tick(number).timestamp() * 1000))
    positions = [row for row in rows(result, "positions") if float(row["initialMargin"])]
    owned = [row["asset"] for row in rows(result, "assets") if float(row["walletBalance"])]
    assets = [row for row in rows(result, "assets") if row["asset"] not in owned[ASSETS:]]
    limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}
    document = {
        "id": token_urlsafe(6),
        "status": 200,
        "result": result | {"assets": assets, "positions": positions[:POSITIONS]},
        "rateLimits": [limit | {"count": 5 + number % 600}],
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def rows(result: Mapping[str, object], name: str) -> list[dict[str, Any]]:
    found = result[name]
    assert isinstance(found, list)
    return found


def stored(number: int) -> Snapshot:
    codec, body = compress(Market.USDM, reply(number))
    time = tick(number)
    observation = Observation(
        time=time,
        account="main",
        market=Market.USDM,
        environment=Environment.SIMULATED,
        status=None,
        requested_at=time + timedelta(microseconds=1_234),
        received_at=time + timedelta(microseconds=45_678),
        latency_ms=44,
        attempts=1,
        exchange_status=200,
        error_code=None,
        error_message=None,
        weight_used=5,
        weight_limit=2400,
        clock_offset_ms=-3,
        instance=INSTANCE,
        asset_mode=AssetMode.SINGLE_ASSET,
        asset_mode_source=AssetModeSource.EXCHANGE,
        position_mode=None,
        codec=codec,
        body=body,
    )
    return normalize(observation).snapshot


def bytes_a_row(url: str) -> dict[str, float]:
    """Return what a row of each table takes with its part of the indexes; parts without rows are left out."""
    found = {}
    for table in HISTORY:
        ((size, count),) = execute(
            url,
            SQL(
                "SELECT sum(pg_relation_size(part) + pg_indexes_size(part))::bigint, sum(count)::bigint "
                "FROM (SELECT tableoid AS part, count(*) FROM poller.{} GROUP BY tableoid) AS used"
            ).format(Identifier(table.name)),
        )
        found[table.name] = int(str(size)) / int(str(count))
    return found


def bytes_a_row_by_columns(url: str) -> dict[str, float]:
    """Return the same of a database that keeps its history by columns: what was chunks, is columns and their TOAST."""
    found = {}
    for table in HISTORY:
        ((size, count),) = execute(
            url,
            SQL(
                """
                SELECT (
                    SELECT sum(
                        pg_relation_size(part) + pg_indexes_size(part)
                        + coalesce(pg_relation_size(toast) + pg_indexes_size(toast), 0)
                    )::bigint
                    FROM _timescaledb_catalog.compression_settings
                    JOIN pg_inherits ON inhrelid = relid
                    CROSS JOIN LATERAL unnest(ARRAY[relid, compress_relid]) AS part
                    CROSS JOIN LATERAL (SELECT nullif(reltoastrelid, 0) AS toast FROM pg_class WHERE oid = part) AS own
                    WHERE inhparent = {}::regclass
                ), (SELECT count(*) FROM poller.{})
                """
            ).format(f"poller.{table.name}", Identifier(table.name)),
        )
        found[table.name] = int(str(size)) / int(str(count))
    return found


async def store_days(url: str, days: int) -> None:
    execute(url, "SELECT poller.ensure_partitions(%s)", DAY)
    store = Store(url)
    await store.open()
    for first in range(0, SAVED, AT_ONCE):
        await store.save_all([stored(number) for number in range(first, first + AT_ONCE)])
    await store.close()
    with migration_engine(url).begin() as connection:
        for table in HISTORY:
            others = [column for column in table.c if column.name != "time"]
            for times in range(1, TIMES * days):
                span = tick(SAVED * times) - tick(0)
                saved = select(table.c.time + span, *others).where(table.c.time < tick(SAVED)).order_by(table.c.time)
                connection.execute(insert(table).from_select(["time", *(column.name for column in others)], saved))


def a_poll(found: Mapping[str, float]) -> float:
    rest = found["polls"] + found["account_totals"] + found["raw_payloads"]
    return rest + ASSETS * found["asset_balances"] + POSITIONS * found["positions"]


async def test_a_day_of_polls_takes_few_bytes(plain_database_url: str) -> None:
    await store_days(plain_database_url, 1)

    found = bytes_a_row(plain_database_url)

    assert found["positions"] <= 145, found
    assert a_poll(found) <= 2_048, found


async def test_by_columns_it_takes_less_than_half_of_that(community_database_url: str) -> None:
    """A week: a chunk has a month, and what it has once, whatever is in it, is a byte a row more of a day alone."""
    await store_days(community_database_url, 7)
    assert compress_chunks(community_database_url) >= len(HISTORY)

    found = bytes_a_row_by_columns(community_database_url)

    assert found["positions"] <= 36, found
    assert a_poll(found) <= 850, found
