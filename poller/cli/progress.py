"""How far a long command is: a bar in a terminal, a plain line now and then elsewhere; always on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_LINE_SECONDS: Final = 5.0


Advance = Callable[[int, int], None]
"""Told how many of how many are done."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.0f}/s")


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """Show progress as long as the context lasts."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console, title)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(console: Console, title: str) -> Advance:
    began = shown = monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal shown
        now = monotonic()
        if now - shown >= _LINE_SECONDS or done == total:
            shown = now
            rate = done / max(now - began, 0.001)
            left = f", {(total - done) / rate:.0f} s left" if rate and done < total else ""
            console.print(f"{title}: {done} of {total}, {rate:.0f}/s{left}", highlight=False, soft_wrap=True)

    return advance
