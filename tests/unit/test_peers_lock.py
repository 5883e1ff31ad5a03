"""The libraries that ours is compared with are locked as the product is."""

from pathlib import Path

from tests.support.lock import foreign, loose, parse

LOCK = (Path(__file__).parents[2] / "benchmarks" / "requirements.txt").read_text(encoding="utf-8")


def test_the_peers_are_pinned_with_hashes() -> None:
    pins = parse(LOCK)

    assert pins.keys() >= {"ccxt", "python-binance", "unicorn-binance-websocket-api"}
    assert list(loose(pins)) == []


def test_the_lock_of_the_peers_names_no_address() -> None:
    assert list(foreign(LOCK)) == []
