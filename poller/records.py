"""What is stored, in the words of the tables; `storage` turns each record into a row.

Every record's fields are columns of the table of its name, without what all rows of one call share: of a poll its key
(time, account, market), of a list of contracts its environment and market. Amounts are exact; `None` is unknown or not
given, never zero. `extra` is a JSON text.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from poller.observation import AssetMode, AssetModeSource, Environment, Market, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """The row that every decided tick has, in table `polls`."""

    time: datetime
    account: str
    market: Market
    status: Status
    requested_at: datetime | None
    received_at: datetime | None
    latency_ms: int | None
    attempts: int
    exchange_status: int | None
    error_code: int | None
    error_message: str | None
    weight_used: int | None
    weight_limit: int | None
    clock_offset_ms: int | None
    assets_seen: int | None
    positions_seen: int | None
    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTotals:
    """The account-wide part of a reply. USDⓈ-M amounts are in `totals_asset`; COIN-M has none."""

    asset_mode: AssetMode | None
    asset_mode_source: AssetModeSource | None
    totals_asset: str | None
    wallet_balance: Decimal | None
    unrealized_pnl: Decimal | None
    margin_balance: Decimal | None
    initial_margin: Decimal | None
    maintenance_margin: Decimal | None
    position_initial_margin: Decimal | None
    open_order_initial_margin: Decimal | None
    cross_wallet_balance: Decimal | None
    cross_unrealized_pnl: Decimal | None
    available_balance: Decimal | None
    max_withdraw_amount: Decimal | None
    fee_tier: int | None
    can_trade: bool | None
    can_deposit: bool | None
    can_withdraw: bool | None
    exchange_updated_at: datetime | None
    extra: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetBalance:
    """One asset that is not zero; amounts in units of that asset."""

    asset: str
    wallet_balance: Decimal | None
    unrealized_pnl: Decimal | None
    margin_balance: Decimal | None
    maintenance_margin: Decimal | None
    initial_margin: Decimal | None
    position_initial_margin: Decimal | None
    open_order_initial_margin: Decimal | None
    cross_wallet_balance: Decimal | None
    cross_unrealized_pnl: Decimal | None
    available_balance: Decimal | None
    max_withdraw_amount: Decimal | None
    margin_available: bool | None
    exchange_updated_at: datetime | None
    extra: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One position that is not zero; a field that its market does not have is None."""

    symbol: str
    position_side: str
    position_amount: Decimal | None
    unrealized_pnl: Decimal | None
    notional: Decimal | None
    initial_margin: Decimal | None
    maintenance_margin: Decimal | None
    position_initial_margin: Decimal | None
    open_order_initial_margin: Decimal | None
    isolated_margin: Decimal | None
    isolated_wallet: Decimal | None
    entry_price: Decimal | None
    break_even_price: Decimal | None
    leverage: Decimal | None
    isolated: bool | None
    max_quantity: Decimal | None
    exchange_updated_at: datetime | None
    extra: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPayload:
    """The compressed reply of an `ok` poll as received."""

    codec: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedPayload:
    """A reply that could not be normalised or stored, and why.

    Attributes:
        codec: How `body` is compressed.
        body: The reply, whole up to 1 MiB, else its first 64 KiB; None when no bytes were kept.
        body_bytes: Length of the whole reply before compression.
        body_sha256: Of the whole reply before compression.
    """

    environment: Environment
    received_at: datetime | None
    reason: str
    codec: int
    body: bytes | None
    body_bytes: int | None
    body_sha256: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a symbol of one market is, in table `contracts`.

    Attributes:
        contract_size: What one contract is worth in units of `quote_asset`; None for USDⓈ-M, which has no contracts.
    """

    symbol: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    contract_size: Decimal | None
    contract_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All rows of one poll: stored together or not at all.

    `totals` and `raw` are there exactly when the poll is `ok`, `rejected` exactly when it is `malformed`.
    """

    environment: Environment
    poll: Poll
    totals: AccountTotals | None = None
    assets: tuple[AssetBalance, ...] = ()
    positions: tuple[Position, ...] = ()
    raw: RawPayload | None = None
    rejected: RejectedPayload | None = None
