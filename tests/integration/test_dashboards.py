"""Every query of every dashboard, on each kind of database: what Grafana gets is what its panels can show."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.support.database import execute
from tests.support.grafana.dashboards import FILES, Query, answer, everything, queries
from tests.support.grafana.macros import expand
from tests.support.history.listing import BEGIN, END
from tests.support.plans import PREFER_INDEXES
from tests.support.roles import Roles

A_DAY: Final = (BEGIN + timedelta(days=1, minutes=3), BEGIN + timedelta(days=2, minutes=3))
A_YEAR: Final = (END - timedelta(days=365), END)
A_DECADE: Final = (END - timedelta(days=3653), END)
NUMBERS: Final = frozenset((20, 21, 23, 700, 701, 1700))
TEXTS: Final = frozenset((25, 1043))
TIME: Final = 1184
BOOLEAN: Final = 16

QUOTED: Final = "o'brien's"

# What the statements of this transaction, those within functions included, read of the history: how often a partition
# or chunk from end to end, and how many rows.
_READ: Final = """
SELECT coalesce(sum(seq_scan), 0)::integer, coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::integer
FROM pg_stat_xact_user_tables AS part
WHERE EXISTS (
    SELECT FROM pg_inherits
    WHERE inhrelid = part.relid AND inhparent = ANY (ARRAY[
        'poller.polls', 'poller.account_totals', 'poller.asset_balances', 'poller.positions'
    ]::regclass[])
)
"""


_HELD: Final = """
SELECT count(*) FILTER (WHERE history = 'polls'), count(*) FILTER (WHERE time >= %s)
FROM (
    SELECT 'polls' AS history, time FROM poller.polls
    UNION ALL SELECT 'account_totals', time FROM poller.account_totals
    UNION ALL SELECT 'asset_balances', time FROM poller.asset_balances
    UNION ALL SELECT 'positions', time FROM poller.positions
) AS held
"""


def asked(
    connection: psycopg.Connection,
    query: Query,
    since: datetime,
    until: datetime,
    variables: Mapping[str, Sequence[str]],
) -> Iterator[tuple[list[tuple[str, int]], list[tuple[Any, ...]]]]:
    for request in query.request(since, until, variables):
        yield answer(connection, expand(query.sql, request))


def shows(query: Query, columns: list[tuple[str, int]], rows: list[tuple[Any, ...]]) -> None:
    """Check what a query answers against what its kind of panel can show."""
    types = dict(columns)
    assert len(types) == len(columns), "columns of one name"
    if query.kind == "variable":
        assert [kind in TEXTS for _, kind in columns] == [True]
        assert len({row[0] for row in rows} - {None}) == len(rows)
    elif query.kind == "annotation":
        assert types["time"] == TIME
        assert types.get("timeend", TIME) == TIME
        assert {types["text"], types["tags"]} <= TEXTS
        assert all(None not in row for row in rows)
    elif query.form == "table":
        assert set(types.values()) <= NUMBERS | TEXTS | {TIME, BOOLEAN}
    else:
        shows_series(columns, rows)


def shows_series(columns: list[tuple[str, int]], rows: list[tuple[Any, ...]]) -> None:
    assert columns[0] == ("time", TIME)
    labels = [place for place, (_, kind) in enumerate(columns) if kind in TEXTS]
    values = [place for place, (_, kind) in enumerate(columns) if kind in NUMBERS]
    assert values
    assert len(labels) + len(values) + 1 == len(columns)
    times = [row[0] for row in rows]
    assert times == sorted(times)
    points = Counter(tuple(row[place] for place in labels) for row in rows)
    assert all(None not in series for series in points)
    assert max(points.values(), default=0) <= 2000
    assert len({(row[0], *(row[place] for place in labels)) for row in rows}) == len(rows), "two values at once"


def check(query: Query, columns: list[tuple[str, int]], rows: list[tuple[Any, ...]]) -> int:
    """Check an answer, and return its length."""
    try:
        shows(query, columns, rows)
    except AssertionError as error:
        error.add_note(query.where)
        raise
    return len(rows)


@pytest.mark.parametrize("dashboard", FILES)
def test_every_query_answers_what_its_panel_can_show(history_url: str, dashboard: str) -> None:
    variables = everything(history_url)
    with psycopg.connect(history_url, autocommit=True) as connection:
        found = {
            query.where: sum(check(query, *answer) for answer in asked(connection, query, *A_DAY, variables))
            for query in queries(dashboard)
        }

    nothing = {where for where, rows in found.items() if not rows}
    assert nothing <= {"account: annotation Mode changes", "account: Daily change in $asset"}


@pytest.mark.parametrize("dashboard", FILES)
def test_a_range_of_twelve_months_reads_a_few_rows_of_the_history_by_key(history_url: str, dashboard: str) -> None:
    [(polls, last_day)] = execute(history_url, _HELD, END - timedelta(days=1))
    variables = {**everything(history_url), "asset": ["USDT"], "margin_asset": ["USDT"]}
    too_much = {}
    for query in queries(dashboard):
        with psycopg.connect(history_url, options=PREFER_INDEXES) as connection:
            for columns, rows in asked(connection, query, *A_YEAR, variables):
                check(query, columns, rows)
            [(from_end_to_end, read)] = connection.execute(_READ).fetchall()
        most = 2 * int(str(last_day)) if "last day" in query.where else int(str(polls))
        if from_end_to_end or read > most:
            too_much[query.where] = from_end_to_end, read

    assert too_much == {}


def test_a_decade_has_no_more_points_than_a_panel_can_draw(plain_history: str) -> None:
    variables = {**everything(plain_history), "account": ["main"], "asset": ["USDT"]}
    with psycopg.connect(plain_history, autocommit=True) as connection:
        for query in queries("account"):
            for columns, rows in asked(connection, query, *A_DECADE, variables):
                check(query, columns, rows)


@pytest.fixture(name="reader_url")
def _reader_url(database_url: str) -> Iterator[str]:
    """An empty database for the role that only reads, as deploy/roles.sql makes it."""
    [[owner]] = execute(database_url, "SELECT current_user")
    made = replace(Roles.named(database_url), owner=str(owner))
    assert made.run_script().returncode == 0
    execute(database_url, SQL("ALTER ROLE {} PASSWORD 'made up'").format(Identifier(made.reader)))
    yield made.url(made.reader)
    for role in (made.writer, made.reader):
        execute(database_url, SQL("DROP OWNED BY {}").format(Identifier(role)))
        execute(database_url, SQL("DROP ROLE {}").format(Identifier(role)))


@pytest.mark.parametrize("chosen", [(), (QUOTED, "nobody")], ids=["nothing to choose", "quotes"])
def test_an_empty_database_answers_nothing_and_no_error(reader_url: str, chosen: Sequence[str]) -> None:
    variables = dict.fromkeys(("account", "market", "asset", "margin_asset", "symbol"), chosen)
    with psycopg.connect(reader_url, autocommit=True) as connection:
        for dashboard in FILES:
            for query in queries(dashboard):
                for columns, rows in asked(connection, query, *A_DAY, variables):
                    assert (query.where, check(query, columns, rows)) == (query.where, 0)


def test_a_name_with_a_quote_finds_what_is_called_so(plain_database_url: str) -> None:
    execute(plain_database_url, "INSERT INTO poller.accounts VALUES (%s, 'simulated', now())", QUOTED)
    execute(
        plain_database_url,
        "INSERT INTO poller.schedules (recorder, account, market, interval_seconds, valid_from) "
        "VALUES ('spool', %s, 'usdm', 10, now() - INTERVAL '1 hour')",
        QUOTED,
    )
    variables = {"account": [QUOTED], "market": ["usdm"], "asset": []}
    with psycopg.connect(plain_database_url, autocommit=True) as connection:
        found = {
            query.where: rows
            for query in queries("overview")
            for _, rows in asked(connection, query, *A_DAY, variables)
        }

    assert found["overview: variable account"] == [(QUOTED,)]
    assert [row[:2] for row in found["overview: Accounts, worst first"]] == [(QUOTED, "usdm")]
    assert [row[1:] for row in found["overview: Not recorded now"]] == [("not recorded", 1)]
