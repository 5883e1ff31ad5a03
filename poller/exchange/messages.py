"""The exchange's frames as structs: what its documents promise, no more, no behaviour.

A field is required only where a reply without it has no meaning; `UNSET` is a documented field that was not sent.
"""

from decimal import Decimal

from msgspec import UNSET, Struct, UnsetType

Amount = Decimal | None | UnsetType
Flag = bool | None | UnsetType
Whole = int | None | UnsetType


class RateLimit(Struct, frozen=True, rename="camel"):
    """How much of one of the IP's budgets is used up, as the exchange counts it."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int
    count: int


class ErrorData(Struct, frozen=True, rename="camel"):
    """What may come with an error: times in ms since the epoch."""

    server_time: int | None = None
    retry_after: int | None = None


class RemoteError(Struct, frozen=True):
    """The exchange's word on a request that it did not serve."""

    code: int
    msg: str = ""
    data: ErrorData | None = None


class Envelope(Struct, frozen=True, rename="camel"):
    """What surrounds every reply; the result itself is decoded where it is normalised."""

    id: str | int | None = None
    status: int | None = None
    error: RemoteError | None = None
    rate_limits: tuple[RateLimit, ...] = ()


class Asset(Struct, frozen=True, rename="camel"):
    """`assets[]`: amounts in units of `asset`; `update_time` in ms since the epoch, 0 when never touched."""

    asset: str
    wallet_balance: Amount = UNSET
    unrealized_profit: Amount = UNSET
    margin_balance: Amount = UNSET
    maint_margin: Amount = UNSET
    initial_margin: Amount = UNSET
    position_initial_margin: Amount = UNSET
    open_order_initial_margin: Amount = UNSET
    cross_wallet_balance: Amount = UNSET
    cross_un_pnl: Amount = UNSET
    available_balance: Amount = UNSET
    max_withdraw_amount: Amount = UNSET
    update_time: Whole = UNSET


class UsdmAsset(Asset, frozen=True, rename="camel"):
    """USDⓈ-M `assets[]`.

    `margin_available` is documented for multi-assets mode only, and absent from live replies there too: it is never a
    sign of the mode.
    """

    margin_available: Flag = UNSET


class UsdmPosition(Struct, frozen=True, rename="camel"):
    """USDⓈ-M `positions[]`: `position_amt` in base units, signed; other amounts in the symbol's margin asset."""

    symbol: str
    position_side: str
    position_amt: Amount = UNSET
    unrealized_profit: Amount = UNSET
    isolated_margin: Amount = UNSET
    notional: Amount = UNSET
    isolated_wallet: Amount = UNSET
    initial_margin: Amount = UNSET
    maint_margin: Amount = UNSET
    update_time: Whole = UNSET


class CoinmPosition(Struct, frozen=True, rename="camel"):
    """COIN-M `positions[]`: `position_amt` in contracts, signed; other amounts in the base coin."""

    symbol: str
    position_side: str
    initial_margin: Amount = UNSET
    maint_margin: Amount = UNSET
    unrealized_profit: Amount = UNSET
    position_initial_margin: Amount = UNSET
    open_order_initial_margin: Amount = UNSET
    leverage: Amount = UNSET
    isolated: Flag = UNSET
    entry_price: Amount = UNSET
    max_qty: Amount = UNSET
    notional_value: Amount = UNSET
    isolated_wallet: Amount = UNSET
    update_time: Whole = UNSET
    position_amt: Amount = UNSET
    break_even_price: Amount = UNSET


class UsdmAccount(Struct, frozen=True, rename="camel"):
    """`v2/account.status`: totals in USDT (single-asset mode) or USD (multi-assets mode)."""

    assets: tuple[dict[str, object], ...]
    positions: tuple[dict[str, object], ...]
    total_initial_margin: Amount = UNSET
    total_maint_margin: Amount = UNSET
    total_wallet_balance: Amount = UNSET
    total_unrealized_profit: Amount = UNSET
    total_margin_balance: Amount = UNSET
    total_position_initial_margin: Amount = UNSET
    total_open_order_initial_margin: Amount = UNSET
    total_cross_wallet_balance: Amount = UNSET
    total_cross_un_pnl: Amount = UNSET
    available_balance: Amount = UNSET
    max_withdraw_amount: Amount = UNSET


class CoinmAccount(Struct, frozen=True, rename="camel"):
    """`account.status`: no totals, since the assets are different coins."""

    assets: tuple[dict[str, object], ...]
    positions: tuple[dict[str, object], ...]
    fee_tier: Whole = UNSET
    can_trade: Flag = UNSET
    can_deposit: Flag = UNSET
    can_withdraw: Flag = UNSET
    update_time: Whole = UNSET


class AccountConfig(Struct, frozen=True, rename="camel"):
    """REST `accountConfig`: how the account is set up; None is a flag that was not sent.

    Attributes:
        multi_assets_margin: Whether the assets of USDⓈ-M share their margin.
        dual_side_position: Whether long and short are kept apart, in both markets.
    """

    multi_assets_margin: bool | None = None
    dual_side_position: bool | None = None
