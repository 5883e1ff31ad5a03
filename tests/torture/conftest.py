"""Runs the short version of each scenario as a test of its module, so that parallel runs spread them."""

import asyncio
import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console

from tests.torture.report import table
from tests.torture.runner import Scenario, run_scenario, scenario_of

_SEEDS: Final = (1, *(int(seed) for seed in os.environ.get("TORTURE_SEED", "").split()))
_HERE: Final = Path(__file__).parent


class ScenarioTest(pytest.Item):
    """The short version from one seed; `TORTURE_SEED` in the environment adds others."""

    def __init__(self, *, scenario: Scenario, seed: int, **given: object) -> None:
        super().__init__(**given)  # type: ignore[arg-type]  # pytest's own arguments
        self._scenario = scenario
        self._seed = seed
        self.add_marker(pytest.mark.timeout(400))  # the scenario has a limit of its own, which tells more

    def runtest(self) -> None:
        outcome = asyncio.run(run_scenario(self._scenario, seed=self._seed, short=True))
        console = Console(file=StringIO(), width=120)
        console.print(table([outcome]))
        assert isinstance(console.file, StringIO)
        print(f"seed {self._seed}\n{console.file.getvalue()}")  # noqa: T201 - shown when it fails
        if outcome.error is not None:
            raise outcome.error
        assert outcome.holds, "a bound does not hold"

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self._scenario.key} from seed {self._seed}"


class ScenarioFile(pytest.File):
    """A module that holds a scenario."""

    def collect(self) -> Iterator[pytest.Item]:
        scenario = scenario_of(self.path)
        if scenario is not None:
            for seed in _SEEDS:
                yield ScenarioTest.from_parent(self, name=f"seed {seed}", scenario=scenario, seed=seed)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect what lies beside this file and is neither a test module nor private."""
    if file_path.parent != _HERE or file_path.suffix != ".py" or file_path.name.startswith(("_", "test_", "conftest")):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)
