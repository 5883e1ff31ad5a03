"""Collects everything that the tests printed, and every secret that they knew, so that one test can compare them.

Secrets are told by whoever makes them, with `confide`. What counts as printed is what pytest captured of each test:
standard output, standard error and log records, those of subprocesses included where the test prints them.
"""

import re
from collections.abc import Iterator

import pytest

SIGNATURE = re.compile(r"signature\W{1,5}(?!\*\*\*)[0-9A-Za-z+/=]{32,}")

_secrets: set[str] = set()
_printed: list[tuple[str, str]] = []


def confide(*secrets: str | None) -> None:
    """Name secrets that must not be found in anything that is printed."""
    _secrets.update(secret for secret in secrets if secret)


def leaks() -> Iterator[str]:
    """Yield the test of every secret and signature that was printed."""
    for test, text in _printed:
        if any(secret in text for secret in _secrets):
            yield f"{test} printed a secret"
        if SIGNATURE.search(text):
            yield f"{test} printed a signature"


def known() -> int:
    """Return how many secrets there are, so that a comparison with none of them fails."""
    return len(_secrets)


def printed_characters() -> int:
    """Return how much was compared."""
    return sum(len(text) for _, text in _printed)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep what a test printed."""
    _printed.extend((report.nodeid, text) for _, text in report.sections)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the comparison when all others have printed."""
    items.sort(key=lambda item: item.path.name == "test_secrecy.py")
