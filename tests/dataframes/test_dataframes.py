"""The snippets of docs/dataframes.md print what stands below them."""

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PYTHON = HERE / ".venv" / "bin" / "python"
DOCUMENT = HERE.parents[1] / "docs" / "dataframes.md"
SNIPPET = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<printed>.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def run(snippets: Sequence[str], url: str, directory: Path) -> Sequence[str]:
    """Return what each snippet prints; they may write into the directory."""
    ended = subprocess.run(
        [PYTHON, HERE / "snippets.py"],
        input=json.dumps(snippets),
        capture_output=True,
        text=True,
        cwd=directory,
        env={"PATH": os.defpath, "DATABASE_URL": url, "PGTZ": "UTC"},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    printed: list[str] = json.loads(ended.stdout)
    return printed


@pytest.mark.skipif(not PYTHON.exists(), reason="no pandas, Polars and DuckDB: make dataframes")
def test_every_snippet_prints_what_the_document_says(
    plain_history: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    written = DOCUMENT.read_text(encoding="utf-8")
    snippets = list(SNIPPET.finditer(written))
    printed = run([found["code"] for found in snippets], plain_history, tmp_path)

    if request.config.getoption("--update-test-data"):
        coming = iter(printed)
        DOCUMENT.write_text(SNIPPET.sub(lambda found: with_output(found, next(coming)), written), encoding="utf-8")

    assert printed == [found["printed"] or "" for found in SNIPPET.finditer(DOCUMENT.read_text(encoding="utf-8"))]


def with_output(snippet: re.Match[str], printed: str) -> str:
    """Return a snippet with what it prints below it, if anything."""
    below = f"\n```text\n{printed}```\n" if printed else ""
    return f"```python\n{snippet['code']}```\n{below}"
