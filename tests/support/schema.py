"""Alembic as its command line runs it, and what a database looks like afterwards."""

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.support.database import execute

ROOT = Path(__file__).parents[2]
MIGRATIONS = ROOT / "migrations"


def alembic_config(url: str | None = None) -> Config:
    """Return what `alembic` in the repository's root works with, silent and for one database."""
    config = Config(ROOT / "alembic.ini")
    config.attributes["on_revision"] = lambda _: None
    if url:
        config.attributes["url"] = url
    return config


def revisions() -> list[str]:
    """Return all revisions, the first one first."""
    return [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]


def catalog(url: str, *, partitions: bool = True) -> list[tuple[object, ...]]:
    """Return all that a database holds of ours: what there is, how it is made, and what is said about it."""
    return execute(
        url,
        """
        WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname = 'poller' OR (%s AND nspname = 'poller_parts'))
        SELECT 'schema', nspname::text, '' FROM pg_namespace JOIN ours USING (oid)
        UNION ALL
        SELECT 'relation', oid::regclass::text,
            concat_ws(' ', relkind, pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid), pg_get_viewdef(oid),
                obj_description(oid, 'pg_class'))
        FROM pg_class WHERE relnamespace IN (SELECT oid FROM ours)
        UNION ALL
        SELECT 'column', attrelid::regclass::text,
            concat_ws(' ', row_number() OVER (PARTITION BY attrelid ORDER BY attnum), attname,
                format_type(atttypid, atttypmod), attnotnull, attstorage, col_description(attrelid, attnum),
                pg_get_expr(adbin, adrelid))
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attnum > 0 AND NOT attisdropped
            AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN (SELECT oid FROM ours))
        UNION ALL
        SELECT 'constraint', conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace IN (SELECT oid FROM ours)
        UNION ALL
        SELECT 'function', oid::regprocedure::text,
            concat_ws(' ', pg_get_functiondef(oid), proacl, obj_description(oid, 'pg_proc'))
        FROM pg_proc WHERE pronamespace IN (SELECT oid FROM ours)
        ORDER BY 1, 2, 3
        """,
        partitions,
    )
