"""Change the comments of amounts in views that did not say their unit or their origin.

Revises: 8a3e5b7d9f10
"""

from alembic import op

revision = "496fee93f483"
down_revision = "8a3e5b7d9f10"

_OF_POSITIONS = {
    "quantity": "How much is held, negative when short. usdm: position_amount; coinm: notionalValue, which is "
    "position_amount * contract_size / mark_price. In units of base_asset.",
    "leverage": "Binance: leverage (coinm), as it is set. A multiple; null for usdm, whose replies lack it.",
    "effective_leverage": "Derived: |exposure| / what stands behind it. A multiple. Isolated: isolated_wallet + "
    "unrealized_pnl; cross: cross_wallet_balance + cross_unrealized_pnl of margin_asset, shared with other positions; "
    "null in multi-assets mode, where that is in another unit.",
}

_COMMENTS = {
    "position_states": _OF_POSITIONS,
    "latest_positions": _OF_POSITIONS,
    "equity": {
        "wallet_balance": "Binance: walletBalance (totalWalletBalance where scope is account). In units of asset.",
        "unrealized_pnl": "Binance: unrealizedProfit (totalUnrealizedProfit where scope is account). In units of "
        "asset.",
    },
    "exposure": {
        "long_exposure": "Sum of exposure where it is positive. In units of margin_asset; null when there is none.",
        "short_exposure": "Sum of exposure where it is negative. In units of margin_asset; null when there is none.",
        "unrealized_pnl": "Sum of unrealized_pnl of position_states. In units of margin_asset.",
    },
    "margin_pools": {
        "margin_ratio": "A ratio: maintenance_margin / margin_balance; liquidation is at 1; null when margin_balance "
        "is not positive.",
    },
    "position_events": {
        "previous_amount": "position_amount at previous_time, 0 when there was no position. usdm: in units of the base "
        "asset; coinm: in contracts.",
        "change": "position_amount - previous_amount. usdm: in units of the base asset; coinm: in contracts.",
    },
}

_FORMER_OF_POSITIONS = {
    "quantity": "How much of base_asset is held, negative when short. usdm: position_amount; coinm: notionalValue, "
    "which is position_amount * contract_size / mark price.",
    "leverage": "Binance: leverage (coinm), as it is set; null for usdm, whose replies lack it.",
    "effective_leverage": "Derived: |exposure| / what stands behind it. Isolated: isolated_wallet + unrealized_pnl; "
    "cross: cross_wallet_balance + cross_unrealized_pnl of margin_asset, shared with other positions; null in "
    "multi-assets mode, where that is in another unit.",
}

_FORMER_COMMENTS = {
    "position_states": _FORMER_OF_POSITIONS,
    "latest_positions": _FORMER_OF_POSITIONS,
    "equity": {
        "wallet_balance": "Binance: walletBalance. In units of asset.",
        "unrealized_pnl": "Binance: unrealizedProfit. In units of asset.",
    },
    "exposure": {
        "long_exposure": "Sum of the positive ones. In units of margin_asset; null when there is none.",
        "short_exposure": "Sum of the negative ones. In units of margin_asset; null when there is none.",
        "unrealized_pnl": "Sum of unrealized_pnl. In units of margin_asset.",
    },
    "margin_pools": {
        "margin_ratio": "maintenance_margin / margin_balance: liquidation is at 1; null when margin_balance is not "
        "positive.",
    },
    "position_events": {
        "previous_amount": "position_amount at previous_time, 0 when there was no position.",
        "change": "position_amount - previous_amount.",
    },
}


def upgrade() -> None:
    _comment(_COMMENTS)


def downgrade() -> None:
    _comment(_FORMER_COMMENTS)


def _comment(comments: dict[str, dict[str, str]]) -> None:
    for view, columns in comments.items():
        for column, comment in columns.items():
            op.execute(f"COMMENT ON COLUMN poller.{view}.{column} IS '{comment}'")
