"""Runs the migrations, each in a transaction of its own, and one deployer at a time.

The address comes from the caller (`poller.storage.schema`) or, under Alembic's own command line, from DATABASE_URL.
"""

import os
from collections.abc import Callable

from alembic import context
from alembic.runtime.migration import MigrationInfo
from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy import Connection, text

from poller.storage.engine import is_pooled, migration_engine
from poller.storage.tables import SCHEMA, metadata


def _run() -> None:
    if context.is_offline_mode():
        raise CommandError("--sql is not supported: how tables are built is read from the database")
    engine = migration_engine(_address())
    with engine.connect() as connection:
        _exclude_others(connection)
        _create_schema(connection)
        context.configure(
            connection=connection,
            target_metadata=metadata,
            version_table_schema=SCHEMA,
            include_schemas=True,
            include_name=_is_ours,
            compare_server_default=True,
            transaction_per_migration=True,
            on_version_apply=_report,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.rollback()  # what a comparison has read
        _drop_empty_schema(connection)


def _address() -> str:
    given = context.config.attributes.get("url") or os.environ.get("DATABASE_URL")
    if not isinstance(given, str):
        raise CommandError("set DATABASE_URL to the address of the database")
    return given


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave alone what belongs to others: partitions, TimescaleDB's catalog, the other schemas of the database."""
    return kind != "schema" or name == SCHEMA


def _exclude_others(connection: Connection) -> None:
    if is_pooled(connection):
        raise CommandError(
            "a pooler answers, and the lock that keeps other deployers away belongs to a session: "
            "name the server itself in database.migration_url"
        )
    with connection.begin():
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SELECT pg_advisory_lock(hashtext('poller migrations'))"))


def _create_schema(connection: Connection) -> None:
    # Asked first, because IF NOT EXISTS demands the right to create schemas even where an administrator made it.
    with connection.begin():
        if connection.scalar(text("SELECT to_regnamespace('poller') IS NULL")):
            connection.execute(text("CREATE SCHEMA poller"))


def _drop_empty_schema(connection: Connection) -> None:
    """Leave nothing of ours behind when no revision is left."""
    with connection.begin():
        if context.get_context().get_current_heads():
            return
        connection.execute(text("DROP TABLE IF EXISTS poller.alembic_version"))
        if connection.scalar(_IS_OURS_AND_EMPTY):
            connection.execute(text("DROP SCHEMA poller"))


_IS_OURS_AND_EMPTY = text("""
    SELECT pg_has_role(nspowner, 'USAGE')
        AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = schema.oid)
        AND NOT EXISTS (SELECT FROM pg_proc WHERE pronamespace = schema.oid)
    FROM pg_namespace AS schema
    WHERE nspname = 'poller'
""")


def _report(ctx: object, step: MigrationInfo, heads: object, run_args: object) -> None:  # noqa: ARG001 - Alembic's names
    revision = step.up_revision
    if not isinstance(revision, Script):
        return
    what = f"{revision.revision}: {revision.doc}"
    on_revision: Callable[[str], None] | None = context.config.attributes.get("on_revision")
    if on_revision:
        on_revision(what)
    else:
        context.config.print_stdout("%s %s", "upgrade" if step.is_upgrade else "downgrade", what)


_run()
