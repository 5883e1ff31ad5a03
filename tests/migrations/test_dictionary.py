"""What is said of the schema: comments that explain everything, and a document that repeats them."""

import re
from collections.abc import Iterator

import pytest

from tests.support.database import execute
from tests.support.dictionary.__main__ import DOCUMENT
from tests.support.dictionary.catalog import Column, Function, Relation, Schema
from tests.support.dictionary.document import document
from tests.support.dictionary.groups import Group, NoPlaceError, group_of
from tests.support.dictionary.reading import read_schema

UNIT = re.compile(
    r"[Ii]n units of (?:the )?([^:;.,]+)|[Ii]n contracts|A (?:multiple|ratio|share)|_ratio|not state its unit"
)
IN_LINES = "PostgreSQL keeps none: the function's comment has a line `name: what it is` for each"


@pytest.fixture(name="schema")
def _schema(plain_database_url: str) -> Schema:
    """What the newest revision says of itself; the document holds it, and is the same on each kind of server."""
    return read_schema(plain_database_url)


def amounts(columns: tuple[Column, ...]) -> Iterator[Column]:
    """Yield the columns whose numbers are nothing without a unit."""
    return (column for column in columns if column.type.startswith(("numeric", "double precision", "real")))


def tells_its_origin(schema: Schema, entry: Relation | Function, column: Column) -> bool:
    """Whether a comment names a field of the exchange or, of what is derived, what it is derived from."""
    said = UNIT.sub("", column.comment or "")
    if re.search(r"Binance: \w+", said):
        return True
    names = {relation.name for relation in schema.relations}
    names |= {known.name for relation in schema.relations for known in relation.columns}
    derived = bool((names - {column.name}) & set(re.findall(r"\w+", said)))
    return derived and group_of(entry) not in {Group.HISTORY, Group.MEANING}


def test_the_document_is_what_the_database_says_on_each_kind_of_server(database_url: str) -> None:
    said = document(read_schema(database_url))

    assert DOCUMENT.read_text(encoding="utf-8") == said, "docs/schema.md is not current: run `make schema-docs`"


def test_every_table_view_column_and_function_has_a_comment(schema: Schema) -> None:
    bare = [entry.name for entry in schema.entries if not entry.comment]
    bare += [
        f"{relation.name}.{column.name}"
        for relation in schema.relations
        for column in relation.columns
        if not column.comment
    ]

    assert bare == [], "\n".join(bare)


def test_every_argument_and_result_of_a_function_for_people_has_a_comment(schema: Schema) -> None:
    bare = [
        f"{function.name}.{column.name}"
        for function in schema.functions
        if group_of(function) != Group.DAEMON
        for column in (*function.arguments, *function.columns)
        if not column.comment
    ]

    assert bare == [], "\n".join((IN_LINES, *bare))


def test_every_amount_says_its_unit(schema: Schema) -> None:
    unitless = [
        f"{entry.name}.{column.name}: {column.comment}"
        for entry in schema.entries
        for column in amounts(entry.columns)
        if not UNIT.search(column.comment or "")
    ]

    assert unitless == [], "\n".join(unitless)


def test_every_amount_says_where_it_comes_from(schema: Schema) -> None:
    unfounded = [
        f"{entry.name}.{column.name}: {column.comment}"
        for entry in schema.entries
        for column in amounts(entry.columns)
        if not tells_its_origin(schema, entry, column)
    ]

    assert unfounded == [], "\n".join(unfounded)


def test_a_table_that_no_list_knows_is_refused_with_the_place_to_list_it(plain_database_url: str) -> None:
    execute(plain_database_url, "CREATE TABLE poller.surprise (id integer)")

    with pytest.raises(NoPlaceError, match=r"poller\.surprise .* _TABLES in tests/support/dictionary/groups\.py"):
        document(read_schema(plain_database_url))


def test_a_table_of_the_history_that_belongs_to_nothing_is_refused(plain_database_url: str) -> None:
    execute(
        plain_database_url,
        "CREATE TABLE poller.surprise (time timestamptz, account text, market text)",
    )

    with pytest.raises(NoPlaceError, match=r"poller\.surprise .* RELATIONS in tests/support/dictionary/groups\.py"):
        document(read_schema(plain_database_url))


def test_a_relation_of_a_table_that_is_gone_is_refused(plain_database_url: str) -> None:
    execute(plain_database_url, "DROP TABLE poller.raw_payloads")

    with pytest.raises(NoPlaceError, match=r"poller\.raw_payloads: correct RELATIONS"):
        document(read_schema(plain_database_url))


def test_rows_that_no_key_keeps_apart_are_told_apart_by_what_the_writer_keeps_apart(plain_database_url: str) -> None:
    execute(plain_database_url, "ALTER TABLE poller.asset_balances DROP CONSTRAINT IF EXISTS pk_asset_balances")

    said = document(read_schema(plain_database_url))

    assert "- Told apart, without a key, by: `time`, `account`, `market`, `asset`" in said
    assert "        text market\n        text asset\n    }" in said


def test_rollups_and_chart_functions_find_their_places(plain_database_url: str) -> None:
    execute(
        plain_database_url,
        """
        CREATE TABLE poller.hourly_surprises (
            hour timestamptz, account text REFERENCES poller.accounts, market text, stored integer,
            UNIQUE NULLS NOT DISTINCT (account, market, hour)
        );
        CREATE VIEW poller.daily_surprises AS SELECT account, stored FROM poller.hourly_surprises;
        CREATE FUNCTION poller.chart_surprises("from" timestamptz, step interval DEFAULT '1 hour')
        RETURNS TABLE ("time" timestamptz, stored bigint)
        LANGUAGE sql RETURN (SELECT ROW("from", 1)::record);
        COMMENT ON FUNCTION poller.chart_surprises IS 'Ticks of each step, a|b.
            step: Length of a step.
            stored: How many.';
        """,
    )

    said = document(read_schema(plain_database_url))

    assert "        text account UK, FK\n        text market UK\n    }" in said
    assert 'accounts ||--o{ hourly_surprises : "account"' in said
    assert "accounts ||..o{ hourly_surprises" not in said
    assert "chart_surprises(from timestamptz, step interval DEFAULT '01:00:00')` returns rows." in said
    assert "| `step`   | Length of a step. |" in said
    assert "| `stored` | bigint      | How many. |" in said
    assert "Ticks of each step, a\\|b." in said
