"""What every test has: real peers as fixtures, and a way to write golden files anew."""

import pytest

pytest_plugins = ["tests.support.secrecy", "tests.support.servers", "tests.support.database", "tests.support.exchange"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-test-data", action="store_true", help="write the golden files anew: review the diff")
