"""The tables, their keys and what belongs together, in Mermaid, which GitHub draws."""

from collections.abc import Iterator, Sequence
from typing import Final

from tests.support.dictionary.catalog import Relation, Schema
from tests.support.dictionary.groups import Group, Joined, NoPlaceError, group_of, relations_of, told_apart

_MARKS: Final = {"PK": "p", "UK": "u", "FK": "f"}


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
    joining |= {*told_apart(relation)}
    keys = {kind: [key for key in relation.keys if key.kind == kind] for kind in _MARKS.values()}
    yield f"{relation.name} {{"
    for column in relation.columns:
        marks = [mark for mark, kind in _MARKS.items() if any(column.name in key.columns for key in keys[kind])]
        if marks or column.name in joining:
            yield f"    {column.type} {column.name} {', '.join(marks)}".rstrip()
    yield "}"
