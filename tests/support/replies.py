"""Replies to normalise: small, valid, and easy to bend."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from poller.codec import compress
from poller.observation import Environment, Market, Observation, Status

FIXTURES = Path(__file__).parent.parent / "fixtures"
TIME = datetime(2026, 11, 21, 12, 0, 10, tzinfo=UTC)

Json = dict[str, Any]  # replies are bent in every way, so that no narrower type is true


def usdm_asset(asset: str, wallet: str = "0.00000000", **fields: object) -> Json:
    amounts = dict.fromkeys(
        (
            "unrealizedProfit", "maintMargin", "initialMargin", "positionInitialMargin", "openOrderInitialMargin",
            "crossUnPnl",
        ),
        "0.00000000",
    )  # fmt: skip
    held = dict.fromkeys(
        ("walletBalance", "marginBalance", "crossWalletBalance", "availableBalance", "maxWithdrawAmount"), wallet
    )
    return {"asset": asset, **held, **amounts, "updateTime": 0, **fields}


def usdm_position(symbol: str, amount: str = "0.000", **fields: object) -> Json:
    amounts = dict.fromkeys(
        ("unrealizedProfit", "isolatedMargin", "notional", "isolatedWallet", "initialMargin", "maintMargin"), "0"
    )
    return {"symbol": symbol, "positionSide": "BOTH", "positionAmt": amount, **amounts, "updateTime": 0, **fields}


def usdm_result(*, total: str = "0.00000000", **fields: object) -> Json:
    held = dict.fromkeys(
        (
            "totalWalletBalance", "totalMarginBalance", "totalCrossWalletBalance", "availableBalance",
            "maxWithdrawAmount",
        ),
        total,
    )  # fmt: skip
    amounts = dict.fromkeys(
        (
            "totalInitialMargin", "totalMaintMargin", "totalUnrealizedProfit", "totalPositionInitialMargin",
            "totalOpenOrderInitialMargin", "totalCrossUnPnl",
        ),
        "0.00000000",
    )  # fmt: skip
    return {**amounts, **held, "assets": [], "positions": [], **fields}


def coinm_position(symbol: str, amount: str = "0", **fields: object) -> Json:
    amounts = dict.fromkeys(
        (
            "initialMargin", "maintMargin", "unrealizedProfit", "positionInitialMargin", "openOrderInitialMargin",
            "entryPrice", "notionalValue", "isolatedWallet", "breakEvenPrice",
        ),
        "0.00000000",
    )  # fmt: skip
    return {
        "symbol": symbol, "positionSide": "BOTH", "positionAmt": amount, **amounts, "leverage": "20",
        "isolated": False, "maxQty": "1000", "updateTime": 0, **fields,
    }  # fmt: skip


def coinm_result(**fields: object) -> Json:
    flags = dict.fromkeys(("canTrade", "canDeposit", "canWithdraw"), True)
    return {"feeTier": 0, **flags, "updateTime": 0, "assets": [], "positions": [], **fields}


def envelope(result: object, **fields: object) -> bytes:
    document = {"id": "1", "status": 200, "result": result, "rateLimits": [], **fields}
    return json.dumps(document, ensure_ascii=False).encode()


def observed(market: Market, body: bytes, **fields: Any) -> Observation:
    codec, compressed = compress(market, body)
    values: dict[str, Any] = {
        "environment": Environment.SIMULATED,
        "account": "main",
        "time": TIME,
        "status": None,
        "requested_at": TIME,
        "received_at": TIME,
        "latency_ms": 12,
        "attempts": 1,
        "instance": "run-1",
    }
    return Observation(market=market, codec=codec, body=compressed, **(values | fields))


def unanswered(status: Status, **fields: Any) -> Observation:
    return observed(Market.USDM, b"", status=status, **fields)
