"""The migrations themselves, on each kind of server."""

import ast
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.util import CommandError

from poller.observation import AssetMode, AssetModeSource
from poller.storage.schema import upgrade
from poller.storage.store import Store
from tests.support.database import execute
from tests.support.schema import MIGRATIONS, ROOT, alembic_config, catalog, revisions
from tests.support.snapshots import malformed, ok, tick

FILES = sorted((MIGRATIONS / "versions").glob("*.py"))


def test_the_head_is_what_the_tables_say(empty_database_url: str) -> None:
    config = alembic_config(empty_database_url)

    command.upgrade(config, "head")

    command.check(config)


def test_each_revision_goes_up_down_and_up_again(empty_database_url: str) -> None:
    config = alembic_config(empty_database_url)
    # Partitions hold data: they go with their table, not with the function that made them.
    before = catalog(empty_database_url, partitions=False)
    for revision in revisions():
        command.upgrade(config, revision)
        upgraded = catalog(empty_database_url, partitions=False)
        command.downgrade(config, "-1")
        assert catalog(empty_database_url, partitions=False) == before, revision
        command.upgrade(config, revision)
        assert catalog(empty_database_url, partitions=False) == upgraded, revision
        before = upgraded


async def test_a_downgrade_to_base_leaves_nothing(database_url: str) -> None:
    store = Store(database_url)
    await store.open()
    await store.save(ok())
    await store.save(malformed(tick(1)))
    await store.close()

    command.downgrade(alembic_config(database_url), "base")

    assert catalog(database_url) == []


async def test_rows_live_through_a_downgrade_and_an_upgrade_without_what_is_not_known_there(
    database_url: str,
) -> None:
    store = Store(database_url)
    await store.open()
    for number, source in enumerate(AssetModeSource):
        snapshot = ok(tick(number))
        assert snapshot.totals
        told = replace(
            snapshot.totals, asset_mode=AssetMode.SINGLE_ASSET, asset_mode_source=source, totals_asset="USDT"
        )
        await store.save(replace(snapshot, totals=told))
    await store.close()

    command.downgrade(alembic_config(database_url), "df034904f586")
    sources = execute(database_url, "SELECT asset_mode_source, totals_asset FROM poller.account_totals ORDER BY time")
    command.upgrade(alembic_config(database_url), "head")

    assert sources == [("config", "USDT"), (None, None), ("payload", "USDT")]
    with pytest.raises(psycopg.errors.CheckViolation):
        execute(database_url, "UPDATE poller.account_totals SET asset_mode_source = 'guess'")
    execute(database_url, "UPDATE poller.account_totals SET asset_mode_source = 'exchange'")


def test_partitions_say_of_a_column_what_their_table_says(plain_database_url: str) -> None:
    said = execute(
        plain_database_url,
        """
        SELECT DISTINCT child.attname::text
        FROM pg_inherits
        JOIN pg_attribute AS parent ON parent.attrelid = inhparent AND parent.attnum > 0 AND NOT parent.attisdropped
        JOIN pg_attribute AS child ON child.attrelid = inhrelid AND child.attname = parent.attname
        WHERE inhparent = 'poller.account_totals'::regclass
            AND col_description(inhparent, parent.attnum) IS DISTINCT FROM col_description(inhrelid, child.attnum)
        """,
    )

    assert said == []


def test_looking_at_a_database_without_a_schema_leaves_nothing(empty_database_url: str) -> None:
    command.current(alembic_config(empty_database_url))

    assert catalog(empty_database_url) == []


def test_a_downgrade_keeps_what_others_put_into_the_schema(plain_database_url: str) -> None:
    execute(plain_database_url, "CREATE VIEW poller.mine AS SELECT 1 AS one")

    command.downgrade(alembic_config(plain_database_url), "base")

    assert execute(plain_database_url, "SELECT one FROM poller.mine") == [(1,)]


def test_two_deployers_at_once_do_not_meet(empty_database_url: str) -> None:
    # Processes, since Alembic's environment is one to a process.
    def deploy(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "alembic", "upgrade", "head"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": empty_database_url},
            capture_output=True,
            text=True,
            check=False,
        )

    with ThreadPoolExecutor() as threads:
        deployers = list(threads.map(deploy, range(2)))

    assert [deployer.returncode for deployer in deployers] == [0, 0], [deployer.stderr for deployer in deployers]
    assert sorted(deployer.stdout.count("upgrade ") for deployer in deployers) == [0, len(FILES)]


def test_a_search_path_that_begins_with_the_schema_changes_nothing(plain_database_url: str) -> None:
    execute(
        plain_database_url,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = poller, public', current_database()); END $$",
    )

    command.check(alembic_config(plain_database_url))


def test_sql_scripts_are_refused_because_the_tier_is_in_the_database() -> None:
    with pytest.raises(CommandError, match="not supported"):
        command.upgrade(alembic_config("postgresql://nowhere/"), "head", sql=True)


def test_an_upgrade_tells_each_revision(empty_database_url: str) -> None:
    told: list[str] = []

    upgrade(empty_database_url, told.append)
    upgrade(empty_database_url, told.append)

    assert [line.partition(":")[0] for line in told] == revisions()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_named_date_revision_order(file: Path) -> None:
    named = re.fullmatch(
        r"20\d{2}[01]\d[0-3]\d_(?P<revision>[0-9a-f]{12})_(create|add|drop|rename|change|backfill|constrain)(_[a-z0-9]+)+",
        file.stem,
    )
    values = {
        node.targets[0].id: node.value.value
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }

    assert named, file.name
    assert values["revision"] == named["revision"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_migration_depends_on_no_code_that_may_change(file: Path) -> None:
    imports = re.findall(r"^(?:from|import) (poller\S*)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert set(imports) <= {"poller.storage.tier"}


def test_every_table_view_column_and_function_has_a_comment(database_url: str) -> None:
    bare = execute(
        database_url,
        """
        SELECT oid::regclass::text FROM pg_class
        WHERE relnamespace = 'poller'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
            AND obj_description(oid, 'pg_class') IS NULL
        UNION ALL
        SELECT attrelid::regclass || '.' || attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'poller'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND attnum > 0
            AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL
        UNION ALL
        SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace = 'poller'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL
        """,
    )

    assert bare == []


def test_every_amount_says_its_unit_and_its_source(database_url: str) -> None:
    amounts = execute(
        database_url,
        """
        SELECT attrelid::regclass || '.' || attname, col_description(attrelid, attnum)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'poller'::regnamespace AND relkind IN ('r', 'p') AND atttypid = 'numeric'::regtype
        """,
    )

    assert len(amounts) > 30
    for column, comment in amounts:
        assert isinstance(comment, str), column
        assert re.match(r"(Binance|From (equity|exposure|margin_pools)): \w+", comment), column
        assert re.search(r"[Ii]n units of|in contracts|A multiple|not state its unit", comment), column
