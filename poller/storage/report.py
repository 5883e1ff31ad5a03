"""What is to be said of a database before anything is recorded in it, found out without writing."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select, text

from poller.storage.engine import migration_engine
from poller.storage.failures import translated_failures
from poller.storage.schema import current_revision, head_revision
from poller.storage.tables import HOURLY, SCHEMA, dropped_history, metadata
from poller.storage.tier import Tier, tier_to_build

_EVERYWHERE: Final = ("SELECT", "INSERT")
_BESIDES: Final[Mapping[str, tuple[str, ...]]] = {
    "account_modes": ("UPDATE",),  # modes are confirmed, and end
    "contracts": ("UPDATE",),  # a delivery contract comes nearer
    "polls": ("UPDATE",),  # an ok poll replaces one that is not
    "rejected_payloads": ("DELETE",),  # and releases its payload
    "runs": ("UPDATE",),  # a run stops
    "schedules": ("UPDATE",),  # a promise ends
}
_OFF: Final[Mapping[str, str]] = {
    "synchronous_commit": "a crash of the server loses the last polls, until the spool offers them again",
    "fsync": "a crash of the machine can destroy the whole database",
    "full_page_writes": "a crash of the machine can leave damaged pages",
}
"""What it costs when a setting is off."""

_DROP: Final = "drop_history(text, timestamptz)"
_FUNCTIONS: Final = ("is_storable(timestamptz)", "ensure_partitions(timestamptz)", "refresh_rollups(integer)")
_MADE: Final = frozenset({dropped_history.name, *(table.name for table in HOURLY)})
"""Tables that functions of the schema write, not the role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseReport:
    """What `report` found.

    Attributes:
        tier: How the history tables are built, or would be by the first migration.
        current_revision: Of the schema; None when there is none.
        head_revision: The one that this release needs.
        missing_rights: What recording needs and the role lacks, such as `INSERT on poller.polls`.
        may_drop: Whether the role may drop old history, which recording does not need.
        weaknesses: Settings by which the database may lose what it has committed, as they are for this role.
    """

    server_version: str
    tier: Tier
    current_revision: str | None
    head_revision: str
    missing_rights: tuple[str, ...]
    may_drop: bool
    weaknesses: tuple[str, ...]


async def report(url: str) -> DatabaseReport:
    """Look at a database; raises StoreUnavailableError when it cannot be reached."""
    return await asyncio.to_thread(_report, url)


def _report(url: str) -> DatabaseReport:
    engine = migration_engine(url)
    with translated_failures(), engine.connect() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        may_look = connection.scalar(
            text("SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = 'poller'")
        )
        if may_look is False:
            current, missing = None, [f"USAGE on schema {SCHEMA}"]
        else:
            current = current_revision(connection)
            missing = _missing_rights(connection) if current == head_revision() else []
        return DatabaseReport(
            server_version=str(connection.scalar(text("SHOW server_version"))),
            tier=tier_to_build(connection),
            current_revision=current,
            head_revision=head_revision(),
            missing_rights=tuple(missing),
            may_drop=current != head_revision() or _may_call(connection, _DROP),
            weaknesses=tuple(_weaknesses(connection)),
        )


def _weaknesses(connection: Connection) -> Iterator[str]:
    def setting(name: str) -> object:
        return connection.scalar(select(func.current_setting(name)))

    for name, cost in _OFF.items():
        if setting(name) == "off":
            yield f"{name} is off: {cost}"
    if setting("synchronous_commit") == "local" and setting("synchronous_standby_names"):
        yield "synchronous_commit is local: a failover loses the last polls, until the spool offers them again"


def _missing_rights(connection: Connection) -> list[str]:
    tables = [
        f"{right} on {table.fullname}"
        for table in metadata.sorted_tables
        for right in _rights(table.name)
        if not connection.scalar(select(func.has_table_privilege(table.fullname, right)))
    ]
    functions = [f"EXECUTE on {SCHEMA}.{function}" for function in _FUNCTIONS if not _may_call(connection, function)]
    return tables + functions


def _rights(table: str) -> tuple[str, ...]:
    return ("SELECT",) if table in _MADE else _EVERYWHERE + _BESIDES.get(table, ())


def _may_call(connection: Connection, function: str) -> bool:
    return bool(connection.scalar(select(func.has_function_privilege(f"{SCHEMA}.{function}", "EXECUTE"))))
