"""The roles that deploy/roles.sql makes: one records, one reads, and neither can do anything else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from secrets import token_hex
from typing import LiteralString

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, IntegrityError
from psycopg.sql import SQL, Composed, Identifier

from poller.errors import StoreUnavailableError
from poller.observation import AssetMode, Environment, Market, ModesMeasured, Promise, RunStarted, RunStopped
from poller.records import Contract
from poller.storage.archive import Archive
from poller.storage.report import report
from poller.storage.schema import upgrade
from poller.storage.store import Saved, Store
from tests.support.database import execute, new_database
from tests.support.roles import Roles, roles
from tests.support.snapshots import failed, malformed, ok, tick

TABLES = """
SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname IN ('poller', 'poller_parts') AND relkind IN ('r', 'p') ORDER BY 1
"""
SELECTABLE = """
SELECT format('poller.%I', relname) FROM pg_class
WHERE relnamespace = 'poller'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') ORDER BY 1
"""
COLUMNS = """
SELECT format('%I.%I SET %I', nspname, relname, attname)
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname IN ('poller', 'poller_parts') AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
    AND attidentity = ''
ORDER BY 1
"""
DEFINERS = """
SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'poller'::regnamespace AND prosecdef ORDER BY 1
"""


@pytest.fixture(name="house", scope="module", params=["plain", "timescale"])
def _house(request: pytest.FixtureRequest) -> Iterator[Roles]:
    """A database that an owner has built, with the roles that the script has made before and after; on each kind."""
    server = str(request.getfixturevalue(f"{request.param}_server"))
    with new_database(server, extension=request.param == "timescale") as url, roles(url) as made:
        made.apply("dedicated=yes")
        upgrade(made.url(made.owner), lambda _: None)
        made.apply("dedicated=yes")
        yield made


@pytest.fixture(name="plain_roles")
def _plain_roles(plain_database_url: str) -> Iterator[Roles]:
    """Roles of a plain database that its administrator owns, as the script makes them where others use it too."""
    [[owner]] = execute(plain_database_url, "SELECT current_user")
    made = replace(Roles.named(plain_database_url), owner=str(owner))
    assert made.run_script().returncode == 0
    for role in (made.writer, made.reader):
        execute(plain_database_url, SQL("ALTER ROLE {} PASSWORD 'made up'").format(Identifier(role)))
    yield made
    for role in (made.writer, made.reader):
        execute(plain_database_url, SQL("DROP OWNED BY {}").format(Identifier(role)))
        execute(plain_database_url, SQL("DROP ROLE {}").format(Identifier(role)))


def refuses(connection: psycopg.Connection, statement: str | Composed) -> bool:
    """Tell whether a role lacks a right for a statement, which is undone if it does not."""
    try:
        connection.execute(statement.encode() if isinstance(statement, str) else statement)
    except InsufficientPrivilege:
        return True
    except IntegrityError:
        return False
    finally:
        connection.rollback()
    return False


@contextmanager
def connected(house: Roles, role: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(house.url(role)) as connection:
        yield connection


def call(url: str, function: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SELECT poller.{function}".encode())


def of(statement: LiteralString, table: str) -> Composed:
    return SQL(statement).format(Identifier(*table.split(".")))


def names(url: str, query: LiteralString) -> list[str]:
    return [str(name) for (name,) in execute(url, query)]


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


def started(instance: str, at: int, *accounts: str, recorder: str = "spool") -> RunStarted:
    return RunStarted(
        instance=instance,
        recorder=recorder,
        release="0.1.0",
        environment=Environment.SIMULATED,
        started_at=tick(at),
        promises=tuple(Promise(account=account, market=Market.USDM, interval_seconds=10) for account in accounts),
    )


async def test_the_writer_records_everything_and_the_reader_sees_it(house: Roles) -> None:
    store = Store(house.url(house.writer))
    await store.open()

    await store.save_run_started(started("run", 0, "main", "other"))
    saved = [
        await store.save(snapshot)
        for snapshot in (ok(tick(0)), failed(tick(1)), ok(tick(1)), malformed(tick(2)), ok(tick(2)), malformed(tick(3)))
    ]
    old = await store.save(ok(ok().poll.time.replace(year=2024)))  # in a partition or chunk that did not exist
    await record_modes_and_contracts(store)
    await store.save_run_stopped(RunStopped(instance="run", stopped_at=tick(3), reason="asked"))
    await store.save_run_started(started("next", 4, "main"))
    await store.ensure_partitions()

    await store.close()
    assert [*saved, old] == [Saved.NEW, Saved.NEW, Saved.REPLACED, Saved.NEW, Saved.REPLACED, Saved.NEW, Saved.NEW]
    counts = {
        table: execute(house.url(house.reader), SQL("SELECT count(*) FROM {}").format(Identifier(table)))
        for table in ("polls", "positions", "raw_payloads", "rejected_payloads", "account_modes", "contracts", "runs")
    }
    assert counts == {
        "polls": [(5,)],
        "positions": [(4,)],
        "raw_payloads": [(4,)],
        "rejected_payloads": [(1,)],
        "account_modes": [(2,)],
        "contracts": [(1,)],
        "runs": [(2,)],
    }


async def test_nothing_is_missing_after_an_upgrade_and_the_script(house: Roles) -> None:
    assert (await report(house.url(house.writer))).missing_rights == ()


def test_the_reader_may_select_all_that_is_in_the_schema(house: Roles) -> None:
    tables = names(house.administrator, SELECTABLE)

    assert "poller.poll_gaps" in tables
    for table in tables:
        execute(house.url(house.reader), of("SELECT * FROM {} LIMIT 1", table))


def test_the_writer_may_change_no_row_but_those_of_polls(house: Roles) -> None:
    tables, columns = names(house.administrator, TABLES), names(house.administrator, COLUMNS)

    with connected(house, house.writer) as writer:
        for table in tables:
            assert refuses(writer, of("DELETE FROM {}", table)), table
            assert refuses(writer, of("TRUNCATE {}", table)), table
        changed = {
            column.partition(" ")[0] for column in columns if not refuses(writer, f"UPDATE {column} = NULL WHERE false")
        }
        filled = [table for table in tables if not refuses(writer, of("INSERT INTO {} DEFAULT VALUES", table))]

    assert changed == {"poller.polls"}
    assert filled == [
        "poller.account_totals",
        "poller.accounts",
        "poller.asset_balances",
        "poller.polls",
        "poller.positions",
        "poller.raw_payloads",
        "poller.rejected_payloads",
        "poller.rollup_queue",
    ]


def test_the_reader_may_change_nothing(house: Roles) -> None:
    functions = names(house.administrator, DEFINERS)

    assert len(functions) >= 6
    with connected(house, house.reader) as reader:
        for table in names(house.administrator, TABLES):
            for statement in ("INSERT INTO {} DEFAULT VALUES", "DELETE FROM {}", "TRUNCATE {}"):
                assert refuses(reader, of(statement, table)), table
        for column in names(house.administrator, COLUMNS):
            assert refuses(reader, f"UPDATE {column} = NULL WHERE false"), column
        for function in functions:
            assert refuses(reader, f"SELECT {function.partition('(')[0]}({nulls(function)})"), function


def nulls(function: str) -> str:
    """Return an argument of each of a function's types."""
    types = function.partition("(")[2].rstrip(")")
    return ", ".join(f"NULL::{each}" for each in types.split(",") if each)


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_neither_may_make_alter_or_drop_anything(house: Roles, role: str) -> None:
    for statement in (
        "CREATE TABLE poller.mine (one int)",
        "CREATE TABLE poller_parts.mine (one int)",
        "CREATE TABLE public.mine (one int)",
        "CREATE TEMPORARY TABLE mine (one int)",
        "CREATE VIEW poller.mine AS SELECT 1 AS one",
        "CREATE FUNCTION poller.mine() RETURNS integer RETURN 1",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "CREATE INDEX ON poller.polls (status)",
        "CREATE TRIGGER mine BEFORE INSERT ON poller.polls EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "ALTER TABLE poller.polls ADD COLUMN mine int",
        "ALTER TABLE poller.polls DISABLE TRIGGER ALL",
        "ALTER FUNCTION poller.ensure_partitions(timestamptz) SECURITY INVOKER",
        "ALTER SCHEMA poller RENAME TO mine",
        "DROP TABLE poller.positions",
        "DROP VIEW poller.poll_gaps",
        "DROP FUNCTION poller.ensure_partitions(timestamptz)",
        "DROP SCHEMA poller CASCADE",
        "COMMENT ON TABLE poller.polls IS 'mine'",
        f'SET ROLE "{house.owner}"',
    ):
        with connected(house, getattr(house, role)) as connection:
            assert refuses(connection, statement), statement


