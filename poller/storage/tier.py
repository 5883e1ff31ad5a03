"""What differs between the three kinds of database that hold the same schema.

plain: native monthly RANGE partitions; apache and community: hypertables of TimescaleDB under one of its two licences.
Migrations of every age call these functions: what they do to a given table may never change.
"""

from enum import StrEnum
from typing import assert_never

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


def _make_hypertable(connection: Connection, table: str) -> None:
    schema = connection.scalar(
        text(
            "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
            "WHERE e.extname = 'timescaledb'"
        )
    )
    # No default index on time: the primary key begins with it, and Alembic would not know the index.
    create = text(
        f"SELECT {schema}.create_hypertable('poller.' || quote_ident(:table), "
        f"{schema}.by_range('time', INTERVAL '7 days'), create_default_indexes => false)"
    )
    connection.execute(create, {"table": table})
