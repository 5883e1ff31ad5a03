"""The one statement that stores a poll: atomic by itself, so a save is one round trip and one commit.

The row of `polls` is the gate: everything else is inserted for each row that the gate lets through, one or none. A poll
passes when its tick has no row yet, and an `ok` passes where the row is not `ok`. A concurrent writer of the same tick
waits at the gate for the first one's commit and then meets its row: two views of one tick never mix.

Records travel as JSON, written by msgspec and taken apart by PostgreSQL: amounts are text all the way, so they stay
exact, and the client's work hardly grows with the rows. Arrays with unnest, COPY behind the gate and executemany were
measured beside it: each costs more time, for small polls and for large ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Final

import msgspec
from sqlalchemy import (
    CTE,
    JSON,
    Boolean,
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
from poller.records import AccountTotals, AssetBalance, Poll, Position, RejectedPayload, Snapshot
from poller.storage.tables import account_totals, asset_balances, polls, positions, raw_payloads, rejected_payloads

_KEY: Final = ("time", "account", "market")
_POLL: Final = tuple(field.name for field in fields(Poll))
_REJECTED: Final = tuple(field.name for field in fields(RejectedPayload))


def save_parameters(snapshot: Snapshot, *, foreign: bool) -> dict[str, object]:
    """Return the parameters of `SAVE`; `foreign` tells that the account belongs to another environment.

    Raises:
        UnicodeEncodeError: A text holds half of a surrogate pair.
    """
    raw, rejected = snapshot.raw, snapshot.rejected
    return {
        "foreign": foreign,
        "environment": snapshot.environment.value,
        "polls": _to_json((snapshot.poll,)),
        "account_totals": _to_json((snapshot.totals,) if snapshot.totals else ()),
        "asset_balances": _to_json(snapshot.assets),
        "positions": _to_json(snapshot.positions),
        "raw_codec": raw.codec if raw else None,
        "raw_body": raw.body if raw else None,
    } | {f"rejected_{name}": getattr(rejected, name) if rejected else None for name in _REJECTED}


def _to_json(records: Sequence[object]) -> str:
    return msgspec.json.encode(records).decode()


def _from_json(table: Table, names: Iterable[str]) -> TableValuedAlias:
    """Return the parameter that is named like the table as rows."""
    # `extra` is a text that holds JSON: read as jsonb it would become one JSON string.
    columns = [column(name, Text if name == "extra" else table.c[name].type) for name in names]
    records = func.json_to_recordset(cast(bindparam(table.name, type_=Text), JSON))
    return records.table_valued(*columns, name=table.name).render_derived(with_types=True)


def _given(name: str, target: ColumnElement[Any]) -> ColumnElement[Any]:
    # The cast tells PostgreSQL the type of a null.
    return cast(bindparam(name), target.type)


def _key(source: FromClause) -> list[ColumnElement[Any]]:
    return [source.c[name] for name in _KEY]


def _gate(poll: CTE, passes: ColumnElement[bool]) -> CTE:
    new = insert(polls).from_select(_POLL, select(*poll.c).where(passes))
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


def _insert_children(gate: CTE, table: Table, record: type[AccountTotals | AssetBalance | Position]) -> CTE:
    names = [field.name for field in fields(record)]
    rows = _from_json(table, names)
    values = [cast(rows.c[name], JSONB) if name == "extra" else rows.c[name] for name in names]
    source = select(*_key(gate), *values).select_from(gate.join(rows, true()))
    return insert(table).from_select([*_KEY, *names], source).cte(f"{table.name}_rows")


def _insert_raw(gate: CTE) -> CTE:
    codec, body = _given("raw_codec", raw_payloads.c.codec), _given("raw_body", raw_payloads.c.body)
    source = select(*_key(gate), codec, body).where(body.is_not(None))
    return insert(raw_payloads).from_select([*_KEY, "codec", "body"], source).cte("raw_payloads_rows")


def _insert_rejected(poll: CTE, when: ColumnElement[bool]) -> CTE:
    given = {name: _given(f"rejected_{name}", rejected_payloads.c[name]) for name in _REJECTED}
    source = select(*_key(poll), *given.values()).where(given["reason"].is_not(None), when)
    new = insert(rejected_payloads).from_select([*_KEY, *_REJECTED], source)
    return new.on_conflict_do_nothing().returning(rejected_payloads.c.time).cte("rejected_payloads_rows")


def _release(*conditions: ColumnElement[bool]) -> Delete:
    """Return what removes a rejected payload whose poll is ok now."""
    ours = rejected_payloads.c.environment == _given("environment", rejected_payloads.c.environment)
    return delete(rejected_payloads).where(ours, *conditions)


def _save() -> Select[tuple[bool, bool, str | None, bool]]:
    poll = select(_from_json(polls, _POLL)).cte("poll")
    storable: ColumnElement[bool] = func.poller.is_storable(poll.c.time, type_=Boolean)
    foreign = bindparam("foreign", type_=Boolean)
    gate = _gate(poll, and_(storable, not_(foreign)))
    rejected = _insert_rejected(poll, or_(exists().select_from(gate), not_(storable), foreign))
    was_malformed = gate.c.replaced_status == Status.MALFORMED.value
    released = _release(*(rejected_payloads.c[name] == gate.c[name] for name in _KEY), was_malformed).cte("released")
    return select(
        storable.label("storable"),
        exists().select_from(gate).label("passed"),
        select(gate.c.replaced_status).scalar_subquery().label("replaced_status"),
        exists().select_from(rejected).label("kept"),
    ).add_cte(
        _insert_children(gate, account_totals, AccountTotals),
        _insert_children(gate, asset_balances, AssetBalance),
        _insert_children(gate, positions, Position),
        _insert_raw(gate),
        released,
    )


SAVE: Final = _save()
"""Returns one row: whether history is kept for the time, whether the poll passed the gate, the status that it replaced,
and whether a rejected payload was kept."""

RELEASE: Final = _release(*(rejected_payloads.c[name] == _given(name, rejected_payloads.c[name]) for name in _KEY))
"""What `SAVE` does when it replaces a `malformed` poll, for a payload committed while it waited at the gate."""
