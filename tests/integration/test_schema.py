"""What the store makes of the schema that it finds."""

from contextlib import suppress

import psycopg
import pytest
from alembic import command

from poller.errors import StoreUnavailableError
from poller.storage.report import report
from poller.storage.schema import head_revision, upgrade
from poller.storage.store import Store
from poller.storage.tier import Tier
from tests.support.database import execute, new_database
from tests.support.schema import alembic_config, catalog, revisions


async def refusal(url: str) -> str:
    """Return why a store cannot be opened."""
    store = Store(url)
    with pytest.raises(StoreUnavailableError) as failure:
        await store.open()
    assert not store.is_open
    await store.close()
    return str(failure.value)


async def test_a_database_without_a_schema_is_refused(empty_database_url: str) -> None:
    assert await refusal(empty_database_url) == "the database has no schema yet: run `poller migrate`"


async def test_a_schema_that_is_behind_is_refused_until_it_is_upgraded(database_url: str) -> None:
    command.downgrade(alembic_config(database_url), "-1")

    assert (
        await refusal(database_url)
        == f"the schema is at revision {revisions()[-2]}, this release needs {revisions()[-1]}: run `poller migrate`"
    )
    upgrade(database_url, lambda _: None)
    store = Store(database_url)
    await store.open()
    await store.close()


async def test_a_schema_of_a_newer_release_is_refused(plain_database_url: str) -> None:
    execute(plain_database_url, "UPDATE poller.alembic_version SET version_num = 'ffffffffffff'")

    assert "revision ffffffffffff, newer than this release knows" in await refusal(plain_database_url)
    with pytest.raises(StoreUnavailableError, match="the schema cannot be upgraded"):
        upgrade(plain_database_url, lambda _: None)


async def test_a_store_that_was_not_opened_stores_nothing(plain_database_url: str) -> None:
    store = Store(plain_database_url)

    with pytest.raises(StoreUnavailableError, match="not open"):
        await store.register({})
    await store.close()


async def test_a_report_tells_what_there_is_and_writes_nothing(database_url: str) -> None:
    before = catalog(database_url)
    store = Store(database_url)
    await store.open()

    found = await report(database_url)

    assert found.current_revision == found.head_revision == head_revision() == revisions()[-1]
    assert found.missing_rights == ()
    assert found.tier is store.tier
    assert execute(database_url, "SHOW server_version") == [(found.server_version,)]
    assert catalog(database_url) == before
    await store.close()


async def test_a_report_on_an_empty_database_foretells_its_tier(empty_database_url: str, kind: str) -> None:
    found = await report(empty_database_url)

    assert found.current_revision is None
    assert found.missing_rights == ()
    assert (found.tier is Tier.PLAIN) == (kind == "plain")
    assert catalog(empty_database_url) == []


async def test_a_report_on_a_server_that_is_down_is_refused() -> None:
    with pytest.raises(StoreUnavailableError, match="refused"):
        await report("postgresql://poller@127.0.0.1:1/poller")


async def test_an_extension_that_appears_later_changes_nothing(server: str) -> None:
    with new_database(server, extension=False) as url:
        upgrade(url, lambda _: None)
        with suppress(psycopg.errors.FeatureNotSupported):
            execute(url, "CREATE EXTENSION timescaledb")

        assert (await report(url)).tier is Tier.PLAIN
        command.check(alembic_config(url))


def test_partitions_are_not_what_an_analyst_sees_first(database_url: str) -> None:
    tables = execute(database_url, "SELECT relname::text FROM pg_class WHERE relnamespace = 'poller'::regnamespace "
                                   "AND relkind IN ('r', 'p', 'v') ORDER BY relname")  # fmt: skip

    assert [name for (name,) in tables] == [
        "account_modes", "account_totals", "accounts", "alembic_version", "asset_balances", "contracts",
        "dropped_history", "poll_gaps", "polls", "positions", "raw_payloads", "rejected_payloads", "runs", "schedules",
    ]  # fmt: skip


def test_bytes_that_are_compressed_already_are_not_compressed_again(database_url: str) -> None:
    stored = execute(
        database_url,
        "SELECT DISTINCT attstorage::text FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid "
        "WHERE attname = 'body' AND relname ~ '_payloads'",
    )

    assert stored == [("e",)]


async def test_settings_that_weaken_a_commit_are_reported(plain_database_url: str) -> None:
    weak = (await report(plain_database_url)).weaknesses
    strong = (await report(f"{plain_database_url}?options=-c%20synchronous_commit%3Don")).weaknesses

    assert [weakness.partition(":")[0] for weakness in weak] == [
        "synchronous_commit is off",
        "fsync is off",
        "full_page_writes is off",
    ]
    assert strong == weak[1:]