async def test_what_the_functions_find_is_all_that_they_change(house: Roles) -> None:
    """As `stop_run`, for one: a run that has ended stays so."""
    store = Store(house.url(house.writer))
    await store.open()
    await store.save_run_started(started("ended", 20, "main", recorder="another"))
    await store.save_run_stopped(RunStopped(instance="ended", stopped_at=tick(21), reason="asked"))
    await store.save(replace(malformed(tick(20)), poll=replace(malformed(tick(20)).poll, account="main")))
    before = history(house)

    writer = house.url(house.writer)
    for function in (
        "stop_run('ended', now(), 'another')",
        "start_run('ended', 'spool', '', '', now(), '[]')",
        f"release_payload('{tick(20).isoformat()}', 'main', 'usdm')",
        f"save_modes('main', 'exchange', '{tick(-1).isoformat()}', '[]')",
        "save_contracts('simulated', 'usdm', '[]')",
        "ensure_partitions()",
    ):
        call(writer, function)

    await store.close()
    assert history(house) == before


def history(house: Roles) -> list[object]:
    return [
        execute(house.administrator, SQL("SELECT * FROM poller.{} AS t ORDER BY t").format(Identifier(table)))
        for table in ("runs", "schedules", "account_modes", "contracts", "rejected_payloads", "polls")
    ]


