"""`python -m tests.torture`: runs the scenarios, prints their figures, and fails on any breach."""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from traceback import format_exception
from typing import Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.torture.report import document, line, results, table, write
from tests.torture.runner import Outcome, Scenario, Serve, durable_server, run_scenario, scenarios
from tests.torture.terms import Figure

_SEEDS: Final = 2**32


def main(arguments: Sequence[str], found: Sequence[Scenario], *, serve: Serve = durable_server) -> int:
    """Run what is asked for, and return the exit code: 1 on any breach or error."""
    asked = _arguments([scenario.key for scenario in found], arguments)
    stories = {scenario.key: scenario.story for scenario in found}
    if asked.results is not None:
        write(asked.document, document([json.loads(path.read_text("utf-8")) for path in asked.results], stories))
        return 0
    seed: int = asked.seed
    console = Console()
    console.print(f"seed {seed}")
    chosen = [scenario for scenario in found if not asked.only or scenario.key in asked.only]
    outcomes = [
        _run(scenario, console, partial(run_scenario, seed=seed, short=asked.short, serve=serve)) for scenario in chosen
    ]
    console.print(table(outcomes))
    out: Path = asked.out or Path("var") / f"torture-{seed}.json"
    run = results(outcomes, seed=seed, short=asked.short)
    write(out, json.dumps(run, indent=2, ensure_ascii=False) + "\n")
    if asked.document is not None:
        write(asked.document, document([run], stories))
    kept = all(outcome.holds for outcome in outcomes)
    console.print(f"seed {seed}: {'all bounds hold' if kept else 'NOT all bounds hold'}; written to {out}")
    return 0 if kept else 1


def _run(scenario: Scenario, console: Console, run: Callable[..., Coroutine[None, None, Outcome]]) -> Outcome:
    def tell(figure: Figure) -> None:
        console.print(f"  {line(figure)}", markup=False, highlight=False)

    console.print(f"[bold]{scenario.key}[/]: {scenario.name}")
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(scenario.key, total=None)
        outcome = asyncio.run(run(scenario, tell=tell))
    if outcome.error is not None:
        console.print("".join(format_exception(outcome.error)), style="red", markup=False, highlight=False)
    return outcome


def _arguments(keys: Sequence[str], arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(_SEEDS), help="a new one by default")  # noqa: S311 - chooses what is done, guards nothing
    parser.add_argument("--short", action="store_true", help="the versions that the tests run")
    parser.add_argument("--only", nargs="+", choices=keys, help="only these scenarios")
    parser.add_argument("--out", type=Path, help="where the figures go as JSON: var/torture-SEED.json by default")
    parser.add_argument("--document", type=Path, help="where they go as Markdown")
    parser.add_argument(
        "--results", type=Path, nargs="+", help="run nothing: write the document of these files with figures"
    )
    asked = parser.parse_args(arguments)
    if asked.results is not None and asked.document is None:
        parser.error("--results needs --document")
    return asked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], list(scenarios())))
