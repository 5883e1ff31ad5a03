"""What lives in environments of its own is locked as the product is."""

from pathlib import Path

import pytest

from tests.support.lock import foreign, loose, parse

CHECKOUT = Path(__file__).parents[2]
APART = {
    "benchmarks": {"ccxt", "python-binance", "unicorn-binance-websocket-api"},
    "tests/dataframes": {"duckdb", "pandas", "polars", "pyarrow"},
}


def lock(folder: str) -> str:
    return (CHECKOUT / folder / "requirements.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(("folder", "needed"), APART.items())
def test_what_is_apart_is_pinned_with_hashes(folder: str, needed: set[str]) -> None:
    pins = parse(lock(folder))

    assert pins.keys() >= needed
    assert list(loose(pins)) == []


@pytest.mark.parametrize("folder", APART)
def test_a_lock_apart_names_no_address(folder: str) -> None:
    assert list(foreign(lock(folder))) == []
