"""Which asset mode a USDⓈ-M reply itself betrays, where it does."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from poller.observation import AssetMode

TOTALS_ASSET: Final = {AssetMode.SINGLE_ASSET: "USDT", AssetMode.MULTI_ASSETS: "USD"}
"""The unit of the totals in each mode."""

_CLEARLY: Final = Decimal("0.00001")


def asset_mode_of(totals: Mapping[str, object], usdt: Mapping[str, object]) -> AssetMode | None:
    """Tell the asset mode where the totals are decisive, else None.

    Single-asset totals are the USDT row exactly. Multi-assets totals are sums in USD, converted at about the index
    price less 0.01 %; a difference of less than a tenth of that may as well be a row computed an instant later.

    Args:
        totals: Columns of the account.
        usdt: Columns of the USDT row; empty when the reply has none, which holds nothing.
    """
    amounts = {column: value for column, value in totals.items() if isinstance(value, Decimal)}
    if all(value == 0 for value in amounts.values()):
        return None
    if all(value == usdt.get(column, 0) for column, value in amounts.items()):
        return AssetMode.SINGLE_ASSET
    total = amounts.get("wallet_balance")
    wallet = usdt.get("wallet_balance", Decimal(0))
    if total is None or not isinstance(wallet, Decimal):
        return None
    return AssetMode.MULTI_ASSETS if abs(total - wallet) > abs(total) * _CLEARLY else None
