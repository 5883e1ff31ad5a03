"""A row that is just as documented is read by a shorter way, which must lead to the same place."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poller.errors import MalformedReplyError
from poller.exchange.messages import Asset, CoinmPosition, UsdmAsset, UsdmPosition
from poller.normalize.rows import Row, read_row, read_rows
from tests.support.replies import Json, coinm_position, usdm_asset, usdm_position

ROWS: list[tuple[type[msgspec.Struct], Json]] = [
    (UsdmAsset, usdm_asset("USDT", "5.5")),
    (UsdmAsset, usdm_asset("USDT", "5.5", marginAvailable=True)),
    (Asset, usdm_asset("BTC")),
    (UsdmPosition, usdm_position("BTCUSDT", "-0.1")),
    (CoinmPosition, coinm_position("BTCUSD_PERP", "3")),
]
AMOUNTS = st.decimals(allow_nan=False).map(str) | st.from_regex(r"-?[0-9.]{0,12}", fullmatch=True)
VALUES = AMOUNTS | st.none() | st.booleans() | st.integers() | st.sampled_from(["", "NaN", "9" * 2000, "1e-20000", "x"])


def outcome(value: Json, shape: type[msgspec.Struct], index: int | None) -> Row | str:
    """Return the row, or the place of the fault; only what has an index may take the shorter way."""
    try:
        return read_row(value, shape, "row", index)
    except MalformedReplyError as exc:
        return str(exc).replace("row[0]", "row")


def same(one: Row | str, other: Row | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    drift = frozenset(place.replace("row[]", "row") for place in one.drift)
    return (one.columns, one.extra, drift, one.is_zero) == (other.columns, other.extra, other.drift, other.is_zero)


@pytest.mark.parametrize(("shape", "row"), ROWS)
@settings(max_examples=40)
@given(data=st.data())
def test_both_ways_read_the_same(shape: type[msgspec.Struct], row: Json, data: st.DataObject) -> None:
    changed: dict[str, Any] = data.draw(st.dictionaries(st.sampled_from([*row, "unknown"]), VALUES, max_size=3))
    value = {**row, **changed}
    for gone in data.draw(st.sets(st.sampled_from([*row]), max_size=1)):
        value.pop(gone)

    assert same(outcome(value, shape, 0), outcome(value, shape, None))


def test_amounts_keep_their_digits_by_the_shorter_way() -> None:
    [row] = read_rows([usdm_asset("USDT", "0.10000000000000000000000000001000")], UsdmAsset, "row")

    assert str(row.columns["wallet_balance"]) == "0.10000000000000000000000000001000"
