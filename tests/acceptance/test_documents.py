"""What the documents list is what there is, and their links lead somewhere."""

import re
import tomllib
from pathlib import Path

import pytest

from poller.observation import Status
from poller.storage.tables import metadata

CHECKOUT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").rglob("*.md"))]
ARCHITECTURE = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
OPERATIONS = (CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8")
LOGGED = re.compile(r"\blog\.(?:debug|info|warning|error|exception|critical)\(\s*\"([^\"]+)\"|\blog\(\s*\"([^\"]+)\"")


def section(document: str, title: str) -> str:
    """Return what stands below a heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", document, flags=re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def first_column(text: str) -> list[str]:
    """Return the words in code quotes that begin the rows of a section's tables."""
    cells = re.findall(r"^\| (`[^|]*) \|", text, flags=re.MULTILINE)
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


def headings(document: Path) -> set[str]:
    """Return what links into a document may point to."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!\w+://)([^)#]*)#?([^)]*)\)", document.read_text(encoding="utf-8"))
    targets = [(document.parent / path if path else document, anchor) for path, anchor in links]

    assert [path for path, _ in targets if not path.exists()] == []
    assert [anchor for path, anchor in targets if anchor and anchor not in headings(path)] == []


def test_the_layers_are_drawn_as_they_are_held() -> None:
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    drawn = re.findall(r"^[_a-z]+(?: \| [a-z]+)*", section(ARCHITECTURE, "Layers").split("```")[1], flags=re.MULTILINE)

    assert drawn == contracts["contracts"][0]["layers"]


def test_every_part_of_the_package_is_described() -> None:
    parts = {path.name for path in (CHECKOUT / "poller").iterdir() if not path.name.startswith("__")}
    described = {Path(name).name for name in first_column(section(ARCHITECTURE, "Layers"))}

    assert parts - {"errors.py", "observation.py"} == described - {"migrations"}
    assert "`poller/errors.py`" in ARCHITECTURE
    assert "`poller/observation.py`" in ARCHITECTURE


def test_every_status_is_explained() -> None:
    assert first_column(section(ARCHITECTURE, "Statuses")) == list(Status)
    assert set(first_column(OPERATIONS)) >= set(Status) - {Status.OK}


def test_every_table_is_described() -> None:
    described = set(first_column(section(ARCHITECTURE, "Tables")))

    assert described == {table.name for table in metadata.sorted_tables} | {"poll_gaps"}


def test_every_event_of_the_log_is_explained() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (CHECKOUT / "poller").rglob("*.py"))
    events = {first or second for source in sources for first, second in LOGGED.findall(source.replace("_log", "log"))}
    explained = set(first_column(section(OPERATIONS, "What the log says, and what to do"))) - set(Status)

    assert events == explained


def test_every_decision_is_listed() -> None:
    directory = CHECKOUT / "docs" / "decisions"
    titles = [
        path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        for path in sorted(directory.glob("0*.md"))
    ]
    listed = re.findall(r"\[(\d{4})\]\([^)]*\) \| (.*) \|", (directory / "README.md").read_text(encoding="utf-8"))

    assert [f"{number}: {title}" for number, title in listed] == titles
