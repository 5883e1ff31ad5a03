"""From the spool into the database, with a real one that refuses, vanishes and comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from poller.backlog import GROUP
from poller.normalize import Normalized
from poller.observation import (
    AssetMode,
    Environment,
    Market,
    ModesMeasured,
    Observation,
    PositionMode,
    Promise,
    RunStarted,
    RunStopped,
    Status,
)
from poller.spool import Spool
from poller.storage.embedded import EmbeddedPostgres
from poller.storage.schema import upgrade
from poller.storage.store import Store
from poller.writer import Listener, Writer
from tests.support.database import end_stores, execute
from tests.support.replies import TIME, envelope, observed, unanswered, usdm_asset, usdm_position, usdm_result

USDT = usdm_asset("USDT", "5.5")
GOOD = envelope(usdm_result(assets=[USDT], positions=[usdm_position("BTCUSDT", "0.1")]))


@pytest.fixture(name="spool")
async def _spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = await Spool.open(tmp_path / "spool.sqlite", max_size=2**24)
    yield spool
    await spool.close()


@asynccontextmanager
async def writing(spool: Spool, url: str, *listeners: Listener) -> AsyncIterator[Writer]:
    store = Store(url)
    writer = Writer(spool=spool, store=store, listeners=listeners)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(writer.run())
        yield writer
        task.cancel()
    await store.close()


async def drained(spool: Spool, url: str, *listeners: Listener) -> None:
    async with writing(spool, url, *listeners) as writer, asyncio.timeout(120):
        await writer.drained.wait()


def tick(number: int, body: bytes = GOOD, **fields: object) -> Observation:
    return observed(Market.USDM, body, **({"time": TIME + timedelta(seconds=10 * number)} | fields))


def statuses(url: str) -> list[object]:
    return [status for (status,) in execute(url, "SELECT status FROM poller.polls ORDER BY time")]


async def test_everything_spooled_is_stored_oldest_first(spool: Spool, database_url: str) -> None:
    told: list[Normalized] = []
    for number in range(5):
        await spool.append(tick(number))
    await spool.append(unanswered(Status.TIMEOUT, time=TIME - timedelta(days=1), error_message="no reply"))
    await drained(spool, database_url, told.append)

    assert spool.depth == 0
    assert [normalized.snapshot.poll.time for normalized in told] == [
        *(TIME + timedelta(seconds=10 * number) for number in range(5)),
        TIME - timedelta(days=1),
    ]
    assert execute(database_url, "SELECT count(*) FROM poller.asset_balances") == [(5,)]


async def test_one_line_is_logged_for_each_stored_poll(spool: Spool, plain_database_url: str) -> None:
    await spool.append(tick(0))
    await spool.append(unanswered(Status.TIMEOUT, time=TIME + timedelta(seconds=10), error_message="no reply"))
    with capture_logs() as logs:
        await drained(spool, plain_database_url)
    lines = [line for line in logs if line["event"] == "poll stored"]

    assert [(line["status"], line["log_level"], line["account"], line["market"]) for line in lines] == [
        ("ok", "info", "main", "usdm"),
        ("timeout", "warning", "main", "usdm"),
    ]


async def test_listeners_are_told_what_is_new_and_cannot_stop_it(spool: Spool, plain_database_url: str) -> None:
    def broken(_understood: Normalized) -> None:
        raise RuntimeError("a bug")

    told: list[Status] = []
    await spool.append(tick(0))
    await spool.append(tick(0))
    await spool.append(tick(1, GOOD[:200]))
    with capture_logs() as logs:
        await drained(
            spool, plain_database_url, broken, lambda understood: told.append(understood.snapshot.poll.status)
        )

    assert told == [Status.OK, Status.MALFORMED]
    assert [line["event"] for line in logs].count("listener failed") == 2
    assert spool.depth == 0


@pytest.mark.parametrize(
    "body",
    [
        GOOD[:200],
        envelope(usdm_result(assets=[usdm_asset("US\x00DT", "1")])),
        envelope(usdm_result(assets=[usdm_asset("USDT", "1e200000")])),
        envelope(usdm_result(assets=[USDT | {"note": "\x00"}])),
        b"\xff" * 100,
        b"[" * 200_000,
    ],
    ids=["truncated", "NUL in an asset", "1e200000", "NUL in an unknown field", "no UTF-8", "nested"],
)
async def test_a_poisonous_reply_ends_as_malformed_and_the_next_is_stored(
    spool: Spool, database_url: str, body: bytes
) -> None:
    await spool.append(tick(0, body))
    await spool.append(tick(1))
    await drained(spool, database_url)
    rejected = execute(
        database_url, "SELECT length(reason) > 5, body_bytes, body IS NOT NULL FROM poller.rejected_payloads"
    )

    assert statuses(database_url) == ["malformed", "ok"]
    assert rejected == [(True, len(body), True)]
    assert execute(database_url, "SELECT DISTINCT time FROM poller.asset_balances") == [(TIME + timedelta(seconds=10),)]


HUGE = b"9" * 5000
POISON = (
    envelope(usdm_result(assets=[USDT], positions=[usdm_position("BTC\x00USDT", "1")])),
    envelope(usdm_result(assets=[usdm_asset("USDT", "1e200000")])),
    envelope(usdm_result(assets=[USDT | {"updateTime": 10**17}])),
    envelope(usdm_result(assets=[USDT | {"note": "\x00"}])),
    envelope(usdm_result(assets=[USDT])).replace(b'"updateTime": 0', b'"updateTime": ' + HUGE),
    envelope(usdm_result(assets=[USDT])).replace(b'"5.5"', HUGE + b"e" + HUGE),
    envelope(usdm_result()).replace(b"[]", b"[" * 100_000 + b"]" * 100_000, 1),
    b'{"result":' * 5000 + b"{}" + b"}" * 5000,
)


def transactions(url: str) -> int:
    """Return how many transactions the database has seen."""
    execute(url, "SELECT pg_stat_force_next_flush()")
    [(count,)] = execute(
        url, "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    )
    return int(str(count))


async def test_a_hundred_poisonous_polls_delay_a_thousand_good_ones_by_few_transactions(
    spool: Spool, plain_database_url: str
) -> None:
    for number in range(100):
        await spool.append(tick(number, POISON[number % len(POISON)]))
    for number in range(100, 1100):
        await spool.append(tick(number))
    before = transactions(plain_database_url)
    await drained(spool, plain_database_url)
    needed = transactions(plain_database_url) - before
    counts = execute(plain_database_url, "SELECT status, count(*) FROM poller.polls GROUP BY 1 ORDER BY 1")

    assert sorted(counts, key=str) == [("malformed", 100), ("ok", 1000)]
    assert execute(plain_database_url, "SELECT count(*) FROM poller.rejected_payloads") == [(100,)]
    assert needed < 2 * 100 + GROUP + 1000 / GROUP + 40


@pytest.mark.parametrize("year", [1, 1970, 2019, 9999])
async def test_absurd_times_keep_their_payload_and_delay_nobody(
    spool: Spool, plain_database_url: str, year: int
) -> None:
    for number in range(3):
        await spool.append(tick(number))
        await spool.append(tick(number, time=TIME.replace(year=year, month=1) + timedelta(seconds=number)))
    await drained(spool, plain_database_url)

    assert statuses(plain_database_url) == ["ok"] * 3
    assert execute(plain_database_url, "SELECT count(*) FROM poller.rejected_payloads") == [(3,)]


async def test_polls_of_one_tick_in_a_row_are_settled_as_if_they_came_alone(
    spool: Spool, plain_database_url: str
) -> None:
    for entry in (tick(0), tick(1, GOOD[:99]), tick(1), tick(1), tick(0), tick(2), tick(2, GOOD[:99])):
        await spool.append(entry)
    await drained(spool, plain_database_url)

    assert statuses(plain_database_url) == ["ok"] * 3
    assert execute(plain_database_url, "SELECT count(*) FROM poller.rejected_payloads") == [(0,)]
    assert execute(plain_database_url, "SELECT count(*) FROM poller.asset_balances") == [(3,)]


async def test_a_reply_too_large_to_receive_is_malformed_without_bytes(spool: Spool, database_url: str) -> None:
    await spool.append(unanswered(Status.MALFORMED, time=TIME, error_message="a frame above 16 MiB"))
    await drained(spool, database_url)

    assert statuses(database_url) == ["malformed"]
    assert execute(database_url, "SELECT reason, body, body_bytes FROM poller.rejected_payloads") == [
        ("a frame above 16 MiB", None, None)
    ]


async def test_an_absurd_time_is_rejected_without_a_poll(spool: Spool, database_url: str) -> None:
    await spool.append(tick(0, time=TIME.replace(year=2009)))
    await spool.append(tick(1))
    await drained(spool, database_url)

    assert statuses(database_url) == ["ok"]
    assert execute(database_url, "SELECT count(*) FROM poller.rejected_payloads") == [(1,)]


async def test_a_label_of_another_environment_is_never_mixed_in(spool: Spool, plain_database_url: str) -> None:
    await spool.append(tick(0))
    await spool.append(tick(1, environment=Environment.LIVE))
    await drained(spool, plain_database_url)
    rejected = execute(
        plain_database_url, "SELECT environment, reason LIKE '%live here but simulated%' FROM poller.rejected_payloads"
    )

    assert statuses(plain_database_url) == ["ok"]
    assert rejected == [("live", True)]


async def test_what_was_stored_already_is_a_no_op(spool: Spool, plain_database_url: str) -> None:
    for _ in range(2):
        await spool.append(tick(0))
        await drained(spool, plain_database_url)

    assert execute(plain_database_url, "SELECT count(*) FROM poller.polls") == [(1,)]
    assert execute(plain_database_url, "SELECT count(*) FROM poller.positions") == [(1,)]


async def test_an_ok_replaces_a_failure_of_the_same_tick_but_not_the_reverse(spool: Spool, database_url: str) -> None:
    await spool.append(unanswered(Status.TIMEOUT, time=TIME))
    await spool.append(tick(0))
    await spool.append(unanswered(Status.DISCONNECTED, time=TIME))
    await drained(spool, database_url)

    assert statuses(database_url) == ["ok"]
    assert execute(database_url, "SELECT count(*) FROM poller.asset_balances") == [(1,)]


async def test_runs_and_their_promises_are_stored_in_their_order(spool: Spool, plain_database_url: str) -> None:
    for entry in (
        RunStarted(
            instance="run-1",
            recorder="r",
            release="0.1",
            environment=Environment.SIMULATED,
            started_at=TIME,
            promises=(Promise(account="main", market=Market.USDM, interval_seconds=10),),
        ),
        tick(1),
        RunStopped(instance="run-1", stopped_at=TIME + timedelta(seconds=20), reason="signal"),
    ):
        await spool.append(entry)
    await drained(spool, plain_database_url)

    assert execute(plain_database_url, "SELECT instance, stop_reason FROM poller.runs") == [("run-1", "signal")]
    assert execute(plain_database_url, "SELECT account, interval_seconds FROM poller.schedules") == [("main", 10)]


async def test_modes_are_stored_in_their_order(spool: Spool, plain_database_url: str) -> None:
    for number, mode in enumerate((PositionMode.ONE_WAY, PositionMode.ONE_WAY, PositionMode.HEDGE)):
        await spool.append(
            ModesMeasured(
                environment=Environment.SIMULATED,
                account="main",
                measured_at=TIME + timedelta(hours=number),
                asset_mode=AssetMode.SINGLE_ASSET,
                position_mode=mode,
            )
        )
    await spool.append(
        ModesMeasured(
            environment=Environment.LIVE, account="main", measured_at=TIME, asset_mode=None, position_mode=None
        )
    )
    await drained(spool, plain_database_url)

    assert spool.depth == 0
    assert execute(
        plain_database_url,
        "SELECT valid_from, valid_to, position_mode FROM poller.account_modes WHERE market = 'usdm'"
        " ORDER BY valid_from",
    ) == [(TIME, TIME + timedelta(hours=2), "one_way"), (TIME + timedelta(hours=2), None, "hedge")]


async def test_each_new_poll_is_told_once_with_its_rows_and_a_contradiction(
    spool: Spool, plain_database_url: str
) -> None:
    told: list[Normalized] = []
    for entry in (
        tick(0, position_mode=PositionMode.ONE_WAY),
        tick(1, position_mode=PositionMode.HEDGE),
        tick(2, GOOD[:100]),
        tick(0),
    ):
        await spool.append(entry)
    await drained(spool, plain_database_url, told.append)

    assert [(normalized.snapshot.poll.status, normalized.mode_contradicted) for normalized in told] == [
        (Status.OK, False),
        (Status.OK, True),
        (Status.MALFORMED, False),
    ]
    assert [position.symbol for position in told[0].snapshot.positions] == ["BTCUSDT"]


async def test_drift_is_told_once_and_stored(spool: Spool, plain_database_url: str) -> None:
    for number in range(3):
        await spool.append(tick(number, envelope(usdm_result(assets=[USDT | {"haircut": "0.95"}]))))
    with capture_logs() as logs:
        await drained(spool, plain_database_url)
    extra = execute(plain_database_url, "SELECT DISTINCT extra->>'haircut' FROM poller.asset_balances")

    assert [line["place"] for line in logs if "drifted" in line["event"]] == ["unknown result.assets[].haircut"]
    assert extra == [("0.95",)]


async def test_a_lost_connection_is_replaced_and_the_last_minutes_are_offered_again(
    spool: Spool, plain_database_url: str
) -> None:
    async with writing(spool, plain_database_url) as writer, asyncio.timeout(120):
        await spool.append(tick(0))
        writer.wake()
        await writer.drained.wait()
        end_stores(plain_database_url)
        execute(
            plain_database_url,
            "TRUNCATE poller.polls, poller.account_totals, poller.asset_balances, poller.positions,"
            " poller.raw_payloads",
        )
        await spool.append(tick(1))
        writer.wake()
        await writer.drained.wait()

    assert statuses(plain_database_url) == ["ok", "ok"]


async def test_a_database_that_is_down_loses_nothing(spool: Spool, durable_server: EmbeddedPostgres) -> None:
    upgrade(durable_server.url, lambda _: None)
    url = durable_server.url
    async with writing(spool, url) as writer, asyncio.timeout(120):
        await spool.append(tick(0))
        writer.wake()
        await writer.drained.wait()
        await asyncio.to_thread(durable_server.stop)
        for number in range(1, 20):
            await spool.append(tick(number))
            writer.wake()
        assert await asyncio.to_thread(durable_server.start) == url
        await writer.drained.wait()

    assert statuses(url) == ["ok"] * 20


async def test_a_schema_that_is_behind_is_waited_for(spool: Spool, empty_database_url: str) -> None:
    failed = asyncio.Event()

    def note(_logger: object, _method: str, event: EventDict) -> EventDict:
        failed.set()
        return event

    await spool.append(tick(0))
    with capture_logs([note]) as logs:
        async with writing(spool, empty_database_url) as writer, asyncio.timeout(120):
            await failed.wait()
            await asyncio.to_thread(upgrade, empty_database_url, lambda _: None)
            await writer.drained.wait()

    assert "poller migrate" in logs[0]["reason"]
    assert statuses(empty_database_url) == ["ok"]