@pytest.mark.parametrize("path", ["pg_temp, trap, poller, pg_catalog", "trap, pg_catalog"])
def test_a_role_cannot_put_its_own_functions_and_tables_into_the_owners_hands(house: Roles, path: str) -> None:
    """Even where an administrator let it make some: the functions look at what they were made for."""
    writer = Identifier(house.writer)
    with psycopg.connect(house.administrator, autocommit=True) as administrator:
        administrator.execute(SQL("CREATE SCHEMA trap AUTHORIZATION {}").format(writer))
        administrator.execute(
            SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(Identifier(administrator.info.dbname), writer)
        )
    try:
        with psycopg.connect(house.url(house.writer), autocommit=True) as connection:
            for schema in ("trap", "pg_temp"):
                for trap in (
                    "CREATE FUNCTION {}.to_regclass(text) RETURNS regclass LANGUAGE plpgsql AS {}",
                    "CREATE FUNCTION {}.json_to_recordset(json) RETURNS SETOF record LANGUAGE plpgsql AS {}",
                    "CREATE FUNCTION {}.count() RETURNS bigint LANGUAGE plpgsql AS {}",
                    "CREATE FUNCTION {}.hashtext(text) RETURNS integer LANGUAGE plpgsql AS {}",
                ):
                    body = "BEGIN RAISE 'trapped as %', current_user; END"
                    connection.execute(SQL(trap).format(Identifier(schema), body))
                for table in ("polls", "pg_class", "rejected_payloads"):
                    connection.execute(
                        SQL("CREATE TABLE {}.{} (one int)").format(Identifier(schema), Identifier(table))
                    )
            connection.execute(
                "GRANT USAGE ON SCHEMA trap TO PUBLIC"
            )  # it is skipped where its functions may not be used
            connection.execute(SQL("SELECT set_config('search_path', {}, false)").format(path))

            for function, returned in (
                ("ensure_partitions()", 0),
                ("save_contracts('simulated', 'usdm', '[]')", 0),
                ("release_payload(now(), 'nobody', 'usdm')", False),
                ("save_modes('nobody', 'exchange', now(), '[]')", ""),
                ("stop_run('nobody', now(), '')", ""),
                ("start_run('trap', 'trap', '', '', now(), '[]')", ""),
            ):
                found = connection.execute(f"SELECT poller.{function}".encode()).fetchall()
                assert found in ([(returned,)], [(None,)]), function
    finally:
        execute(house.administrator, "DROP SCHEMA trap CASCADE")
        execute(house.administrator, "DELETE FROM poller.runs WHERE instance = 'trap'")
        house.apply("dedicated=yes")


def test_a_role_from_elsewhere_may_call_none_of_the_functions(house: Roles) -> None:
    stranger = Identifier(f"stranger-{token_hex(4)}")
    with psycopg.connect(house.administrator) as connection:  # never committed
        connection.execute(SQL("CREATE ROLE {}").format(stranger))
        connection.execute(SQL("GRANT USAGE ON SCHEMA poller TO {}").format(stranger))
        connection.execute(SQL("SET LOCAL ROLE {}").format(stranger))
        callable_by_all = connection.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'poller'::regnamespace AND prosecdef "
            "AND has_function_privilege(oid, 'EXECUTE')"
        ).fetchall()
        connection.rollback()

    assert callable_by_all == []


