"""What every test has: real peers as fixtures, a watch over secrets, and a way to write golden files anew."""

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = [
    "pytester",
    "tests.support.secrecy",
    "tests.support.servers",
    "tests.support.database",
    "tests.support.history.databases",
    "tests.support.exchange",
    "tests.support.browser",
]

# How long an example takes is up to whatever else the machine does.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-test-data", action="store_true", help="write the golden files anew: review the diff")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a worker tell what a test printed: half of a surrogate pair, which some tests log, would end it."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
