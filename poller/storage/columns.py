"""What the tables are made of: one MetaData, the shared key and the few column types."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.functions import FunctionElement

SCHEMA = "poller"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    },
)


def instant(
    name: str,
    comment: str,
    *,
    nullable: bool = False,
    key: bool = False,
    default: FunctionElement[datetime] | None = None,
) -> Column[datetime]:
    """Make a column for a point in time."""
    return Column(
        name, DateTime(timezone=True), primary_key=key, nullable=nullable, server_default=default, comment=comment
    )


def words(name: str, comment: str, *, nullable: bool = False, key: bool = False) -> Column[str]:
    """Make a column for text."""
    return Column(name, Text, primary_key=key, nullable=nullable, comment=comment)


def amount(name: str, comment: str) -> Column[Decimal]:
    """Make a column for an exact number: NUMERIC without limits keeps every digit that was sent."""
    return Column(name, Numeric, nullable=True, comment=comment)


def flag(name: str, comment: str) -> Column[bool]:
    """Make a column for yes, no or unknown."""
    return Column(name, Boolean, nullable=True, comment=comment)


def whole(name: str, comment: str, *, nullable: bool = True) -> Column[int]:
    """Make a column for a number or a code of four bytes."""
    return Column(name, Integer, nullable=nullable, comment=comment)


def small(name: str, comment: str) -> Column[int]:
    """Make a column for one of a few numbers that we assign."""
    return Column(name, SmallInteger, nullable=False, comment=comment)


def long(name: str, comment: str) -> Column[int]:
    """Make a column for a count that a stopped clock or a suspended machine can make huge."""
    return Column(name, BigInteger, nullable=True, comment=comment)


def octets(name: str, comment: str, *, nullable: bool = False) -> Column[bytes]:
    """Make a column for bytes."""
    return Column(name, LargeBinary, nullable=nullable, comment=comment)


def extra(comment: str) -> Column[str]:
    """Make the column for what the exchange sent and does not document."""
    return Column("extra", JSONB, nullable=True, comment=comment)


def account(comment: str = "Our permanent label of the API key.", *, key: bool = True) -> Column[str]:
    """Make the column that says whose row it is."""
    return words("account", comment, key=key)


def market(*, key: bool = True) -> Column[str]:
    """Make the column that says which market's row it is."""
    return words("market", "usdm: USDⓈ-M futures, coinm: COIN-M futures.", key=key)


def history_key(*, unique: bool = True) -> tuple[Column[datetime], Column[str], Column[str]]:
    """Make the columns that every history table begins with: what tells one poll from another.

    `unique` makes them the primary key, or a part of it.
    """
    return (
        instant("time", "The scheduled instant of the poll in exchange time, a multiple of the interval.", key=unique),
        account(key=unique),
        market(key=unique),
    )


def one_of(column: str, allowed: Iterable[str]) -> CheckConstraint:
    """Constrain a text column to some words: unlike an enum type, a CHECK can be widened and narrowed in place."""
    listed = ", ".join(f"'{word}'" for word in allowed)
    return CheckConstraint(f"{column} IN ({listed})", name=column)
