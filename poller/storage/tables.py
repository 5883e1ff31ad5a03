"""Every table of the schema: the history's and the few small ones that give it a meaning."""

from typing import Final

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Table, func, text

from poller.observation import AssetMode, AssetModeSource, Environment, Market, PositionMode
from poller.storage.columns import SCHEMA, account, amount, instant, market, metadata, one_of, whole, words
from poller.storage.history import (
    HISTORY,
    account_totals,
    asset_balances,
    polls,
    positions,
    raw_payloads,
    rejected_payloads,
)
from poller.storage.rollups import HOURLY, rollup_queue

__all__ = (
    "HISTORY",
    "HOURLY",
    "SCHEMA",
    "account_modes",
    "account_totals",
    "accounts",
    "asset_balances",
    "contracts",
    "dropped_history",
    "metadata",
    "polls",
    "positions",
    "raw_payloads",
    "rejected_payloads",
    "rollup_queue",
    "runs",
    "schedules",
)

accounts: Final = Table(
    "accounts",
    metadata,
    account("Our permanent label of the API key; never the key."),
    words("environment", "live, testnet or simulated: which exchange the account belongs to, for ever."),
    instant("created_at", "When the label was first used, by the database's clock.", default=func.now()),
    one_of("environment", Environment),
    comment="The accounts that were ever recorded.",
)

runs: Final = Table(
    "runs",
    metadata,
    words("instance", "Identity of this run of the daemon.", key=True),
    words("recorder", "Identity of the daemon's spool: the runs of one recorder follow each other."),
    words("version", "The release that ran."),
    words("schema_revision", "Revision of the schema that it wrote to."),
    instant("started_at", "When it began to poll, in exchange time."),
    instant(
        "stopped_at",
        "When it ended in good order, in exchange time; null while it runs and after a crash.",
        nullable=True,
    ),
    words("stop_reason", "Why it ended in good order.", nullable=True),
    comment="Every run of the daemon. A run without stopped_at that another of its recorder followed has crashed.",
)

schedules: Final = Table(
    "schedules",
    metadata,
    words("recorder", "Who promised, see runs.", key=True),
    account(),
    market(),
    whole(
        "interval_seconds",
        "Seconds between two polls; ticks are the multiples of it since 1970-01-01 UTC.",
        nullable=False,
    ),
    instant("valid_from", "First instant of the promise.", key=True),
    instant("valid_to", "End of the promise, itself excluded; null while it holds.", nullable=True),
    ForeignKeyConstraint(("account",), (f"{SCHEMA}.accounts.account",)),
    one_of("market", Market),
    CheckConstraint("interval_seconds > 0", name="interval_seconds"),
    CheckConstraint("valid_from <= valid_to", name="valid_to"),
    comment="What was promised to be polled: with polls and runs it makes every expected tick countable.",
)

account_modes: Final = Table(
    "account_modes",
    metadata,
    account(),
    market(),
    instant("valid_from", "Since when the modes are known to be so, in exchange time.", key=True),
    instant("valid_to", "When others were found, itself excluded; null while these are the last known.", nullable=True),
    words(
        "asset_mode",
        "single_asset or multi_assets: whether assets share their margin; null when unknown and for coinm.",
        nullable=True,
    ),
    words(
        "position_mode", "one_way or hedge: whether long and short are kept apart; null when unknown.", nullable=True
    ),
    words("source", "Where the modes are known from: exchange, when it told them itself."),
    instant("confirmed_at", "When the modes were found to be so for the last time, in exchange time."),
    ForeignKeyConstraint(("account",), (f"{SCHEMA}.accounts.account",)),
    one_of("market", Market),
    one_of("asset_mode", AssetMode),
    one_of("position_mode", PositionMode),
    one_of("source", AssetModeSource),
    CheckConstraint("valid_from <= valid_to", name="valid_to"),
    CheckConstraint("valid_from <= confirmed_at", name="confirmed_at"),
    Index("uq_account_modes_last", "account", "market", unique=True, postgresql_where=text("valid_to IS NULL")),
    comment="The modes of the accounts over time. They are asked for every hour or so: a switch lies between "
    "confirmed_at and valid_to.",
)

contracts: Final = Table(
    "contracts",
    metadata,
    words("environment", "live, testnet or simulated: which exchange lists it, see accounts.", key=True),
    market(),
    words("symbol", "Binance: symbol.", key=True),
    words("base_asset", "Binance: baseAsset."),
    words("quote_asset", "Binance: quoteAsset: the unit of prices."),
    words("margin_asset", "Binance: marginAsset: the unit of margins, profits and notional."),
    amount("contract_size", "Binance: contractSize (coinm). What one contract is worth, in units of quote_asset."),
    words("contract_type", "Binance: contractType, such as PERPETUAL or CURRENT_QUARTER.", nullable=True),
    instant("updated_at", "When this row got its present content, by the database's clock.", default=func.now()),
    one_of("environment", Environment),
    one_of("market", Market),
    comment="What a symbol is, from the exchange's public exchangeInfo; without it no amount of positions has a unit. "
    "A symbol that is listed no more keeps its row; a new one gets it within a day.",
)

dropped_history: Final = Table(
    "dropped_history",
    metadata,
    words("history", "Name of the table of the history.", key=True),
    instant("before", "End of what was dropped, itself excluded: of earlier times, rows are missing."),
    instant("dropped_at", "When rows were dropped for the last time, by the database's clock.", default=func.now()),
    comment="How far each table of the history was dropped because of its age. Before that instant, the absence of a "
    "row says nothing.",
)
