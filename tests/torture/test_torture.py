"""The command that tortures: what it fails on, and what a seed decides."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from tests.torture.__main__ import main
from tests.torture.runner import Scenario, Torture, chance_of, run_scenario, scenarios
from tests.torture.terms import Figure, Terms


def no_server() -> AbstractContextManager[str]:
    return nullcontext("postgresql://127.0.0.1:1/none")


def scenario(torture: Torture, key: str = "one") -> Scenario:
    return Scenario(key=key, name="A made-up one", story="It does nothing.", torture=torture)


async def keeps(chance: random.Random, _terms: Terms) -> AsyncIterator[Figure]:
    yield Figure(name="lost", value=0, bound="<= 0")
    yield Figure(name="drawn", value=chance.random(), bound="")


async def breaches(_chance: random.Random, _terms: Terms) -> list[Figure]:
    return [Figure(name="lost", value=1, bound="<= 0")]


async def raises(_chance: random.Random, _terms: Terms) -> AsyncIterator[Figure]:
    yield Figure(name="lost", value=0, bound="<= 0")
    raise RuntimeError("the database was gone")


async def tells_nothing(_chance: random.Random, _terms: Terms) -> list[Figure]:
    return []


async def hangs(_chance: random.Random, _terms: Terms) -> list[Figure]:
    await asyncio.Event().wait()
    return []


@pytest.mark.parametrize(
    ("torture", "code"),
    [
        pytest.param(keeps, 0, id="kept"),
        pytest.param(breaches, 1, id="breach"),
        pytest.param(raises, 1, id="error"),
        pytest.param(tells_nothing, 1, id="no figures"),
    ],
)
def test_the_exit_code_is_1_unless_every_bound_holds(torture: Torture, code: int, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    found = [scenario(torture), scenario(keeps, "two")]

    assert main(["--seed", "7", "--out", str(out)], found, serve=no_server) == code
    written = json.loads(out.read_text())
    assert (written["seed"], written["holds"]) == (7, code == 0)
    assert [one["scenario"] for one in written["scenarios"]] == ["one", "two"]
    assert written["scenarios"][1]["figures"][0] == {"name": "lost", "value": 0, "bound": "<= 0", "holds": True}


def test_what_went_wrong_is_shown_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "docs" / "torture.md"
    found = [scenario(breaches), scenario(raises, "two")]
    main(["--seed", "7", "--out", str(tmp_path / "out"), "--document", str(document)], found, serve=no_server)
    shown = capsys.readouterr().out

    assert "BREACH" in shown
    assert "RuntimeError: the database was gone" in shown
    assert "| lost | 1 | <= 0 | BREACH |" in document.read_text()


def test_a_document_tells_of_each_scenario_the_last_run_that_had_it(tmp_path: Path) -> None:
    first, second, document = tmp_path / "first", tmp_path / "second", tmp_path / "torture.md"
    found = [scenario(breaches), scenario(raises, "two")]
    main(["--seed", "7", "--out", str(first)], found, serve=no_server)
    main(["--seed", "8", "--only", "one", "--out", str(second)], found, serve=no_server)

    assert main(["--results", str(first), str(second), "--document", str(document)], found, serve=no_server) == 0

    one, two = document.read_text().split("## one")[1].split("## two")
    assert ("from seed 8" in one, "| lost | 1 | <= 0 | BREACH |" in one) == (True, True)
    assert ("from seed 7" in two, "the database was gone | | | ERROR" in two) == (True, True)


def test_a_seed_decides_what_each_scenario_draws_whatever_else_runs(tmp_path: Path) -> None:
    def drawn(*chosen: str, seed: int = 7) -> dict[str, float]:
        out = tmp_path / "out.json"
        found = [scenario(keeps), scenario(keeps, "two")]
        main(["--seed", str(seed), "--only", *chosen, "--out", str(out)], found, serve=no_server)
        return {one["scenario"]: one["figures"][1]["value"] for one in json.loads(out.read_text())["scenarios"]}

    both = drawn("one", "two")
    assert both["one"] != both["two"]
    assert drawn("two") == {"two": both["two"]}
    assert drawn("two", seed=8) != drawn("two")
    assert chance_of(7, scenario(keeps)).random() == 0.48855202585706936


async def test_a_scenario_that_hangs_is_ended() -> None:
    outcome = await run_scenario(scenario(hangs), seed=7, short=True, serve=no_server, limit_seconds=0.05)

    assert isinstance(outcome.error, TimeoutError)


def test_every_scenario_of_the_folder_is_found_and_explains_itself() -> None:
    found = list(scenarios())

    assert [one.key for one in found] == sorted(one.key for one in found)
    assert all(one.name and one.story for one in found)
    assert not {one.key for one in found} & {"terms", "runner", "report"}


@pytest.mark.parametrize(
    ("value", "bound", "holds"),
    [
        (0, "<= 0", True),
        (1, "<= 0", False),
        (5, ">= 5.5", False),
        (6, "> 5.5", True),
        (1, "< 1", False),
        (3, "== 3", True),
        (float("nan"), "<= 0", False),
        (9, "", True),
    ],
)
def test_a_figure_keeps_its_bound_or_not(value: float, bound: str, *, holds: bool) -> None:
    assert Figure(name="lost", value=value, bound=bound).holds is holds


def test_a_bound_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'lost'.*'=< 5'"):
        Figure(name="lost", value=1, bound="=< 5")
