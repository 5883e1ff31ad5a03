"""The cookbook's questions, and what psql answers them: `python -m tests.support.cookbook` writes the answers anew."""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from poller.storage.embedded_programs import find_wheel
from poller.storage.schema import upgrade
from tests.support.database import new_database
from tests.support.history.loading import load
from tests.support.servers import VOLATILE, administrative, throw_away_server

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "cookbook.md"

_RECIPE: Final = re.compile(
    r"^### (?P<question>[^\n]*)\n(?P<words>(?:(?!^#)[^\n]*\n)*?)"
    r"```sql\n(?P<query>.*?)^```\n(?:\n```text\n(?P<answer>.*?)^```\n)?",
    flags=re.MULTILINE | re.DOTALL,
)
_END: Final = "-- end of the answer --"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A question, the statement that answers it, and the answer as it is printed; empty when there is none yet."""

    question: str
    query: str
    answer: str


def recipes(document: str) -> Sequence[Recipe]:
    """Return what a document asks, in its order."""
    return [Recipe(found["question"], found["query"], found["answer"] or "") for found in _RECIPE.finditer(document)]


def answers(url: str, queries: Sequence[str]) -> Sequence[str]:
    """Return what psql prints for each statement.

    Raises:
        RuntimeError: psql refuses one of them; with its words.
    """
    script = "".join(f"{query}\n\\echo '{_END}'\n" for query in queries)
    ended = subprocess.run(
        [find_wheel() / "pginstall" / "bin" / "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", url],
        input=script,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={"PATH": os.defpath, "LC_ALL": "C", "PGTZ": "UTC", "PGCLIENTENCODING": "UTF8"},
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    return [_trimmed(answer) for answer in ended.stdout.split(f"{_END}\n")[:-1]]


def with_answers(document: str, given: Sequence[str]) -> str:
    """Return a document in which each recipe has the answer of its place."""
    coming = iter(given)

    def fill(found: re.Match[str]) -> str:
        head = f"### {found['question']}\n{found['words']}"
        return f"{head}```sql\n{found['query']}```\n\n```text\n{next(coming)}```\n"

    return _RECIPE.sub(fill, document)


def _trimmed(answer: str) -> str:
    """Leave out what no eye sees: psql pads its columns, and ends an answer with an empty line."""
    return "".join(f"{line.rstrip()}\n" for line in answer.rstrip("\n").splitlines())


def _write() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    with (
        throw_away_server(VOLATILE) as server,
        new_database(administrative(server.url), extension=False) as url,
    ):
        upgrade(url, lambda _: None)
        load(url)
        given = answers(url, [recipe.query for recipe in recipes(document)])
    DOCUMENT.write_text(with_answers(document, given), encoding="utf-8")


if __name__ == "__main__":
    _write()
