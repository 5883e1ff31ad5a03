"""The dictionary as Markdown that is read on GitHub and in a terminal alike."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from tests.support.dictionary.catalog import Column, Function, Index, Key, Relation, Schema
from tests.support.dictionary.diagram import entity_diagram
from tests.support.dictionary.groups import TEXTS, Group, group_of, told_apart

_HEAD: Final = """# The schema

Everything in schema `poller`, from the comments in the database: `\\d+ poller.positions` and `\\df+ poller.*` in psql
show the same. Written by `make schema-docs`, not by hand.

- `time` is the scheduled instant of a poll in exchange time. Rows of different tables, accounts and markets that have
  the same `time` belong to the same instant.
- Amounts are exact decimals (`numeric`), and each says its unit. Never add amounts of different units.
- *Binance: walletBalance* names the field of the exchange's reply from which a column comes.
- An asset or position without a row at the time of an `ok` poll was zero. A time without an `ok` poll is unknown:
  `poll_gaps` says why.
"""

_DIAGRAM: Final = """## What belongs together

The columns are those of the keys. A solid line is a foreign key; a broken one joins by the columns that it names, which
the statement that stores a poll keeps together ([why](decisions/0006-no-foreign-keys-between-history-tables.md)).
The testnet has contracts of its own: `contracts` is joined by the environment of the account, too.
"""


def document(schema: Schema) -> str:
    """Return the whole document; raises NoPlaceError when something is in no group."""
    members = {group: [entry for entry in schema.entries if group_of(entry) == group] for group in Group}
    parts = [_HEAD, *(_contents(group, entries) for group, entries in members.items() if entries)]
    parts += [_DIAGRAM, _drawn(schema, "LR", Group.HISTORY, Group.MEANING)]
    for group, entries in members.items():
        if entries:
            parts.append(f"## {group.value}\n\n{_paragraph(TEXTS[group])}\n")
            if group == Group.ROLLUPS:
                parts.append(_drawn(schema, "TB", group))
            parts += map(_section, entries)
    return "\n".join(parts)


def _drawn(schema: Schema, direction: str, *groups: Group) -> str:
    return f"```mermaid\nerDiagram\n    direction {direction}\n{entity_diagram(schema, *groups)}\n```\n"


def _contents(group: Group, entries: Sequence[Relation | Function]) -> str:
    rows = [(f"[{entry.name}](#{entry.name})", _escaped(_first_sentence(entry.comment))) for entry in entries]
    return f"**{group.value}**\n\n{_table(('', ''), rows)}\n"


def _section(entry: Relation | Function) -> str:
    body = _of_function(entry) if isinstance(entry, Function) else _of_relation(entry)
    return "\n\n".join((f"### {entry.name}", _paragraph(_escaped(entry.comment or "")), *body)) + "\n"


def _of_relation(relation: Relation) -> Iterator[str]:
    if relation.is_view:
        yield _typed(relation.columns)
        yield _bullet("Made from", ", ".join(f"[{source}](#{source})" for source in relation.sources))
        return
    yield _table(
        ("column", "type", "null", "meaning"),
        [
            (f"`{column.name}`", column.type, "yes" if column.nullable else "no", _meaning(column))
            for column in relation.columns
        ],
    )
    facts = [*map(_key, relation.keys), *map(_index, relation.indexes)]
    if columns := told_apart(relation):
        facts.insert(0, _bullet("Told apart, without a key, by", _codes(columns)))
    if facts:
        yield "\n".join(facts)


def _of_function(function: Function) -> Iterator[str]:
    arguments = ", ".join(map(_argument, function.arguments))
    returns = "rows" if function.columns else f"`{function.returns}`"
    yield f"`{function.name}({arguments})` returns {returns}."
    if any(argument.comment for argument in function.arguments):
        yield _table(("argument", "meaning"), [(f"`{one.name}`", _meaning(one)) for one in function.arguments])
    if function.columns:
        yield _typed(function.columns)


def _key(key: Key) -> str:
    match key.kind:
        case "p":
            return _bullet("Primary key", _codes(key.columns))
        case "u":
            return _bullet("Unique", _codes(key.columns))
        case _:
            referred = _codes(f"{key.refers_to}.{column}" for column in key.referred)
            return _bullet("Foreign key", f"{_codes(key.columns)} → {referred}")


def _index(index: Index) -> str:
    condition = f" where `{index.condition}`" if index.condition else ""
    return _bullet("Unique index" if index.unique else "Index", _codes(index.columns) + condition)


def _argument(argument: Column) -> str:
    default = f" DEFAULT {argument.default.partition('::')[0]}" if argument.default else ""
    return f"{argument.name} {argument.type}{default}"


def _typed(columns: Sequence[Column]) -> str:
    rows = [(f"`{column.name}`", column.type, _meaning(column)) for column in columns]
    return _table(("column", "type", "meaning"), rows)


def _meaning(column: Column) -> str:
    return _escaped(column.comment or "")


def _bullet(name: str, text: str) -> str:
    return f"- {name}: {text}"


def _codes(names: Sequence[str] | Iterator[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _first_sentence(text: str | None) -> str:
    return re.split(r"(?<=[.])\s|: |; ", text or "", maxsplit=1)[0].rstrip(".") + "."


def _paragraph(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _escaped(text: str) -> str:
    """Return words as they are, without what Markdown would take for a column, a tag or an emphasis."""
    return re.sub(r"[\\|<]|\*(?! )", r"\\\g<0>", " ".join(text.split()))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns are aligned, except the last: its texts are long."""
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)][:-1]
    lines = [head, [*("-" * width for width in widths), "---"], *rows]
    return "\n".join("| " + " | ".join((*map(str.ljust, line, widths), line[-1])).rstrip() + " |" for line in lines)
