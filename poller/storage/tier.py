"""What differs between the three kinds of database that hold the same schema.

plain: native RANGE partitions; apache and community: hypertables of TimescaleDB under one of its two licences, of which
community has a columnstore. Migrations of every age call these functions: what they do to a given table may never
change.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, assert_never

from sqlalchemy import Connection, text


class Tier(StrEnum):
    """How the history tables of a database are built."""

    PLAIN = "plain"
    APACHE = "apache"
    COMMUNITY = "community"


def tier_to_build(connection: Connection) -> Tier:
    """Return how the next history table is to be built: like the others, the first by what the database offers."""
    return built_tier(connection) or _offered_tier(connection) or Tier.PLAIN


def built_tier(connection: Connection) -> Tier | None:
    """Return how the history tables are built; None when there are none yet."""
    # By name, since a role without rights on the schema may ask too.
    kind = connection.scalar(
        text(
            "SELECT relkind::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE nspname = 'poller' AND relname = 'polls'"
        )
    )
    match kind:
        case None:
            return None
        case "p":
            return Tier.PLAIN
        case _:
            return _offered_tier(connection)


def _offered_tier(connection: Connection) -> Tier | None:
    # The extension of this database counts; that a server could install one says nothing about rights or preloading.
    licence = connection.scalar(
        text("SELECT current_setting('timescaledb.license', true) FROM pg_extension WHERE extname = 'timescaledb'")
    )
    match licence:
        case None:
            return None
        case "apache":
            return Tier.APACHE
        case _:
            return Tier.COMMUNITY


def partition_clause(tier: Tier) -> str | None:
    """Return what CREATE TABLE needs, as `postgresql_partition_by`."""
    match tier:
        case Tier.PLAIN:
            return "RANGE (time)"
        case Tier.APACHE | Tier.COMMUNITY:
            return None
        case _:
            assert_never(tier)


def partition_table(connection: Connection, tier: Tier, table: str) -> None:
    """Do what a table of schema `poller` needs after CREATE TABLE to be partitioned by time."""
    match tier:
        case Tier.PLAIN:
            pass
        case Tier.APACHE | Tier.COMMUNITY:
            _make_hypertable(connection, table)
        case _:
            assert_never(tier)


def parts_with_ends(tier: Tier) -> str:
    """Return the query for `part` and `ends` of each part of the table that PL/pgSQL's `history` names."""
    match tier:
        case Tier.PLAIN:
            return _PARTITIONS
        case Tier.APACHE | Tier.COMMUNITY:
            return _CHUNKS
        case _:
            assert_never(tier)


def drop_parts(connection: Connection, tier: Tier) -> str:
    """Return what drops, in PL/pgSQL, the parts in the array `doomed`: all that end at or before `until`."""
    match tier:
        case Tier.PLAIN:
            return _DROP_PARTITIONS
        case Tier.APACHE | Tier.COMMUNITY:
            return _DROP_CHUNKS.format(schema=_extension_schema(connection))
        case _:
            assert_never(tier)


def set_part_interval(connection: Connection, tier: Tier, table: str, interval: str) -> None:
    """Let the chunks that are made from now on span `interval`; of partitions, ensure_partitions knows it."""
    match tier:
        case Tier.PLAIN:
            pass
        case Tier.APACHE | Tier.COMMUNITY:
            schema = _extension_schema(connection)
            change = text(f"SELECT {schema}.set_chunk_time_interval('poller.{table}', INTERVAL '{interval}')")
            connection.execute(change)
        case _:
            assert_never(tier)


def add_columnstore(connection: Connection, tier: Tier, table: str, segment_by: Sequence[str]) -> None:
    """Let what is older than some days be kept by columns, where the tier can: rows that share `segment_by` together.

    The database's own scheduler does it, beside the daemon and also while there is none. Two days are longer than polls
    usually wait in a spool: what comes later still, is let in as well.
    """
    match tier:
        case Tier.PLAIN | Tier.APACHE:
            pass
        case Tier.COMMUNITY:
            schema = _extension_schema(connection)
            connection.execute(
                text(
                    f"ALTER TABLE poller.{table} SET (timescaledb.enable_columnstore, "
                    f"timescaledb.segmentby = '{', '.join(segment_by)}', timescaledb.orderby = 'time')"
                )
            )
            connection.execute(
                text(f"CALL {schema}.add_columnstore_policy('poller.{table}', after => INTERVAL '2 days')")
            )
        case _:
            assert_never(tier)


def drop_columnstore(connection: Connection, tier: Tier, table: str) -> None:
    """Undo `add_columnstore`, and turn all back into rows."""
    match tier:
        case Tier.PLAIN | Tier.APACHE:
            pass
        case Tier.COMMUNITY:
            schema = _extension_schema(connection)
            connection.execute(text(f"CALL {schema}.remove_columnstore_policy('poller.{table}', if_exists => true)"))
            connection.execute(text(_DECOMPRESS.format(schema=schema)), {"table": table})
            connection.execute(text(f"ALTER TABLE poller.{table} SET (timescaledb.enable_columnstore = false)"))
        case _:
            assert_never(tier)


_PARTITIONS: Final = r"""
        SELECT pg_inherits.inhrelid::regclass AS part,
            (regexp_match(pg_get_expr(relpartbound, pg_class.oid), 'TO \(''([^'']*)''\)'))[1]::timestamptz AS ends
        FROM pg_inherits JOIN pg_class ON pg_class.oid = pg_inherits.inhrelid
        WHERE pg_inherits.inhparent = format('poller.%I', history)::regclass
"""

_CHUNKS: Final = """
        SELECT format('%I.%I', chunk_schema, chunk_name)::regclass AS part, range_end AS ends
        FROM timescaledb_information.chunks
        WHERE hypertable_schema = 'poller' AND hypertable_name = history
"""

_DROP_PARTITIONS: Final = """
    FOREACH part IN ARRAY doomed LOOP
        EXECUTE format('DROP TABLE %s', part);
    END LOOP;
"""

_DROP_CHUNKS: Final = """
    PERFORM {schema}.drop_chunks(format('poller.%I', history)::regclass, older_than => until);
"""

_DECOMPRESS: Final = """
    SELECT {schema}.decompress_chunk(format('%I.%I', chunk_schema, chunk_name)::regclass)
    FROM timescaledb_information.chunks
    WHERE hypertable_schema = 'poller' AND hypertable_name = :table AND is_compressed
"""


def _make_hypertable(connection: Connection, table: str) -> None:
    schema = _extension_schema(connection)
    # No default index on time: the primary key begins with it, and Alembic would not know the index.
    create = text(
        f"SELECT {schema}.create_hypertable('poller.' || quote_ident(:table), "
        f"{schema}.by_range('time', INTERVAL '7 days'), create_default_indexes => false)"
    )
    connection.execute(create, {"table": table})


def _extension_schema(connection: Connection) -> str:
    return str(
        connection.scalar(
            text(
                "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
                "WHERE e.extname = 'timescaledb'"
            )
        )
    )
