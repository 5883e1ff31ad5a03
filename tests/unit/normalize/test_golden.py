"""Whole replies against the rows that they become, reviewed by eye."""

import json
from pathlib import Path

import msgspec
import pytest

from poller.normalize import normalize
from poller.observation import Market
from tests.support.replies import FIXTURES, observed

REPLIES = sorted((FIXTURES / "replies").glob("*.json"))


@pytest.mark.parametrize("path", REPLIES, ids=lambda path: path.stem)
def test_a_reply_becomes_exactly_these_rows(path: Path, pytestconfig: pytest.Config) -> None:
    market = Market(path.stem.partition("-")[0])
    normalized = normalize(observed(market, path.read_bytes()))
    snapshot = normalized.snapshot
    rows = {
        "poll": snapshot.poll,
        "totals": snapshot.totals,
        "assets": snapshot.assets,
        "positions": snapshot.positions,
        "drift": normalized.drift,
    }
    actual = json.loads(msgspec.json.encode(rows))
    expected = FIXTURES / "expected" / path.name
    if pytestconfig.getoption("--update-test-data"):
        expected.write_text(json.dumps(actual, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    assert actual == json.loads(expected.read_text(encoding="utf-8"))
