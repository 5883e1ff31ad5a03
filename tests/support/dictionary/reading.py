"""Reads schema `poller` out of a database, in an order that never varies.

Partitions, TimescaleDB's own objects and definitions are left out: what is read is the same on every tier.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import dict_row

from tests.support.dictionary.catalog import Column, Function, Index, Key, Relation, Schema

_RELATIONS: Final = """
SELECT oid AS owner, relname AS name, relkind IN ('v', 'm') AS is_view, obj_description(oid, 'pg_class') AS comment
FROM pg_class
WHERE relnamespace = 'poller'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition
"""

_COLUMNS: Final = """
SELECT attrelid AS owner, attname AS name, format_type(atttypid, atttypmod) AS type, NOT attnotnull AS nullable,
    col_description(attrelid, attnum) AS comment
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'poller'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'c')
    AND attnum > 0 AND NOT attisdropped
ORDER BY attrelid, attnum
"""

_KEYS: Final = """
SELECT conrelid AS owner, conname AS name, contype::text AS kind, refers.relname AS refers_to,
    ARRAY(
        SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS key(number, place)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number
        ORDER BY place
    ) AS columns,
    ARRAY(
        SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS key(number, place)
        JOIN pg_attribute ON attrelid = confrelid AND attnum = number
        ORDER BY place
    ) AS referred
FROM pg_constraint LEFT JOIN pg_class AS refers ON refers.oid = confrelid
WHERE connamespace = 'poller'::regnamespace AND contype IN ('p', 'u', 'f')
"""

_INDEXES: Final = """
SELECT indrelid AS owner, relname AS name, indisunique AS "unique", pg_get_expr(indpred, indrelid, true) AS condition,
    ARRAY(SELECT pg_get_indexdef(indexrelid, n, true) FROM generate_series(1, indnkeyatts) AS n) AS columns
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = 'poller'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
"""

_SOURCES: Final = """
SELECT DISTINCT ev_class AS owner, relname AS name
FROM pg_rewrite
JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid AND refclassid = 'pg_class'::regclass
JOIN pg_class ON pg_class.oid = refobjid
WHERE relnamespace = 'poller'::regnamespace AND refobjid <> ev_class
"""

_FUNCTIONS: Final = """
SELECT pg_proc.oid AS owner, proname AS name, typrelid AS row, obj_description(pg_proc.oid, 'pg_proc') AS comment,
    CASE WHEN proretset THEN 'setof ' ELSE '' END || format_type(prorettype, NULL) AS returns
FROM pg_proc JOIN pg_type ON pg_type.oid = prorettype
WHERE pronamespace = 'poller'::regnamespace
"""

_ARGUMENTS: Final = """
SELECT pg_proc.oid AS owner, coalesce(proargmodes[place], 'i') AS mode,
    coalesce(nullif(proargnames[place], ''), '$' || place) AS name, format_type(type, NULL) AS type,
    pg_get_function_arg_default(pg_proc.oid, place::integer) AS "default"
FROM pg_proc
CROSS JOIN LATERAL unnest(coalesce(proallargtypes, proargtypes::oid[])) WITH ORDINALITY AS argument(type, place)
WHERE pronamespace = 'poller'::regnamespace
ORDER BY pg_proc.oid, place
"""

_GIVEN: Final = ("i", "b", "v")
_RETURNED: Final = ("o", "b", "t")

_Row = Mapping[str, Any]
_ByOwner = Mapping[int, Sequence[_Row]]


def read_schema(url: str) -> Schema:
    """Return what a database says of schema `poller`."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        connection.execute("SET search_path = pg_catalog")

        def rows(query: LiteralString) -> list[_Row]:
            return [*connection.execute(query)]

        columns = _by_owner(rows(_COLUMNS))
        keys, indexes, sources = (_by_owner(rows(query)) for query in (_KEYS, _INDEXES, _SOURCES))
        arguments = _by_owner(rows(_ARGUMENTS))
        relations = [_relation(row, columns, keys, indexes, sources) for row in rows(_RELATIONS)]
        functions = [_function(row, columns, arguments) for row in rows(_FUNCTIONS)]
    return Schema(
        relations=tuple(sorted(relations, key=lambda relation: relation.name)),
        functions=tuple(sorted(functions, key=lambda function: (function.name, repr(function.arguments)))),
    )


def _by_owner(rows: Sequence[_Row]) -> _ByOwner:
    owned = defaultdict(list)
    for row in rows:
        owned[row["owner"]].append({name: value for name, value in row.items() if name != "owner"})
    return owned


def _relation(row: _Row, columns: _ByOwner, keys: _ByOwner, indexes: _ByOwner, sources: _ByOwner) -> Relation:
    owner = row["owner"]
    return Relation(
        name=row["name"],
        is_view=row["is_view"],
        comment=row["comment"],
        columns=tuple(_column(column) for column in columns.get(owner, ())),
        keys=tuple(sorted((Key(**_frozen(key)) for key in keys.get(owner, ())), key=lambda key: key.name)),
        indexes=tuple(sorted((Index(**_frozen(index)) for index in indexes.get(owner, ())), key=lambda one: one.name)),
        sources=tuple(sorted(source["name"] for source in sources.get(owner, ()))),
    )


def _function(row: _Row, columns: _ByOwner, arguments: _ByOwner) -> Function:
    given = arguments.get(row["owner"], ())
    said, meanings = _explained(row["comment"] or "", {argument["name"] for argument in given})

    def with_mode(*modes: str) -> tuple[Column, ...]:
        return tuple(
            Column(
                name=argument["name"],
                type=_short(argument["type"]),
                default=argument["default"],
                comment=meanings.get(argument["name"]),
            )
            for argument in given
            if argument["mode"] in modes
        )

    of_row = tuple(_column(column) for column in columns.get(row["row"], ()))
    return Function(
        name=row["name"],
        comment=said or None,
        arguments=with_mode(*_GIVEN),
        returns=_short(row["returns"]),
        columns=with_mode(*_RETURNED) or of_row,
    )


def _explained(comment: str, names: AbstractSet[str]) -> tuple[str, Mapping[str, str]]:
    """Split a function's comment into what it says of the function and of what has one of the names.

    PostgreSQL keeps no comments for arguments and result columns: each has a line `name: what it is` instead.
    """
    lines = [(line, line.strip().partition(": ")) for line in comment.splitlines()]
    meanings = {name: meaning for _, (name, _, meaning) in lines if name in names and meaning}
    return " ".join(line.strip() for line, (name, _, _) in lines if name not in meanings), meanings


def _column(row: _Row) -> Column:
    return Column(name=row["name"], type=_short(row["type"]), nullable=row["nullable"], comment=row["comment"])


def _frozen(row: _Row) -> dict[str, Any]:
    return {
        name: tuple(part.strip('"') for part in value) if isinstance(value, list) else value
        for name, value in row.items()
    }


def _short(of_type: str) -> str:
    return of_type.replace("timestamp with time zone", "timestamptz")
