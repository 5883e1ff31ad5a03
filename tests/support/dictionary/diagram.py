"""The tables, their keys and what belongs together, in Mermaid, which GitHub draws."""

from collections.abc import Iterator, Sequence

from tests.support.dictionary.catalog import Column, Relation, Schema
from tests.support.dictionary.groups import Group, Joined, NoPlaceError, group_of, relations_of


def entity_diagram(schema: Schema, *groups: Group) -> str:
    """Return the lines of an `erDiagram` of the tables of some groups and what they belong to, with what joins them.

    Raises NoPlaceError when a table of the history or of the rollups belongs to nothing.
    """
    joined = [pair for pair in relations_of(schema) if _group(schema, pair.right) in groups]
    drawn = {name for pair in joined for name in (pair.left, pair.right)}
    for relation in schema.relations:
        if relation.name not in drawn and _is_to_be_joined(relation) and group_of(relation) in groups:
            raise NoPlaceError(
                f"table poller.{relation.name} belongs to nothing: list what it is joined to among RELATIONS in "
                "tests/support/dictionary/groups.py"
            )
    lines = [line for relation in schema.relations if relation.name in drawn for line in _entity(relation, joined)]
    lines += [f'{left} {kind} {right} : "{by}"' for left, kind, right, by in joined]
    return "\n".join(f"    {line}" for line in lines)


def _group(schema: Schema, name: str) -> Group:
    return next(group_of(relation) for relation in schema.relations if relation.name == name)


def _is_to_be_joined(relation: Relation) -> bool:
    return not relation.is_view and group_of(relation) in {Group.HISTORY, Group.ROLLUPS}


def _entity(relation: Relation, joined: Sequence[Joined]) -> Iterator[str]:
    joining = {column for pair in joined if relation.name in {pair.left, pair.right} for column in pair.by.split(", ")}
    yield f"{relation.name} {{"
    for column in relation.columns:
        if column.name in joining or column.name in relation.primary_key:
            yield f"    {column.type} {column.name} {_marks(relation, column)}".rstrip()
    yield "}"


def _marks(relation: Relation, column: Column) -> str:
    refers = any(column.name in key.columns for key in relation.foreign_keys)
    return ", ".join(("PK",) * (column.name in relation.primary_key) + ("FK",) * refers)
