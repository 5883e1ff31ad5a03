"""The times and plans as Markdown."""

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from benchmarks.history.speed import Answer, Loaded

_TEXT: Final = """# How fast a year answers

Written by `make -C benchmarks history`; not by hand. {since:%Y-%m-%d} to {until:%Y-%m-%d}, a poll every {interval} s:
one account with {positions} positions for the whole time, a retired one, a new one, {accounts} accounts in all.
{size} on {server} with the settings of the embedded server, {cores} cores, {today:%Y-%m-%d}.

| table | rows |
|---|---|
{rows}

## Times

| question | rows | ms | at most |
|---|---|---|---|
{times}

Each is the median of nine warm runs over one connection, from sending to the last row; statements are not prepared, so
planning is in it.
{others}
## Plans

Those of the statements within functions come before that of the question. Partitions that were never looked at are
left out.

{plans}
"""


_OTHER: Final = """
The same in {size} of {accounts} accounts, {rows:,} rows from {since:%Y-%m-%d} to {until:%Y-%m-%d}. The latest state is
that of all, a chart that of one; 30 days of it are to take 100 ms at most.

| question | rows | ms |
|---|---|---|
{times}
"""


def document(loaded: Loaded, answers: Sequence[Answer], others: Iterable[tuple[Loaded, Sequence[Answer]]] = ()) -> str:
    """Return the text of docs/speed.md, with the times of other histories."""
    return _TEXT.format(
        since=loaded.since,
        until=loaded.until,
        interval=loaded.interval_seconds,
        positions=loaded.positions,
        accounts=loaded.accounts,
        size=loaded.size,
        server=loaded.server,
        cores=os.cpu_count(),
        today=datetime.now(UTC),
        rows="\n".join(f"| `{table}` | {count:,} |" for table, count in loaded.rows),
        times="\n".join(map(_time, answers)),
        others="".join(_other(*other) for other in others),
        plans="\n\n".join("\n".join(_plan(answer)) for answer in answers),
    )


def _other(loaded: Loaded, answers: Iterable[Answer]) -> str:
    return _OTHER.format(
        since=loaded.since,
        until=loaded.until,
        accounts=loaded.accounts,
        size=loaded.size,
        rows=sum(count for _, count in loaded.rows),
        times="\n".join(
            f"| {answer.question.name} | {answer.rows} | {answer.milliseconds:.1f} |" for answer in answers
        ),
    )


def _time(answer: Answer) -> str:
    limit = "" if answer.question.limit_ms is None else f"{answer.question.limit_ms:g}"
    return f"| {answer.question.name} | {answer.rows} | {answer.milliseconds:.1f} | {limit} |"


def _plan(answer: Answer) -> Iterator[str]:
    yield f"### {answer.question.name[0].upper()}{answer.question.name[1:]}"
    yield ""
    yield "```"
    for place, plan in enumerate(answer.plans):
        if place:
            yield ""
        yield from plan
    yield "```"


def comparison(pairs: Iterable[Sequence[Answer]]) -> str:
    """Return the rows of a table: the times of two databases, and how many times as long the latter takes."""
    return "\n".join(
        f"| {one.question.name} | {one.milliseconds:.1f} | {other.milliseconds:.1f} "
        f"| {other.milliseconds / one.milliseconds:.2f} |"
        for one, other in pairs
    )