async def test_missing_rights_are_named(plain_roles: Roles) -> None:
    url = plain_roles.url(plain_roles.writer)
    writer = Identifier(plain_roles.writer)
    for statement in (
        "REVOKE UPDATE ON poller.polls FROM {}",
        "REVOKE INSERT ON poller.positions FROM {}",
        "REVOKE EXECUTE ON FUNCTION poller.release_payload FROM {}",
    ):
        execute(plain_roles.administrator, SQL(statement).format(writer))

    missing = (await report(url)).missing_rights

    assert missing == (
        "UPDATE on poller.polls",
        "INSERT on poller.positions",
        "EXECUTE on poller.release_payload(timestamptz, text, text)",
    )
    store = Store(url)
    await store.open()
    with pytest.raises(StoreUnavailableError, match="the role lacks a right: permission denied for table"):
        await store.save(ok())
    await store.close()
    execute(plain_roles.administrator, SQL("REVOKE USAGE ON SCHEMA poller FROM {}").format(writer))
    assert (await report(url)).missing_rights == ("USAGE on schema poller",)


async def test_the_script_brings_back_what_is_missing_and_takes_what_is_too_much(plain_roles: Roles) -> None:
    url = plain_roles.url(plain_roles.writer)
    writer = Identifier(plain_roles.writer)
    for statement in (
        "GRANT UPDATE ON poller.runs, poller.schedules TO {}",
        "GRANT DELETE ON poller.rejected_payloads TO {}",
        "GRANT CREATE ON SCHEMA poller TO {}",
        "REVOKE INSERT ON poller.polls FROM {}",
    ):
        execute(plain_roles.administrator, SQL(statement).format(writer))

    assert plain_roles.run_script().returncode == 0

    assert (await report(url)).missing_rights == ()
    for statement in (
        "UPDATE poller.runs SET stopped_at = NULL",
        "DELETE FROM poller.rejected_payloads",
        "CREATE TABLE poller.mine (one int)",
    ):
        with connected(plain_roles, plain_roles.writer) as connection:
            assert refuses(connection, statement), statement


def test_the_script_refuses_roles_that_have_more_rights(plain_roles: Roles) -> None:
    superuser = replace(plain_roles, writer=plain_roles.owner, owner=plain_roles.reader).run_script()
    member = replace(plain_roles, reader=plain_roles.writer).run_script()
    stranger = replace(plain_roles, owner=f"stranger-{token_hex(4)}").run_script()

    assert "may do everything" in superuser.stderr
    assert "is a member of role" in member.stderr
    assert f" belongs to role {plain_roles.owner}: name that as the owner" in stranger.stderr
    assert (superuser.returncode, member.returncode, stranger.returncode) == (3, 3, 3)
    assert execute(plain_roles.administrator, "SELECT FROM pg_roles WHERE starts_with(rolname, 'stranger-')") == []


def test_the_script_needs_no_superuser(plain_server: str) -> None:
    with new_database(plain_server, extension=False) as url, roles(url) as made:
        administrator = f"admin-{token_hex(4)}"
        name = Identifier(administrator)
        execute(url, SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD 'made up'").format(name))
        database = Identifier(url.rpartition("/")[2])
        execute(url, SQL("ALTER DATABASE {} OWNER TO {}").format(database, name))

        first = made.run_script("dedicated=yes", administrator=made.url(administrator))
        again = made.run_script("dedicated=yes", administrator=made.url(administrator))

        assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
        execute(url, SQL("ALTER DATABASE {} OWNER TO CURRENT_USER").format(database))
        execute(url, SQL("DROP OWNED BY {} CASCADE").format(name))
        made.remove()
        execute(url, SQL("DROP ROLE {}").format(name))
        assert made.run_script().returncode == 0


async def test_a_role_that_only_records_is_told_what_making_rows_anew_needs(plain_roles: Roles) -> None:
    Archive(plain_roles.administrator).check()
    with pytest.raises(StoreUnavailableError, match=r"lacks DELETE on poller\.account_totals, .*migration_url"):
        Archive(plain_roles.url(plain_roles.writer)).check()
