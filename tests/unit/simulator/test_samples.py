"""Simulated replies have the shape of captured ones."""

import json
from pathlib import Path
from typing import cast

import pytest

from poller.observation import Market
from poller.simulator.accounts import Account
from poller.simulator.replies import account_result

SAMPLES = Path(__file__).parents[4] / "shared" / "samples"
AT_MS = 1_795_244_000_000

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the captured replies are not beside this checkout")


def shape(result: dict[str, object]) -> dict[str, set[frozenset[str]]]:
    rows = {name: cast("list[dict[str, object]]", result[name]) for name in ("assets", "positions")}
    return {"top": {frozenset(result)}} | {name: {frozenset(row) for row in found} for name, found in rows.items()}


def test_a_coinm_reply_has_the_fields_of_a_captured_one() -> None:
    captured = json.loads((SAMPLES / "coinm-account-hedge-all-symbols.json").read_text())

    assert shape(account_result(0, Account(label="main", hedge=True), Market.COINM, AT_MS)) == shape(captured)


def test_a_usdm_reply_has_the_fields_of_a_captured_one() -> None:
    captured = shape(json.loads((SAMPLES / "usdm-account-multi-assets.json").read_text()))
    simulated = shape(account_result(0, Account(label="main", multi_assets=True), Market.USDM, AT_MS))

    # The method's document has this field in multi-assets mode, the REST reply that was captured does not.
    assert {fields - {"marginAvailable"} for fields in simulated["assets"]} == captured["assets"]
    assert simulated["top"] == captured["top"]
