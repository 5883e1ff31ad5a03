"""The figures of a run: as a table for a terminal, as JSON, and as a document."""

import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from traceback import format_exception_only
from typing import Any, Final

from rich.table import Table

from tests.torture.runner import Outcome
from tests.torture.terms import Figure

_GIB: Final = 2**30
_MANY: Final = 1000

_HEAD: Final = """# Torture

Written by `python -m tests.torture --document docs/torture.md`; not by hand.

Everything that can be done to the daemon, its spool and its database is done to them here: the real program, a real
PostgreSQL with full durability, and the simulated exchange on a real socket. All chance comes from one seed, which is
printed first. A figure outside its bound, or an error, ends the run with exit code 1.

| command | what it does |
|---|---|
| `make torture` | everything, from a new seed |
| `make torture SEED=7` | from this seed; the figures also go to `var/torture-7.json` |
| `.venv/bin/python -m tests.torture --seed 7 --only crashes shutdown` | only these |
| `.venv/bin/python -m tests.torture --short` | the versions that `make test` runs, at most half a minute each |
| `.venv/bin/python -m tests.torture --results var/*.json --document docs/torture.md` | this page of earlier runs |

The order of what the operating system does is nobody's to choose: an equal seed does the same things at the same
moments, which may meet the program in another state.

Each section says of which run its figures are.
"""


def verdict(figure: Figure) -> str:
    """Return whether a figure keeps its bound, in one word."""
    if not figure.bound:
        return ""
    return "ok" if figure.holds else "BREACH"


def number(value: float) -> str:
    """Return a value with the digits that matter."""
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= _MANY else f"{value:.3g}"


def line(figure: Figure) -> str:
    """Return a figure in one line."""
    bound = f"  ({figure.bound})  {verdict(figure)}" if figure.bound else ""
    return f"{figure.name}: {number(figure.value)}{bound}"


def table(outcomes: Sequence[Outcome]) -> Table:
    """Return all figures, for a terminal."""
    shown = Table("scenario", "figure", "value", "bound", "", title=None)
    shown.columns[2].justify = "right"
    for outcome in outcomes:
        for name, value, bound, word in rows(outcome):
            style = "bold red" if word in {"BREACH", "ERROR"} else None
            shown.add_row(outcome.scenario.key, name, value, bound, word, style=style)
        shown.add_section()
    return shown


def rows(outcome: Outcome) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, value, bound and verdict of each figure, and of the error that ended the scenario."""
    for figure in outcome.figures:
        yield figure.name, number(figure.value), figure.bound, verdict(figure)
    if outcome.error is not None:
        yield textwrap.shorten(reason(outcome.error), 300), "", "", "ERROR"
    elif not outcome.figures:
        yield "it told no figure", "", "", "ERROR"


def reason(error: BaseException) -> str:
    """Return an error in one line, with those that it groups."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(reason, error.exceptions))
    return " ".join("".join(format_exception_only(error)).split())


def results(outcomes: Sequence[Outcome], *, seed: int, short: bool) -> dict[str, Any]:
    """Return the same for programs: what JSON can hold."""
    return {
        "seed": seed,
        "short": short,
        "holds": all(outcome.holds for outcome in outcomes),
        "cores": os.cpu_count(),
        "memory_gib": round(_memory_bytes() / _GIB),
        "scenarios": [
            {
                "scenario": outcome.scenario.key,
                "name": outcome.scenario.name,
                "seconds": round(outcome.seconds, 1),
                "error": reason(outcome.error) if outcome.error else None,
                "figures": [
                    {"name": figure.name, "value": figure.value, "bound": figure.bound, "holds": figure.holds}
                    for figure in outcome.figures
                ],
            }
            for outcome in outcomes
        ],
    }


def document(runs: Iterable[Mapping[str, Any]], stories: Mapping[str, str]) -> str:
    """Return the results of runs for readers, with what each scenario does; of several runs the last one counts."""
    last = {found["scenario"]: (run, found) for run in runs for found in run["scenarios"]}
    sections = [_section(story, *last[key]) for key, story in stories.items() if key in last]
    return "\n".join([_HEAD, *sections])


def write(path: Path, text: str) -> None:
    """Write a file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _section(story: str, run: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    length = "The short version" if run["short"] else "The whole length"
    origin = (
        f"{length} from seed {run['seed']}, {found['seconds']:,.0f} s on {run['cores']} cores and "
        f"{run['memory_gib']} GiB of memory:"
    )
    figures = [Figure(name=each["name"], value=each["value"], bound=each["bound"]) for each in found["figures"]]
    lines = [f"| {each.name} | {number(each.value)} | {each.bound} | {verdict(each)} |" for each in figures]
    if found["error"]:
        lines.append(f"| {textwrap.shorten(found['error'], 300)} | | | ERROR |")
    table_of_figures = "\n".join(["| figure | value | bound | |", "|---|---:|---|---|", *lines])
    return "\n\n".join([f"## {found['scenario']}", story.strip(), origin, table_of_figures]) + "\n"


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
