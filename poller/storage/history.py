"""The tables that grow with every poll.

All but `rejected_payloads` are partitioned by time, see `poller.storage.tier`. No foreign key leads from or to them:
hypertables cannot reference hypertables, so the one statement that writes them keeps them together. For the same reason
the rows of one reply need no key of their own: `polls` has it, and they are found by the poll that they belong to.
"""

from typing import Final

from sqlalchemy import Index, PrimaryKeyConstraint, Table, func

from poller.observation import AssetMode, AssetModeSource, Environment, Market, Status
from poller.storage.columns import (
    amount,
    extra,
    flag,
    history_key,
    instant,
    long,
    metadata,
    octets,
    one_of,
    small,
    whole,
    words,
)

_FULL: Final = {"fillfactor": 100}
"""Rows come in the order of time: room in the pages of an index would stay empty."""

polls: Final = Table(
    "polls",
    metadata,
    *history_key(unique=False),
    words(
        "status",
        "How the tick ended. A request was sent: ok, timeout, disconnected, rate_limited, banned, rejected, "
        "unauthorized, clock_skew, exchange_error, malformed. None was sent: paused (on purpose), disconnected "
        "(no connection), skipped (our process was late). Either: spool_full (there was no room to keep it).",
    ),
    words("replaced_status", "What status was before an ok reply replaced it; else null.", nullable=True),
    instant("requested_at", "When the request was sent, in exchange time; null when none was.", nullable=True),
    instant("received_at", "When the reply arrived, in exchange time; null when none did.", nullable=True),
    instant("stored_at", "When this row got its present content, by the database's clock.", default=func.now()),
    long("latency_ms", "Milliseconds from sending the request to receiving the reply, by a monotonic clock."),
    whole("attempts", "Requests sent for this tick.", nullable=False),
    whole("exchange_status", "Binance: status. HTTP-style status of the reply."),
    whole("error_code", "Binance: error.code, such as -1021."),
    words("error_message", "Why the tick is not ok: Binance: error.msg or our own words.", nullable=True),
    whole("weight_used", "Binance: rateLimits count. Request weight that our IP address has used in this minute."),
    whole("weight_limit", "Binance: rateLimits limit. Request weight that one IP address has in a minute."),
    long(
        "clock_offset_ms", "Milliseconds that the exchange was ahead of the host's clock; null before it was measured."
    ),
    whole("assets_seen", "Assets in the reply, zero ones included; null unless ok."),
    whole("positions_seen", "Positions in the reply, zero ones included; null unless ok."),
    words("instance", "The run that polled, see runs."),
    instant(
        "renormalized_at", "When the rows of this poll were made again from the kept reply; else null.", nullable=True
    ),
    one_of("market", Market),
    one_of("status", Status),
    PrimaryKeyConstraint("account", "market", "time"),
    comment="One row for every tick that a living process decided on, also the failed and the skipped. "
    "A tick without an ok row is unknown, see poll_gaps.",
)

account_totals: Final = Table(
    "account_totals",
    metadata,
    *history_key(unique=False),
    words(
        "asset_mode",
        "single_asset or multi_assets: whether assets share their margin; null when unknown.",
        nullable=True,
    ),
    words(
        "asset_mode_source",
        "Where asset_mode is known from: config, exchange (it told so) or payload (the totals themselves); null when "
        "asset_mode is, as it is where the exchange and the totals disagree.",
        nullable=True,
    ),
    words("totals_asset", "USDT or USD: the unit of the totals; null when unknown and for coinm.", nullable=True),
    amount("wallet_balance", "Binance: totalWalletBalance (usdm). In units of totals_asset."),
    amount("unrealized_pnl", "Binance: totalUnrealizedProfit (usdm). In units of totals_asset."),
    amount("margin_balance", "Binance: totalMarginBalance (usdm). In units of totals_asset."),
    amount("initial_margin", "Binance: totalInitialMargin (usdm). In units of totals_asset."),
    amount("maintenance_margin", "Binance: totalMaintMargin (usdm). In units of totals_asset."),
    amount("position_initial_margin", "Binance: totalPositionInitialMargin (usdm). In units of totals_asset."),
    amount("open_order_initial_margin", "Binance: totalOpenOrderInitialMargin (usdm). In units of totals_asset."),
    amount("cross_wallet_balance", "Binance: totalCrossWalletBalance (usdm). In units of totals_asset."),
    amount("cross_unrealized_pnl", "Binance: totalCrossUnPnl (usdm). In units of totals_asset."),
    amount("available_balance", "Binance: availableBalance (usdm). In units of totals_asset."),
    amount("max_withdraw_amount", "Binance: maxWithdrawAmount (usdm). In units of totals_asset."),
    whole("fee_tier", "Binance: feeTier (coinm)."),
    flag("can_trade", "Binance: canTrade (coinm)."),
    flag("can_deposit", "Binance: canDeposit (coinm)."),
    flag("can_withdraw", "Binance: canWithdraw (coinm)."),
    instant("exchange_updated_at", "Binance: updateTime (coinm); null when 0.", nullable=True),
    extra("Fields of the reply that Binance does not document; those of its envelope under $envelope."),
    PrimaryKeyConstraint("account", "market", "time"),
    one_of("market", Market),
    one_of("asset_mode", AssetMode),
    one_of("asset_mode_source", AssetModeSource),
    comment="The account-wide part of every ok poll. Totals exist for usdm only: in single-asset mode they cover USDT "
    "alone, in multi-assets mode all assets in USD.",
)

