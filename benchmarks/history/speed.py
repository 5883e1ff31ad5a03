"""Asks every question several times and takes down the time and the plan."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile
from statistics import median
from time import perf_counter
from typing import Final, LiteralString

import psycopg
from psycopg.sql import SQL

from benchmarks.history.questions import QUESTIONS, Question

_WARMING: Final = 3
_RUNS: Final = 9
_NEVER: Final = re.compile(r"\(never executed\)")
_COSTS: Final = re.compile(r"  \(cost=\S+ rows=\d+ width=\d+\)")
_TELL: Final = (
    "log_level = notice",
    "log_nested_statements = on",
    "log_analyze = on",
    "log_buffers = on",
    "log_timing = off",
    "log_min_duration = 0",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a question.

    Attributes:
        milliseconds: Median of the warm runs, from sending to the last row.
        plans: Of the question last, of what its functions ask before; without partitions that were not looked at.
    """

    question: Question
    rows: int
    milliseconds: float
    plans: Sequence[Sequence[str]]


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
        return loaded, [answer for question in QUESTIONS for answer in _ask([connection], question, loaded.until)]


def compare(urls: Sequence[str]) -> Iterator[Sequence[Answer]]:
    """Ask every question of several databases with the same history, each run of all in turn."""
    with ExitStack() as stack:
        connections = [
            stack.enter_context(psycopg.connect(url, autocommit=True, prepare_threshold=None)) for url in urls
        ]
        until = _loaded(connections[0]).until
        for question in QUESTIONS:
            yield _ask(connections, question, until)


def _ask(connections: Sequence[psycopg.Connection], question: Question, until: datetime) -> Sequence[Answer]:
    parameters = {"until": until, "span": question.span, "step": question.step}
    times: list[list[float]] = [[] for _ in connections]
    rows = 0
    for _ in range(_WARMING + _RUNS):
        for connection, taken in zip(connections, times, strict=True):
            began = perf_counter()
            rows = len(connection.execute(question.sql, parameters).fetchall())
            taken.append((perf_counter() - began) * 1000)
    return [
        Answer(
            question=question,
            rows=rows,
            milliseconds=median(taken[_WARMING:]),
            plans=[list(_without_idle_parts(plan)) for plan in _plans(connection, question.sql, parameters)],
        )
        for connection, taken in zip(connections, times, strict=True)
    ]


def _plans(connection: psycopg.Connection, sql: LiteralString, parameters: Mapping[str, object]) -> list[list[str]]:
    """Run a statement and return its plan, after those of the statements that functions ran for it, each once."""
    told: list[str] = []
    connection.execute("LOAD 'auto_explain'")
    for setting in _TELL:
        connection.execute(SQL("SET auto_explain.") + SQL(setting))
    connection.add_notice_handler(handler := lambda notice: told.append(notice.message_primary or ""))
    connection.execute(sql, parameters).fetchall()
    connection.remove_notice_handler(handler)
    connection.execute("SET auto_explain.log_min_duration = -1")
    # Before the plan stands the text of the statement, which may be run several times; a line of a plan has its costs.
    plans: dict[str, list[str]] = {}
    for notice in told:
        lines = notice.splitlines()
        plan = list(dropwhile(lambda line: not _COSTS.search(line), lines))
        text = "\n".join(line for line in lines[1 : len(lines) - len(plan)] if not line.startswith("Query Parameters:"))
        plans.setdefault(text, [_COSTS.sub("", line) for line in plan])
    return [plan for plan in plans.values() if plan]


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
