from decimal import Decimal

import pytest

from poller.normalize.modes import asset_mode_of
from poller.observation import AssetMode


@pytest.mark.parametrize("total", ["1e999999999999999999", "-1e999999", "1e-999999999999999999", "9e999999"])
def test_an_absurd_total_is_compared_like_any_other(total: str) -> None:
    totals, usdt = {"wallet_balance": Decimal(total)}, {"wallet_balance": Decimal(1)}

    assert asset_mode_of(totals, usdt) in {AssetMode.MULTI_ASSETS, None}
