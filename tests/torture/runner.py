"""Finds the scenarios, and runs each with a chance, a database server, a folder and an end of its own."""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from tests.support.servers import DURABLE, administrative, throw_away_server
from tests.torture.terms import Figure, Terms

FOLDER: Final = Path(__file__).parent
PACKAGE: Final = __package__ or "tests.torture"

_SHORT_SECONDS: Final = 280.0
_LONG_SECONDS: Final = 3 * 3600.0

Torture = Callable[[random.Random, Terms], AsyncIterator[Figure] | Awaitable[Iterable[Figure]]]
Serve = Callable[[], AbstractContextManager[str]]
Tell = Callable[[Figure], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way to torture.

    Attributes:
        key: The name of its module, by which it is chosen.
        name: One line for people.
        story: What it does, in paragraphs.
        torture: Does it.
    """

    key: str
    name: str
    story: str
    torture: Torture


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a scenario.

    Attributes:
        error: Why it did not come to its end; None when it did.
    """

    scenario: Scenario
    figures: tuple[Figure, ...]
    seconds: float
    error: BaseException | None = None

    @property
    def holds(self) -> bool:
        """Whether it came to its end with figures, all within their bounds."""
        return self.error is None and bool(self.figures) and all(figure.holds for figure in self.figures)


def scenarios(folder: Path = FOLDER, package: str = PACKAGE) -> Iterator[Scenario]:
    """Yield the scenarios of a folder, in the order of their names."""
    for path in sorted(folder.glob("[a-z]*.py")):
        if (scenario := scenario_of(path, package)) is not None:
            yield scenario


def scenario_of(path: Path, package: str = PACKAGE) -> Scenario | None:
    """Return the scenario of a module; None when it is none."""
    if path.name.startswith(("_", "test_", "conftest")):
        return None
    module = import_module(f"{package}.{path.stem}")
    if not hasattr(module, "NAME"):
        return None
    return Scenario(key=path.stem, name=module.NAME, story=module.__doc__ or "", torture=module.torture)


def chance_of(seed: int, scenario: Scenario) -> random.Random:
    """Return the chance of a scenario: the same for equal seeds, whatever else is run."""
    return random.Random(f"{seed} {scenario.key}")  # noqa: S311 - chooses what is done, guards nothing


@contextmanager
def durable_server() -> Iterator[str]:
    """Have a new server as long as the context lasts; its administrator's address is given."""
    with throw_away_server(DURABLE) as server:
        yield administrative(server.url)


async def run_scenario(
    scenario: Scenario,
    *,
    seed: int,
    short: bool,
    tell: Tell = lambda _: None,
    serve: Serve = durable_server,
    limit_seconds: float | None = None,
) -> Outcome:
    """Run one scenario with a server and a folder of its own, and tell each figure as it is known."""
    began = time.monotonic()
    figures: list[Figure] = []
    error: BaseException | None = None
    try:
        with (
            serve() as server,
            tempfile.TemporaryDirectory(prefix="poller-torture-", ignore_cleanup_errors=True) as folder,
        ):
            terms = Terms(folder=Path(folder), server=server, short=short)
            async with asyncio.timeout(limit_seconds or (_SHORT_SECONDS if short else _LONG_SECONDS)):
                async for figure in _figures(scenario.torture(chance_of(seed, scenario), terms)):
                    figures.append(figure)
                    tell(figure)
    except (Exception, BaseExceptionGroup) as exc:  # noqa: BLE001 - the scenarios behind this one are still to be run
        error = exc
    return Outcome(scenario=scenario, figures=tuple(figures), seconds=time.monotonic() - began, error=error)


async def _figures(told: AsyncIterator[Figure] | Awaitable[Iterable[Figure]]) -> AsyncIterator[Figure]:
    if isinstance(told, AsyncIterator):
        async for figure in told:
            yield figure
    else:
        for figure in await told:
            yield figure
