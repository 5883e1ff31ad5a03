"""Which modes an account is in: as the exchange tells them, and what a reply itself betrays of them."""

from collections.abc import Iterable, Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Final

from poller.exchange.messages import AccountConfig
from poller.observation import AssetMode, PositionMode

TOTALS_ASSET: Final = {AssetMode.SINGLE_ASSET: "USDT", AssetMode.MULTI_ASSETS: "USD"}
"""The unit of the totals in each mode."""

_CLEARLY: Final = Decimal("0.00001")
_ANY: Final = Context(Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])  # what an absurd amount is not is for others to say
_BOTH: Final = "BOTH"


def modes_of(config: AccountConfig) -> tuple[AssetMode | None, PositionMode | None]:
    """Tell the modes in our words; None is one that was not told."""
    asset_modes = {False: AssetMode.SINGLE_ASSET, True: AssetMode.MULTI_ASSETS, None: None}
    position_modes = {False: PositionMode.ONE_WAY, True: PositionMode.HEDGE, None: None}
    return asset_modes[config.multi_assets_margin], position_modes[config.dual_side_position]


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
    difference = _ANY.abs(_ANY.subtract(total, wallet))
    return AssetMode.MULTI_ASSETS if difference > _ANY.multiply(_ANY.abs(total), _CLEARLY) else None


def contradicts(mode: PositionMode | None, sides: Iterable[object]) -> bool:
    """Tell whether positions on these sides cannot be of an account in `mode`.

    Args:
        mode: None is contradicted by nothing.
        sides: Of positions that are not zero: rows without anything in them are listed on sides of either mode.
    """
    match mode:
        case PositionMode.ONE_WAY:
            return any(side != _BOTH for side in sides)
        case PositionMode.HEDGE:
            return any(side == _BOTH for side in sides)
        case None:
            return False
