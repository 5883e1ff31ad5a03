"""Fails a run in which anything that was printed holds a key, a secret, a signature or a password.

Secrets are told by whoever makes them, with `confide`. What counts as printed is what pytest captured of each test:
standard output, standard error and log records, those of subprocesses included where the test prints them. Each process
compares what its own tests printed; the workers of a parallel run tell the one that started them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

_SIGNATURE = re.compile(r"signature\W{1,5}(?!\*\*\*)[0-9A-Za-z+/=]{32,}")
_FROM_WORKER = "leaks"


@dataclass(slots=True)
class Watch:
    """What was printed, and what should not have been."""

    secrets: set[str] = field(default_factory=set)
    printed: list[tuple[str, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def leaks(self) -> Iterator[str]:
        """Yield every test that printed a secret or a signature."""
        yield from self.told
        for test, text in self.printed:
            if any(secret in text for secret in self.secrets):
                yield f"{test} printed a secret"
            if _SIGNATURE.search(text):
                yield f"{test} printed a signature"


_watch = Watch()


def confide(*secrets: str | None) -> None:
    """Name secrets that must not be found in anything that is printed."""
    _watch.secrets.update(secret for secret in secrets if secret)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep what a test printed."""
    _watch.printed.extend((report.nodeid, text) for _, text in report.sections)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take over what a worker found."""
    _watch.told.extend(getattr(node, "workeroutput", {}).get(_FROM_WORKER, ()))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Compare, and fail the run."""
    found = list(_watch.leaks())
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_FROM_WORKER] = found
    elif found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests."""
    for leak in _watch.leaks():
        terminalreporter.write_line(f"LEAK {leak}", red=True)
