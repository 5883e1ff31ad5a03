"""The role that records can record, and nothing else."""

from collections.abc import Iterator
from contextlib import suppress
from secrets import token_hex

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL, Identifier

from poller.errors import StoreUnavailableError
from poller.observation import AssetMode, Environment, Market, ModesMeasured, Promise, RunStarted, RunStopped
from poller.records import Contract
from poller.storage.archive import Archive
from poller.storage.report import report
from poller.storage.store import Saved, Store
from tests.support.database import execute
from tests.support.snapshots import failed, malformed, ok, tick

RIGHTS = """
GRANT USAGE ON SCHEMA poller TO {role};
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA poller TO {role};
GRANT UPDATE ON poller.account_modes, poller.contracts, poller.polls, poller.runs, poller.schedules TO {role};
GRANT DELETE ON poller.rejected_payloads TO {role};
GRANT EXECUTE ON FUNCTION poller.ensure_partitions, poller.refresh_rollups TO {role};
"""


@pytest.fixture(name="recorder_url")
def _recorder_url(server: str, database_url: str) -> Iterator[str]:
    """The address of the test's database for a role that has nothing yet."""
    role = f"test_{token_hex(8)}"
    execute(server, SQL("CREATE ROLE {} LOGIN PASSWORD 'made up'").format(Identifier(role)))
    host = database_url.rpartition("@")[2]
    yield f"postgresql://{role}:made%20up@{host}"
    execute(database_url, SQL("DROP OWNED BY {}").format(Identifier(role)))
    execute(server, SQL("DROP ROLE {}").format(Identifier(role)))


def grant(database_url: str, recorder_url: str) -> None:
    role = psycopg.conninfo.conninfo_to_dict(recorder_url)["user"]
    execute(database_url, SQL(RIGHTS).format(role=Identifier(str(role))))


async def record_modes_and_contracts(store: Store) -> None:
    for number, mode in enumerate((AssetMode.SINGLE_ASSET, AssetMode.SINGLE_ASSET, AssetMode.MULTI_ASSETS)):
        await store.save_modes(
            ModesMeasured(
                environment=Environment.SIMULATED,
                account="main",
                measured_at=tick(number),
                asset_mode=mode,
                position_mode=None,
            )
        )
    for kind in ("NEXT_QUARTER", "CURRENT_QUARTER"):
        listed = Contract(
            symbol="BTCUSDT_261225",
            base_asset="BTC",
            quote_asset="USDT",
            margin_asset="USDT",
            contract_size=None,
            contract_type=kind,
        )
        await store.save_contracts(Environment.SIMULATED, Market.USDM, [listed])


async def test_a_role_with_the_least_rights_records_everything(recorder_url: str, database_url: str) -> None:
    grant(database_url, recorder_url)
    store = Store(recorder_url)
    await store.open()

    await store.save_run_started(
        RunStarted(
            instance="run",
            recorder="spool",
            release="0.1.0",
            environment=Environment.SIMULATED,
            started_at=tick(0),
            promises=(Promise(account="main", market=Market.USDM, interval_seconds=10),),
        )
    )
    saved = [
        await store.save(snapshot)
        for snapshot in (ok(tick(0)), failed(tick(1)), ok(tick(1)), malformed(tick(2)), ok(tick(2)))
    ]
    await record_modes_and_contracts(store)
    await store.save_run_stopped(RunStopped(instance="run", stopped_at=tick(3), reason="asked"))
    await store.ensure_partitions()

    await store.close()
    assert saved == [Saved.NEW, Saved.NEW, Saved.REPLACED, Saved.NEW, Saved.REPLACED]
    assert (await report(recorder_url)).missing_rights == ()


async def test_a_role_with_the_least_rights_can_do_nothing_else(recorder_url: str, database_url: str) -> None:
    grant(database_url, recorder_url)

    for statement in (
        "DELETE FROM poller.polls",
        "DELETE FROM poller.positions",
        "UPDATE poller.positions SET symbol = ''",
        "UPDATE poller.accounts SET environment = 'live'",
        "DELETE FROM poller.account_modes",
        "DELETE FROM poller.contracts",
        "TRUNCATE poller.asset_balances",
        "DROP TABLE poller.positions",
        "CREATE TABLE poller.mine (one int)",
        "CREATE TABLE poller_parts.mine (one int)",
        "ALTER TABLE poller.polls ADD COLUMN mine int",
        "DROP FUNCTION poller.ensure_partitions(timestamptz)",
    ):
        with pytest.raises(InsufficientPrivilege):
            execute(recorder_url, statement)


async def test_others_may_not_even_create_partitions(recorder_url: str, database_url: str) -> None:
    role = psycopg.conninfo.conninfo_to_dict(recorder_url)["user"]
    execute(database_url, SQL("GRANT USAGE ON SCHEMA poller TO {}").format(Identifier(str(role))))

    with pytest.raises(InsufficientPrivilege):
        execute(recorder_url, "SELECT poller.ensure_partitions()")


async def test_a_role_cannot_put_its_own_function_into_the_owners_hands(recorder_url: str, database_url: str) -> None:
    grant(database_url, recorder_url)
    trap = """
    CREATE FUNCTION pg_temp.to_regclass(text) RETURNS regclass LANGUAGE plpgsql AS $$
    BEGIN RAISE 'trapped as %', current_user; END $$
    """
    with psycopg.connect(recorder_url, autocommit=True) as connection:
        with suppress(InsufficientPrivilege):
            connection.execute(trap)
        connection.execute("SET search_path = pg_temp, poller, pg_catalog")

        assert connection.execute("SELECT poller.ensure_partitions()").fetchall() == [(0,)]


async def test_missing_rights_are_named(recorder_url: str, database_url: str) -> None:
    assert (await report(recorder_url)).missing_rights == ("USAGE on schema poller",)

    grant(database_url, recorder_url)
    role = Identifier(str(psycopg.conninfo.conninfo_to_dict(recorder_url)["user"]))
    execute(database_url, SQL("REVOKE UPDATE ON poller.polls FROM {}").format(role))
    execute(database_url, SQL("REVOKE EXECUTE ON FUNCTION poller.ensure_partitions FROM {}").format(role))

    missing = (await report(recorder_url)).missing_rights
    assert missing == ("UPDATE on poller.polls", "EXECUTE on poller.ensure_partitions(timestamptz)")
    store = Store(recorder_url)
    await store.open()
    with pytest.raises(StoreUnavailableError, match="the role lacks a right: permission denied for table polls"):
        await store.save(ok())
    await store.close()


async def test_a_role_that_only_records_is_told_what_making_rows_anew_needs(
    recorder_url: str, database_url: str
) -> None:
    grant(database_url, recorder_url)

    Archive(database_url).check()
    with pytest.raises(StoreUnavailableError, match=r"lacks DELETE on poller\.account_totals, .*migration_url"):
        Archive(recorder_url).check()
