"""Asks every question several times and takes down the time and the plan."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from time import perf_counter
from typing import Final

import psycopg
from psycopg.sql import SQL

from benchmarks.history.questions import QUESTIONS, Question

_WARMING: Final = 3
_RUNS: Final = 9
_NEVER: Final = re.compile(r"\(never executed\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a question.

    Attributes:
        milliseconds: Median of the warm runs, from sending to the last row.
        plan: Without the partitions that were not looked at.
    """

    question: Question
    rows: int
    milliseconds: float
    plan: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was asked: the numbers of rows by table, the end of the history and the server."""

    rows: Sequence[tuple[str, int]]
    accounts: int
    interval_seconds: int
    positions: int
    since: datetime
    until: datetime
    server: str
    size: str


def ask(url: str) -> tuple[Loaded, Sequence[Answer]]:
    """Ask every question of a loaded database, over one connection and unprepared: each run pays for its planning."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        loaded = _loaded(connection)
        return loaded, [_ask(connection, question, loaded.until) for question in QUESTIONS]


def _ask(connection: psycopg.Connection, question: Question, until: datetime) -> Answer:
    parameters = {"until": until, "span": question.span, "step": question.step}
    times = []
    rows = 0
    for _ in range(_WARMING + _RUNS):
        began = perf_counter()
        rows = len(connection.execute(question.sql, parameters).fetchall())
        times.append((perf_counter() - began) * 1000)
    explain = SQL("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) ") + SQL(question.sql)
    plan = [str(line) for (line,) in connection.execute(explain, parameters)]
    return Answer(
        question=question, rows=rows, milliseconds=median(times[_WARMING:]), plan=list(_without_idle_parts(plan))
    )


def _without_idle_parts(plan: Sequence[str]) -> Iterator[str]:
    """Leave out every node that was never executed, with all that is below it."""
    hidden_below: int | None = None
    for line in plan:
        depth = len(line) - len(line.lstrip())
        if hidden_below is not None and depth > hidden_below:
            continue
        hidden_below = depth if _NEVER.search(line) else None
        if hidden_below is None:
            yield line


def _loaded(connection: psycopg.Connection) -> Loaded:
    settings = connection.execute("SELECT interval_seconds, positions, since, until FROM history.settings").fetchone()
    rows = connection.execute(
        """
        SELECT parent.relname, sum(part.reltuples)::bigint
        FROM pg_class AS parent
        JOIN pg_inherits ON inhparent = parent.oid
        JOIN pg_class AS part ON part.oid = inhrelid
        WHERE parent.relnamespace = 'poller'::regnamespace AND parent.relkind IN ('p', 'r') AND part.reltuples > 0
        GROUP BY parent.relname
        ORDER BY parent.relname
        """
    ).fetchall()
    told = connection.execute(
        """
        SELECT (SELECT count(*) FROM history.accounts), version(), pg_size_pretty(pg_database_size(current_database()))
        """
    ).fetchone()
    assert settings
    assert told
    return Loaded(
        rows=[(str(table), int(count)) for table, count in rows],
        accounts=int(told[0]),
        interval_seconds=int(settings[0]),
        positions=int(settings[1]),
        since=settings[2],
        until=settings[3],
        server=str(told[1]).split(" on ")[0],
        size=str(told[2]),
    )
