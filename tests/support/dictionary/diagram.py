"""The tables, their keys and what belongs together, in Mermaid, which GitHub draws."""

from collections.abc import Iterator

from tests.support.dictionary.catalog import Column, Relation, Schema
from tests.support.dictionary.groups import Group, group_of, relations_of


def entity_diagram(schema: Schema) -> str:
    """Return an `erDiagram` of all tables but the daemon's own; of their columns only those of keys."""
    drawn = [relation for relation in schema.relations if not relation.is_view and group_of(relation) != Group.DAEMON]
    lines = [line for relation in drawn for line in _entity(relation)]
    lines += [f'{left} {kind} {right} : "{by}"' for left, kind, right, by in relations_of(schema)]
    lines += [
        f'{key.refers_to} ||--o{{ {relation.name} : "{", ".join(key.columns)}"'
        for relation in drawn
        for key in relation.foreign_keys
    ]
    return "\n".join(("erDiagram", *(f"    {line}" for line in lines)))


def _entity(relation: Relation) -> Iterator[str]:
    yield f"{relation.name} {{"
    for column in relation.columns:
        if marks := _marks(relation, column):
            yield f"    {column.type} {column.name} {marks}"
    yield "}"


def _marks(relation: Relation, column: Column) -> str:
    refers = any(column.name in key.columns for key in relation.foreign_keys)
    return ", ".join(("PK",) * (column.name in relation.primary_key) + ("FK",) * refers)
