"""Checks that the lock files satisfy pyproject.toml and that what is installed is what is locked.

No index is asked: `make check` works offline, and a new release elsewhere does not turn it red.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

GROUPS = {"run.txt": ("build",), "dev.txt": ("build", "dev")}
EXTRA = "embedded"

Pins = Mapping[str, tuple[Requirement, bool]]  # by name: the requirement, and whether it has a hash


def problems(root: Path, installed: Mapping[str, str]) -> Iterator[str]:
    """Yield one sentence for each fault of the lock files below `root`, and of `installed`: versions by name."""
    pyproject = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    locked: set[str] = {canonicalize_name(pyproject["project"]["name"])}
    for name, groups in GROUPS.items():
        text = (root / "requirements" / name).read_text(encoding="utf-8")
        pins = parse(text)
        faults = (
            *foreign(text),
            *loose(pins),
            *unsatisfied(demanded(pyproject, groups), pins),
            *unlike(pins, installed),
        )
        yield from (f"requirements/{name}: {fault}" for fault in faults)
        locked.update(pins)
    yield from (f"{name} is installed, but not locked" for name in sorted(installed.keys() - locked))


def demanded(pyproject: Mapping[str, Any], groups: tuple[str, ...]) -> Iterator[Requirement]:
    """Yield what pyproject.toml asks for on this machine."""
    project = pyproject["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"][EXTRA]]
    for group in groups:
        lines += pyproject["dependency-groups"][group]
    return (requirement for requirement in map(Requirement, lines) if applies(requirement))


def parse(text: str) -> Pins:
    """Return the pins that apply to this machine."""
    pins: dict[str, tuple[Requirement, bool]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith(("#", "-")):
            requirement, *hashes = line.split(" --hash=")
            pin = Requirement(requirement)
            if applies(pin):
                pins[canonicalize_name(pin.name)] = (pin, bool(hashes))
    return pins


def applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate()


def exact(pin: Requirement) -> str | None:
    """Return the one version that `pin` allows, or nothing."""
    found = re.fullmatch(r"==([^,*]+)", str(pin.specifier))
    return found[1] if found else None


def foreign(text: str) -> Iterator[str]:
    """A lock that names an address works only where that address is reached."""
    for number, line in enumerate(text.splitlines(), start=1):
        if re.search(r"://|^\s*-(?!-hash=sha256:)|\s@\s", line):
            yield f"line {number} holds an address or an option"


def loose(pins: Pins) -> Iterator[str]:
    for name, (pin, hashed) in pins.items():
        if exact(pin) is None:
            yield f"{name} is not pinned with =="
        if not hashed:
            yield f"{name} has no hash"


def unsatisfied(requirements: Iterator[Requirement], pins: Pins) -> Iterator[str]:
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        version = exact(pins[name][0]) if name in pins else None
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            yield f"{requirement} of pyproject.toml is not satisfied"


def unlike(pins: Pins, installed: Mapping[str, str]) -> Iterator[str]:
    for name, (pin, _) in pins.items():
        if installed.get(name) != exact(pin):
            yield f"{pin} is locked, but {installed.get(name, 'nothing')} is installed"


def main() -> int:
    installed: dict[str, str] = {canonicalize_name(found.name): found.version for found in distributions()}
    found = list(problems(Path(), installed))
    sys.stderr.writelines(f"{problem}\n" for problem in found)
    fit_together = subprocess.run([sys.executable, "-m", "pip", "check"], check=False)
    return 1 if found or fit_together.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
