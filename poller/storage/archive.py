"""The kept replies, to be read once more: what each poll knew of its reply, and its rows made anew where they differ.

Each poll is one transaction behind a lock on its row of `polls`: a daemon that stores beside it waits for one poll at
most, and a reader sees the old rows or the new ones. All of it blocks, and raises StoreUnavailableError when the
database cannot serve it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, null, or_, select, tuple_
from sqlalchemy.engine import Row

from poller.errors import StoreUnavailableError
from poller.observation import AssetMode, AssetModeSource, Environment, Market, Observation, Status
from poller.records import Poll, Snapshot
from poller.storage.contents import CHILDREN, KEY, Key, differing, rewrite
from poller.storage.engine import migration_engine
from poller.storage.failures import translated_failures
from poller.storage.schema import check_revision, current_revision
from poller.storage.tables import (
    account_modes,
    account_totals,
    accounts,
    polls,
    raw_payloads,
    rejected_payloads,
    rollup_queue,
)

BATCH: Final = 200

_TOLD: Final = frozenset({"status", "error_message", "assets_seen", "positions_seen"})
_KNOWN: Final = tuple(field.name for field in fields(Poll) if field.name not in _TOLD)
_NEEDED: Final = (
    (polls, ("SELECT", "UPDATE")),
    *((table, ("SELECT", "INSERT", "DELETE")) for table in CHILDREN),
    (raw_payloads, ("SELECT", "INSERT")),
    (rejected_payloads, ("SELECT", "DELETE")),
    (accounts, ("SELECT",)),
    (account_modes, ("SELECT",)),
    (rollup_queue, ("INSERT",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Polls from `since` until before `until`; None is every account, every market."""

    since: datetime
    until: datetime
    account: str | None = None
    market: Market | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A reply with what the poll knew besides it.

    Attributes:
        observation: As the poll made it, as far as that matters now.
        status: Of the poll: `ok` or `malformed`.
        mode_unknown: Whether the asset mode was left open: why, nobody can tell later.
        reason: Why the poll is malformed.
        body_bytes: The length of the whole reply, of which `observation` may hold the head alone; None when unknown.
    """

    observation: Observation
    status: Status
    mode_unknown: bool
    reason: str | None
    body_bytes: int | None

    @property
    def key(self) -> Key:
        """The poll's."""
        return self.observation.time, self.observation.account, self.observation.market.value


class Archive:
    """The kept replies of the database at `url`, for a role that may delete and insert rows."""

    def __init__(self, url: str) -> None:
        self._engine = migration_engine(url)

    def check(self) -> None:
        """Raise StoreUnavailableError unless the schema is this release's and the role may do what is needed."""
        with translated_failures(), self._engine.connect() as connection:
            check_revision(current_revision(connection))
            missing = [
                f"{right} on {table.fullname}"
                for table, rights in _NEEDED
                for right in rights
                if not connection.scalar(select(func.has_table_privilege(table.fullname, right)))
            ]
        if missing:
            raise StoreUnavailableError(
                f"the role lacks {', '.join(missing)}: rows are made anew as the owner of the schema, which "
                "database.migration_url names"
            )

    def count(self, selection: Selection, status: Status) -> int:
        """Return how many replies of polls with a status are kept."""
        with translated_failures(), self._engine.connect() as connection:
            query = select(func.count()).select_from(_kept(selection, status).subquery())
            return int(connection.scalar(query) or 0)

    def after(self, last: Key | None, selection: Selection, status: Status) -> Sequence[Kept]:
        """Return the next `BATCH` kept replies of polls with a status, in the order of their keys."""
        query = _kept(selection, status)
        if last is not None:
            behind = tuple_(*(polls.c[name] for name in KEY)) > tuple_(*last)
            query = query.where(polls.c.time >= last[0], behind)
        with translated_failures(), self._engine.connect() as connection:
            rows = connection.execute(query.order_by(*(polls.c[name] for name in KEY)).limit(BATCH)).all()
        return [_read(row, status) for row in rows]

    def differing(self, snapshots: Sequence[Snapshot]) -> Sequence[Snapshot]:
        """Return those of some polls whose rows in the database are others."""
        with translated_failures(), self._engine.connect() as connection:
            return differing(connection, snapshots)

    def rewrite(self, snapshot: Snapshot, status: Status, *, dry: bool) -> bool:
        """Put the rows of a snapshot in the place of its poll's, if that has the status still and they differ.

        Args:
            snapshot: An `ok` one.
            status: Of the poll: `ok`, or `malformed`, whose rejected payload is released then.
            dry: Whether to undo it in the end.

        Raises:
            UnstorableError: The database refuses the data; the poll stays as it was.
        """
        with translated_failures(), self._engine.connect() as connection, connection.begin() as transaction:
            changed = rewrite(connection, snapshot, status)
            if dry:
                transaction.rollback()
            return changed


def _kept(selection: Selection, status: Status) -> Select[Any]:
    payloads = raw_payloads if status is Status.OK else rejected_payloads
    is_rejected = payloads is rejected_payloads
    known = and_(
        account_modes.c.account == polls.c.account,
        account_modes.c.market == polls.c.market,
        account_modes.c.valid_from <= polls.c.time,
        or_(account_modes.c.valid_to.is_(None), account_modes.c.valid_to > polls.c.time),
    )
    conditions = [polls.c.time >= selection.since, polls.c.time < selection.until, polls.c.status == status.value]
    if is_rejected:  # of an account of another environment, a payload is not this poll's
        conditions.append(rejected_payloads.c.environment == accounts.c.environment)
    if selection.account is not None:
        conditions.append(polls.c.account == selection.account)
    if selection.market is not None:
        conditions.append(polls.c.market == selection.market.value)
    columns: list[ColumnElement[Any]] = [polls.c[name] for name in _KNOWN]
    return (
        select(
            *columns,
            accounts.c.environment,
            payloads.c.codec,
            payloads.c.body,
            (rejected_payloads.c.reason if is_rejected else null()).label("reason"),
            (rejected_payloads.c.body_bytes if is_rejected else null()).label("body_bytes"),
            account_totals.c.asset_mode,
            account_totals.c.asset_mode_source,
            account_modes.c.asset_mode.label("told_mode"),
            account_totals.c.time.is_not(None).label("has_totals"),
        )
        .select_from(polls)
        .join(payloads, and_(*(payloads.c[name] == polls.c[name] for name in KEY)))
        .join(accounts, accounts.c.account == polls.c.account)
        .outerjoin(account_totals, and_(*(account_totals.c[name] == polls.c[name] for name in KEY)))
        .outerjoin(account_modes, known)
        .where(*conditions)
    )


def _read(row: Row[Any], status: Status) -> Kept:
    values = row._asdict()
    mode, source = values["asset_mode"], values["asset_mode_source"]
    if not values["has_totals"] and values["told_mode"] is not None:
        mode, source = values["told_mode"], AssetModeSource.EXCHANGE
    elif source == AssetModeSource.PAYLOAD:
        mode = source = None
    known = {name: values[name] for name in _KNOWN if name != "market"}
    observation = Observation(
        **known,
        market=Market(values["market"]),
        environment=Environment(values["environment"]),
        status=None,
        asset_mode=AssetMode(mode) if mode else None,
        asset_mode_source=AssetModeSource(source) if source else None,
        codec=values["codec"],
        body=bytes(values["body"] or b""),
    )
    return Kept(
        observation=observation,
        status=status,
        mode_unknown=values["has_totals"] and values["asset_mode"] is None,
        reason=values["reason"],
        body_bytes=values["body_bytes"],
    )
