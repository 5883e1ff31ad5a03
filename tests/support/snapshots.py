"""Snapshots as the normaliser makes them, without one."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from poller.observation import Environment, Market, Status
from poller.records import AccountTotals, AssetBalance, Poll, Position, RawPayload, RejectedPayload, Snapshot

TICK = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
"""An instant at which every interval of a few seconds has a tick."""


def _unknown(record: type, known: Mapping[str, object]) -> dict[str, Any]:
    return {field.name: known.get(field.name) for field in fields(record)}


def tick(number: int, *, interval_seconds: int = 10) -> datetime:
    """Return the instant of a tick, counted from TICK."""
    return TICK + timedelta(seconds=number * interval_seconds)


def poll_row(
    time: datetime = TICK, status: Status = Status.OK, *, account: str = "main", instance: str = "run"
) -> Poll:
    """Return the row of a poll."""
    return Poll(
        time=time,
        account=account,
        market=Market.USDM,
        status=status,
        requested_at=time,
        received_at=time + timedelta(milliseconds=12),
        latency_ms=12,
        attempts=1,
        exchange_status=200,
        error_code=None,
        error_message=None,
        weight_used=10,
        weight_limit=2400,
        clock_offset_ms=-3,
        assets_seen=8,
        positions_seen=5,
        instance=instance,
    )


def totals(**amounts: Decimal) -> AccountTotals:
    """Return totals of which only the given amounts are known."""
    return AccountTotals(**_unknown(AccountTotals, amounts))


def balance(asset: str, **amounts: Decimal) -> AssetBalance:
    """Return a balance of which only the given amounts are known."""
    return AssetBalance(**_unknown(AssetBalance, {"asset": asset, **amounts}))


def position(symbol: str, **amounts: Decimal) -> Position:
    """Return a position of which only the given amounts are known."""
    return Position(**_unknown(Position, {"symbol": symbol, "position_side": "BOTH", **amounts}))


def ok(
    time: datetime = TICK,
    *,
    instance: str = "run",
    account: str = "main",
    assets: tuple[AssetBalance, ...] = (balance("USDT", wallet_balance=Decimal("1.50")),),
    positions: tuple[Position, ...] = (position("BTCUSDT", position_amount=Decimal("-0.001")),),
) -> Snapshot:
    """Return an `ok` snapshot."""
    return Snapshot(
        environment=Environment.SIMULATED,
        poll=poll_row(time, account=account, instance=instance),
        totals=totals(wallet_balance=Decimal("1.50")),
        assets=assets,
        positions=positions,
        raw=RawPayload(codec=1, body=b"as received"),
    )


def failed(
    time: datetime = TICK, status: Status = Status.TIMEOUT, *, instance: str = "run", account: str = "main"
) -> Snapshot:
    """Return a snapshot without a reply."""
    return Snapshot(environment=Environment.SIMULATED, poll=poll_row(time, status, account=account, instance=instance))


def malformed(time: datetime = TICK, *, instance: str = "run", reason: str = "truncated") -> Snapshot:
    """Return a snapshot of a reply that could not be normalised."""
    payload = RejectedPayload(
        environment=Environment.SIMULATED,
        received_at=time,
        reason=reason,
        codec=1,
        body=b"half a re",
        body_bytes=9,
        body_sha256=bytes(32),
    )
    return replace(failed(time, Status.MALFORMED, instance=instance), rejected=payload)
