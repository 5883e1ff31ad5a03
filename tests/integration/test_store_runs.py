"""Accounts, runs and what they promised."""

from datetime import datetime

import pytest

from poller.errors import EnvironmentMismatchError
from poller.observation import Environment, Market, Promise, RunStarted, RunStopped
from poller.storage.store import Saved, Store
from tests.support.database import execute
from tests.support.snapshots import ok, tick


def promise(account: str, interval_seconds: int, market: Market = Market.USDM) -> Promise:
    return Promise(account=account, market=market, interval_seconds=interval_seconds)


def run(
    instance: str,
    started_at: datetime,
    *promises: Promise,
    recorder: str = "spool",
    where: Environment = Environment.SIMULATED,
) -> RunStarted:
    return RunStarted(
        instance=instance,
        recorder=recorder,
        release="0.1.0",
        environment=where,
        started_at=started_at,
        promises=promises,
    )


def schedules(url: str) -> list[tuple[object, ...]]:
    return execute(
        url,
        """
        SELECT recorder, account, market, interval_seconds, valid_from, valid_to FROM poller.schedules
        ORDER BY recorder, account, market, valid_from
        """,
    )


async def test_a_run_and_its_promises_are_stored_once(store: Store, database_url: str) -> None:
    started = run("one", tick(0), promise("main", 10), promise("main", 60, Market.COINM))

    await store.save_run_started(started)
    await store.save_run_started(started)

    assert execute(database_url, "SELECT instance, recorder, version, started_at, stopped_at FROM poller.runs") == [
        ("one", "spool", "0.1.0", tick(0), None)
    ]
    assert schedules(database_url) == [
        ("spool", "main", "coinm", 60, tick(0), None),
        ("spool", "main", "usdm", 10, tick(0), None),
    ]
    assert execute(database_url, "SELECT account, environment FROM poller.accounts") == [("main", "simulated")]


async def test_a_run_knows_the_revision_that_it_writes_to(store: Store, database_url: str) -> None:
    await store.save_run_started(run("one", tick(0)))

    assert execute(
        database_url, "SELECT schema_revision = version_num FROM poller.runs CROSS JOIN poller.alembic_version"
    ) == [(True,)]


async def test_a_run_stops_once(store: Store, database_url: str) -> None:
    await store.save_run_started(run("one", tick(0)))

    for stop in (tick(5), tick(9)):
        await store.save_run_stopped(RunStopped(instance="one", stopped_at=stop, reason=f"at {stop:%H:%M:%S}"))

    assert execute(database_url, "SELECT stopped_at, stop_reason FROM poller.runs") == [(tick(5), "at 12:00:50")]


async def test_a_new_run_keeps_equal_promises_and_ends_the_others(store: Store, database_url: str) -> None:
    await store.save_run_started(
        run("one", tick(0), promise("kept", 10), promise("slower", 10), promise("retired", 10))
    )
    await store.save_run_started(run("two", tick(9), promise("kept", 10), promise("slower", 60), promise("new", 10)))

    assert schedules(database_url) == [
        ("spool", "kept", "usdm", 10, tick(0), None),
        ("spool", "new", "usdm", 10, tick(9), None),
        ("spool", "retired", "usdm", 10, tick(0), tick(9)),
        ("spool", "slower", "usdm", 10, tick(0), tick(9)),
        ("spool", "slower", "usdm", 60, tick(9), None),
    ]


async def test_a_retired_account_can_return(store: Store, database_url: str) -> None:
    await store.save_run_started(run("one", tick(0), promise("main", 10)))
    await store.save_run_started(run("two", tick(3)))
    await store.save_run_started(run("three", tick(7), promise("main", 10)))

    assert schedules(database_url) == [
        ("spool", "main", "usdm", 10, tick(0), tick(3)),
        ("spool", "main", "usdm", 10, tick(7), None),
    ]


async def test_recorders_promise_independently(store: Store, database_url: str) -> None:
    await store.save_run_started(run("one", tick(0), promise("main", 10), recorder="a"))
    await store.save_run_started(run("two", tick(3), promise("main", 10), recorder="b"))
    await store.save_run_started(run("three", tick(5), recorder="a"))

    assert schedules(database_url) == [
        ("a", "main", "usdm", 10, tick(0), tick(5)),
        ("b", "main", "usdm", 10, tick(3), None),
    ]


async def test_a_run_that_arrives_late_promises_up_to_the_next_one(store: Store, database_url: str) -> None:
    await store.save_run_started(run("two", tick(9), promise("main", 60), promise("kept", 10)))
    await store.save_run_started(run("one", tick(0), promise("main", 10), promise("kept", 10)))

    assert schedules(database_url) == [
        ("spool", "kept", "usdm", 10, tick(0), tick(9)),
        ("spool", "kept", "usdm", 10, tick(9), None),
        ("spool", "main", "usdm", 10, tick(0), tick(9)),
        ("spool", "main", "usdm", 60, tick(9), None),
    ]


async def test_a_clock_that_was_set_back_ends_no_promise_before_it_began(store: Store, database_url: str) -> None:
    await store.save_run_started(run("one", tick(9), promise("main", 10), recorder="other"))
    execute(database_url, "UPDATE poller.schedules SET recorder = 'spool'")

    await store.save_run_started(run("two", tick(0)))

    assert schedules(database_url) == [("spool", "main", "usdm", 10, tick(9), tick(9))]


async def test_a_label_of_another_environment_is_refused(store: Store) -> None:
    await store.register({"main": Environment.SIMULATED, "other": Environment.SIMULATED})
    await store.register({"main": Environment.SIMULATED})

    with pytest.raises(EnvironmentMismatchError, match="'main' is live here but simulated in the database"):
        await store.register({"new": Environment.LIVE, "main": Environment.LIVE})
    with pytest.raises(EnvironmentMismatchError, match="'other' is testnet here"):
        await store.save_run_started(run("one", tick(0), promise("other", 10), where=Environment.TESTNET))


async def test_a_label_that_another_process_registered_meanwhile_is_respected(store: Store, database_url: str) -> None:
    execute(database_url, "INSERT INTO poller.accounts (account, environment) VALUES ('main', 'live')")

    with pytest.raises(EnvironmentMismatchError):
        await store.save(ok())


async def test_an_account_that_left_the_configuration_is_stored_all_the_same(store: Store, database_url: str) -> None:
    assert await store.save(ok(account="retired")) is Saved.NEW

    assert execute(database_url, "SELECT account, environment FROM poller.accounts") == [("retired", "simulated")]