asset_balances: Final = Table(
    "asset_balances",
    metadata,
    *history_key(unique=False),
    words("asset", "Binance: asset, such as USDT or BTC: the unit of this row's amounts."),
    amount("wallet_balance", "Binance: walletBalance. In units of asset."),
    amount("unrealized_pnl", "Binance: unrealizedProfit. In units of asset."),
    amount("margin_balance", "Binance: marginBalance. In units of asset."),
    amount("maintenance_margin", "Binance: maintMargin. In units of asset."),
    amount("initial_margin", "Binance: initialMargin. In units of asset."),
    amount("position_initial_margin", "Binance: positionInitialMargin. In units of asset."),
    amount("open_order_initial_margin", "Binance: openOrderInitialMargin. In units of asset."),
    amount("cross_wallet_balance", "Binance: crossWalletBalance. In units of asset."),
    amount("cross_unrealized_pnl", "Binance: crossUnPnl. In units of asset."),
    amount(
        "available_balance",
        "Binance: availableBalance. In units of asset; in multi-assets mode the account's, converted: do not sum.",
    ),
    amount(
        "max_withdraw_amount",
        "Binance: maxWithdrawAmount. In units of asset; in multi-assets mode a virtual figure: do not sum.",
    ),
    flag("margin_available", "Binance: marginAvailable (usdm). Not a sign of the asset mode; null when not sent."),
    instant("exchange_updated_at", "Binance: updateTime: last change of this asset; null when 0.", nullable=True),
    extra("Fields of the row that Binance does not document."),
    one_of("market", Market),
    Index(None, "time", "account", postgresql_with=_FULL),
    comment="One row for every asset that is not zero in an ok poll; an asset without a row is zero at that instant.",
)

positions: Final = Table(
    "positions",
    metadata,
    *history_key(unique=False),
    words(
        "symbol",
        "Binance: symbol, such as BTCUSDT or BTCUSD_PERP; contracts has its assets and contract size.",
    ),
    words("position_side", "Binance: positionSide: BOTH in one-way mode, LONG or SHORT in hedge mode."),
    amount(
        "position_amount",
        "Binance: positionAmt. Negative when short. usdm: in units of the base asset; coinm: in contracts.",
    ),
    amount("unrealized_pnl", "Binance: unrealizedProfit. In units of the symbol's margin asset."),
    amount(
        "notional",
        "Binance: notional (usdm), notionalValue (coinm). Negative when short. In units of the symbol's margin asset.",
    ),
    amount("initial_margin", "Binance: initialMargin. In units of the symbol's margin asset."),
    amount("maintenance_margin", "Binance: maintMargin. In units of the symbol's margin asset."),
    amount("position_initial_margin", "Binance: positionInitialMargin (coinm). In units of the symbol's margin asset."),
    amount(
        "open_order_initial_margin", "Binance: openOrderInitialMargin (coinm). In units of the symbol's margin asset."
    ),
    amount("isolated_margin", "Binance: isolatedMargin (usdm). In units of the symbol's margin asset; 0 when cross."),
    amount("isolated_wallet", "Binance: isolatedWallet. In units of the symbol's margin asset; 0 when cross."),
    amount("entry_price", "Binance: entryPrice (coinm). In units of the quote asset for one unit of the base coin."),
    amount(
        "break_even_price",
        "Binance: breakEvenPrice (coinm). In units of the quote asset for one unit of the base coin.",
    ),
    amount("leverage", "Binance: leverage (coinm). A multiple; 0 on a symbol that was never touched."),
    flag("isolated", "Binance: isolated (coinm). Whether the position has a margin of its own."),
    amount(
        "max_quantity",
        "Binance: maxQty (coinm). The largest quantity that the leverage allows; Binance does not state its unit, "
        "and sends 9223372036854775807 for no limit.",
    ),
    instant("exchange_updated_at", "Binance: updateTime: last change of this position; null when 0.", nullable=True),
    extra("Fields of the row that Binance does not document."),
    one_of("market", Market),
    Index(None, "time", "account", postgresql_with=_FULL),
    comment="One row for every position that is not zero in an ok poll; one without a row is closed at that instant. "
    "The amount can be zero while orders hold margin. The margin asset of a coinm symbol is its base coin.",
)

raw_payloads: Final = Table(
    "raw_payloads",
    metadata,
    *history_key(unique=False),
    small("codec", "How body is compressed."),
    octets("body", "The reply as received, compressed."),
    one_of("market", Market),
    Index(None, "time", postgresql_using="brin", postgresql_with={"pages_per_range": 16}),
    comment="The reply behind every ok poll, kept for a limited time.",
)

rejected_payloads: Final = Table(
    "rejected_payloads",
    metadata,
    *history_key(),
    words("environment", "live, testnet or simulated: which exchange replied.", key=True),
    instant("received_at", "When the reply arrived, in exchange time.", nullable=True),
    words("reason", "Why the reply could not be normalised or stored."),
    small("codec", "How body is compressed."),
    octets(
        "body",
        "The reply, compressed: whole up to 1 MiB, else its first 64 KiB; null when none was kept.",
        nullable=True,
    ),
    long("body_bytes", "Length of the whole reply in bytes, before compression."),
    octets("body_sha256", "SHA-256 of the whole reply, before compression.", nullable=True),
    one_of("market", Market),
    one_of("environment", Environment),
    comment="Replies that could not be normalised or stored, until a release understands them; never dropped "
    "by age. One without a malformed poll is from another environment than its account or from an impossible time.",
)

HISTORY: Final = (polls, account_totals, asset_balances, positions, raw_payloads)
"""The tables that are partitioned by time."""
