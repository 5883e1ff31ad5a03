"""The one statement that stores polls: atomic by itself, so a save is one round trip and one commit.

The row of `polls` is the gate: everything else is inserted for each row that the gate lets through. A poll passes when
its tick has no row yet, and an `ok` passes where the row is not `ok`. A concurrent writer of the same tick waits at the
gate for the first one's commit and then meets its row: two views of one tick never mix. Of polls that are saved
together each passes or not for itself, but one value that the database refuses refuses them all.

Snapshots travel as JSON, written by msgspec and taken apart by PostgreSQL: amounts are text all the way, so they stay
exact, and the client's work hardly grows with the rows. Arrays with unnest, COPY behind the gate and executemany were
measured beside it: each costs more time, for small polls and for large ones.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

import msgspec
from sqlalchemy import (
    CTE,
    JSON,
    ColumnElement,
    Delete,
    FromClause,
    Select,
    Table,
    TableValuedAlias,
    Text,
    and_,
    bindparam,
    cast,
    column,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from poller.observation import Status
from poller.records import AccountTotals, AssetBalance, Poll, Position, RawPayload, RejectedPayload, Snapshot
from poller.storage.rollups import hour_of
from poller.storage.tables import (
    account_totals,
    accounts,
    asset_balances,
    polls,
    positions,
    raw_payloads,
    rejected_payloads,
    rollup_queue,
)

_KEY: Final = ("time", "account", "market")
_POLL: Final = tuple(field.name for field in fields(Poll))
_REJECTED: Final = tuple(field.name for field in fields(RejectedPayload))
_BYTES: Final = frozenset({"body", "body_sha256"})


def save_parameters(snapshots: Sequence[Snapshot]) -> dict[str, str]:
    """Return the parameters of `SAVE`; no two of the snapshots may be of one tick.

    Raises:
        UnicodeEncodeError: A text holds half of a surrogate pair.
    """
    return {"snapshots": msgspec.json.encode(snapshots).decode()}


def _snapshots() -> CTE:
    """Return the parts of each snapshot, still as JSON, with its number from 1 on."""
    listed = func.json_array_elements(cast(bindparam("snapshots", type_=Text), JSON))
    given = listed.table_valued("value", with_ordinality="number").render_derived()
    parts = [column(field.name, Text if field.name == "environment" else JSON) for field in fields(Snapshot)]
    taken = func.json_to_record(given.c.value).table_valued(*parts).render_derived(with_types=True)
    return select(given.c.number, *taken.c).select_from(given.join(taken, true())).cte("snapshot")


def _rows(part: ColumnElement[Any], table: Table, record: type) -> TableValuedAlias:
    """Return a part, one object or a list of them, as rows with the columns of a table."""
    taken = func.json_to_recordset if record in {AssetBalance, Position} else func.json_to_record
    # What JSON has no type for comes as text: `extra`, which would become one JSON string, and bytes, in Base64.
    columns = [
        column(field.name, Text if field.name == "extra" or field.name in _BYTES else table.c[field.name].type)
        for field in fields(record)
    ]
    return taken(part).table_valued(*columns).render_derived(with_types=True)


def _values(rows: FromClause) -> list[ColumnElement[Any]]:
    return [
        cast(value, JSONB) if value.name == "extra" else func.decode(value, "base64") if value.name in _BYTES else value
        for value in rows.c
    ]


def _key(source: FromClause) -> list[ColumnElement[Any]]:
    return [source.c[name] for name in _KEY]


def _same_tick(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    return and_(*(one.c[name] == other.c[name] for name in _KEY))


def _polls(snapshot: CTE) -> CTE:
    """Return the row of each poll, whether its time is storable and its account of another environment."""
    rows = _rows(snapshot.c.poll, polls, Poll)
    known_elsewhere = exists().where(
        accounts.c.account == rows.c.account, accounts.c.environment != snapshot.c.environment
    )
    return (
        select(
            snapshot.c.number,
            snapshot.c.environment,
            *rows.c,
            func.poller.is_storable(rows.c.time).label("storable"),
            known_elsewhere.correlate(rows, snapshot).label("foreign"),
        )
        .select_from(snapshot.join(rows, true()))
        .cte("poll")
    )


def _gate(poll: CTE) -> CTE:
    # Two writers that take their ticks in one order wait for each other, but never in a circle.
    passing = select(*(poll.c[name] for name in _POLL)).where(poll.c.storable, not_(poll.c.foreign))
    new = insert(polls).from_select(_POLL, passing.order_by(*_key(poll)))
    content = {name: new.excluded[name] for name in _POLL if name not in _KEY}
    return (
        new.on_conflict_do_update(
            index_elements=_KEY,
            set_=content | {"stored_at": func.now(), "replaced_status": polls.c.status},
            where=and_(new.excluded.status == Status.OK.value, polls.c.status != Status.OK.value),
        )
        .returning(*_key(polls), polls.c.replaced_status)
        .cte("gate")
    )


def _passed(snapshot: CTE, poll: CTE, gate: CTE) -> CTE:
    """Return what the gate let through, with its parts."""
    parts = [snapshot.c[name] for name in ("environment", "totals", "assets", "positions", "raw")]
    found = gate.join(poll, _same_tick(gate, poll)).join(snapshot, poll.c.number == snapshot.c.number)
    return select(*_key(gate), gate.c.replaced_status, *parts).select_from(found).cte("passed")


def _insert_children(passed: CTE, part: str, table: Table, record: type) -> CTE:
    rows = _rows(passed.c[part], table, record)
    source = select(*_key(passed), *_values(rows)).select_from(passed.join(rows, true()))
    names = [*_KEY, *(field.name for field in fields(record))]
    return insert(table).from_select(names, source.where(passed.c[part].is_not(None))).cte(f"{table.name}_rows")


def _queue(gate: CTE) -> CTE:
    """Append the hours that were touched: a row for each, so that no saver waits for another here."""
    touched = select(hour_of(gate.c.time), gate.c.account, gate.c.market).distinct()
    return insert(rollup_queue).from_select(["hour", "account", "market"], touched).cte("queued")


def _insert_rejected(snapshot: CTE, poll: CTE, gate: CTE) -> CTE:
    rows = _rows(snapshot.c.rejected, rejected_payloads, RejectedPayload)
    source = snapshot.join(poll, poll.c.number == snapshot.c.number).join(rows, true())
    passed = exists().where(_same_tick(gate, poll)).correlate(poll)
    chosen = select(*_key(poll), *_values(rows)).select_from(source)
    new = insert(rejected_payloads).from_select(
        [*_KEY, *_REJECTED],
        chosen.where(snapshot.c.rejected.is_not(None), or_(passed, not_(poll.c.storable), poll.c.foreign)),
    )
    return new.on_conflict_do_nothing().returning(*_key(rejected_payloads)).cte("rejected_payloads_rows")


def _release(*conditions: ColumnElement[bool]) -> Delete:
    """Return what removes a rejected payload whose poll is ok now."""
    return delete(rejected_payloads).where(*conditions)


def _save() -> Select[Any]:
    snapshot = _snapshots()
    poll = _polls(snapshot)
    gate = _gate(poll)
    passed = _passed(snapshot, poll, gate)
    kept = _insert_rejected(snapshot, poll, gate)
    released = _release(
        _same_tick(rejected_payloads, passed),
        rejected_payloads.c.environment == passed.c.environment,
        passed.c.replaced_status == Status.MALFORMED.value,
    ).cte("released")
    found = poll.outerjoin(gate, _same_tick(gate, poll)).outerjoin(kept, _same_tick(kept, poll))
    return (
        select(
            poll.c.storable,
            gate.c.time.is_not(None).label("passed"),
            gate.c.replaced_status,
            kept.c.time.is_not(None).label("kept"),
        )
        .select_from(found)
        .order_by(poll.c.number)
        .add_cte(
            _insert_children(passed, "totals", account_totals, AccountTotals),
            _insert_children(passed, "assets", asset_balances, AssetBalance),
            _insert_children(passed, "positions", positions, Position),
            _insert_children(passed, "raw", raw_payloads, RawPayload),
            released,
            _queue(gate),
        )
    )


SAVE: Final = _save()
"""Returns a row for each snapshot in their order: whether history is kept for the time, whether the poll passed the
gate, the status that it replaced, and whether a rejected payload was kept."""

RELEASE: Final = _release(
    *(rejected_payloads.c[name] == bindparam(name, type_=rejected_payloads.c[name].type) for name in _KEY),
    rejected_payloads.c.environment == bindparam("environment"),
)
"""What `SAVE` does when it replaces a `malformed` poll, for a payload committed while it waited at the gate."""
