"""The rows that one reply makes, as they are compared and written: amounts by their value, `extra` by its meaning."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from poller.observation import Status
from poller.records import AccountTotals, AssetBalance, Poll, Position, Snapshot
from poller.storage.rollups import hour_of
from poller.storage.tables import (
    account_totals,
    asset_balances,
    polls,
    positions,
    raw_payloads,
    rejected_payloads,
    rollup_queue,
)

KEY: Final = ("time", "account", "market")
Key = tuple[datetime, str, str]
"""Time, account and market of a poll."""

_Row = tuple[object, ...]
_RECORDS: Final[Mapping[Table, type]] = {
    account_totals: AccountTotals,
    asset_balances: AssetBalance,
    positions: Position,
}
CHILDREN: Final = tuple(_RECORDS)
"""The tables whose rows one reply makes."""

_NAMES: Final = {table: tuple(each.name for each in fields(record)) for table, record in _RECORDS.items()}


@dataclass(slots=True)
class Content:
    """All rows of a poll that its reply decides, as sets that can be compared.

    Attributes:
        seen: How many assets and positions the reply had.
        rows: By table, then by what tells the rows of one poll apart.
    """

    seen: _Row
    rows: dict[str, dict[object, _Row]] = field(default_factory=lambda: {table.name: {} for table in CHILDREN})


def differing(connection: Connection, snapshots: Sequence[Snapshot]) -> Sequence[Snapshot]:
    """Return those snapshots whose rows in the database are others."""
    stored = _stored(connection, [_key(snapshot.poll) for snapshot in snapshots])
    return [snapshot for snapshot in snapshots if stored.get(_key(snapshot.poll)) != _content(snapshot)]


def rewrite(connection: Connection, snapshot: Snapshot, status: Status) -> bool:
    """Put the rows of an `ok` snapshot in the place of its poll's, if that has `status` still and they differ."""
    poll = snapshot.poll
    this = _is(polls, poll)
    found = connection.scalar(select(polls.c.status).where(*this).with_for_update())
    if found != status.value or not differing(connection, [snapshot]):
        return False
    for table in CHILDREN:
        connection.execute(delete(table).where(*_is(table, poll)))
    _insert(connection, account_totals, poll, [snapshot.totals] if snapshot.totals else [])
    _insert(connection, asset_balances, poll, snapshot.assets)
    _insert(connection, positions, poll, snapshot.positions)
    content: dict[str, Any] = {
        "assets_seen": poll.assets_seen,
        "positions_seen": poll.positions_seen,
        "renormalized_at": func.now(),
    }
    if status is not Status.OK:
        _release(connection, snapshot)
        content |= {"status": Status.OK.value, "replaced_status": status.value, "stored_at": func.now()}
        content |= {"error_message": None}
    connection.execute(update(polls).where(*this).values(content))
    connection.execute(
        insert(rollup_queue).values(hour=hour_of(literal(poll.time)), account=poll.account, market=poll.market.value)
    )
    return True


def _release(connection: Connection, snapshot: Snapshot) -> None:
    poll, raw = snapshot.poll, snapshot.raw
    assert raw is not None
    key = dict(zip(KEY, _key(poll), strict=True))
    connection.execute(insert(raw_payloads).values(**key, codec=raw.codec, body=raw.body))
    ours = rejected_payloads.c.environment == snapshot.environment.value
    connection.execute(delete(rejected_payloads).where(*_is(rejected_payloads, poll), ours))


def _insert(connection: Connection, table: Table, poll: Poll, records: Iterable[Any]) -> None:
    key = dict(zip(KEY, _key(poll), strict=True))
    rows = [key | {name: getattr(record, name) for name in _NAMES[table]} for record in records]
    if rows:
        extra = cast(bindparam("extra", type_=Text), JSONB)  # a text that holds JSON, which keeps every digit
        connection.execute(insert(table).values(extra=extra), rows)


def _key(poll: Poll) -> Key:
    return poll.time, poll.account, poll.market.value


def _is(table: Table, poll: Poll) -> tuple[Any, ...]:
    return tuple(table.c[name] == value for name, value in zip(KEY, _key(poll), strict=True))


def _content(snapshot: Snapshot) -> Content:
    content = Content((snapshot.poll.assets_seen, snapshot.poll.positions_seen))
    totals = (snapshot.totals,) if snapshot.totals else ()
    for table, records in zip(CHILDREN, (totals, snapshot.assets, snapshot.positions), strict=True):
        for record in records:
            _add(content, table, tuple(getattr(record, name) for name in _NAMES[table]))
    return content


def _stored(connection: Connection, keys: Sequence[Key]) -> dict[Key, Content]:
    times = [time for time, _, _ in keys]
    found: dict[Key, Content] = defaultdict(lambda: Content((None, None)))

    def rows(table: Table, *names: str) -> Iterable[tuple[Key, _Row]]:
        columns = [cast(table.c[name], Text) if name == "extra" else table.c[name] for name in names]
        key = [table.c[name] for name in KEY]
        among = (table.c.time.between(min(times), max(times)), tuple_(*key).in_(keys))
        for row in connection.execute(select(*key, *columns).where(*among)):
            yield (row[0], row[1], row[2]), tuple(row[3:])

    for key, seen in rows(polls, "assets_seen", "positions_seen"):
        found[key].seen = seen
    for table in CHILDREN:
        for key, row in rows(table, *_NAMES[table]):
            _add(found[key], table, row)
    return found


def _add(content: Content, table: Table, row: _Row) -> None:
    *values, extra = row  # `extra` is the last column of each
    meaning = json.loads(extra, parse_float=Decimal) if isinstance(extra, str) else None
    among = tuple(values[:2]) if table is positions else values[0] if table is asset_balances else None
    content.rows[table.name][among] = (*values, meaning)
