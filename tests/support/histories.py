"""Made-up histories of a few hours: gaps, failed polls, changing modes, keys that come and go, all from one seed."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from poller.observation import AssetMode, AssetModeSource, Market, Status
from poller.records import AssetBalance, Position, Snapshot
from poller.storage.store import Store
from tests.support.database import execute
from tests.support.snapshots import balance, failed, malformed, ok, position, totals

BEGIN = datetime(2026, 1, 31, 22, 0, tzinfo=UTC)
HOURS = 5
"""Across the end of a UTC day and of a month."""

INTERVAL = 240
SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPUSDT")
CONTRACTS = """
INSERT INTO poller.contracts (environment, market, symbol, base_asset, quote_asset, margin_asset)
VALUES ('simulated', 'usdm', 'BTCUSDT', 'BTC', 'USDT', 'USDT'), ('simulated', 'usdm', 'ETHUSDT', 'ETH', 'USDT', 'USDT')
"""
"""Of XRPUSDT, nothing is known."""


def dice(seed: int) -> random.Random:
    """Return what rolls the same for the same seed."""
    return random.Random(seed)  # noqa: S311 - makes up histories, guards nothing


def _amount(chance: random.Random, lowest: int = -50, highest: int = 100) -> Decimal:
    return Decimal(chance.randint(lowest * 100, highest * 100)).scaleb(-2)


def _balance(chance: random.Random, asset: str) -> AssetBalance:
    wallet, pnl = _amount(chance), _amount(chance)
    return balance(
        asset,
        wallet_balance=wallet,
        unrealized_pnl=pnl,
        margin_balance=wallet + pnl,
        maintenance_margin=max(_amount(chance), Decimal(0)),
        cross_wallet_balance=wallet,
        cross_unrealized_pnl=pnl,
    )


def _position(chance: random.Random, symbol: str) -> Position:
    return position(
        symbol,
        position_amount=_amount(chance, -3, 3),
        notional=_amount(chance),
        unrealized_pnl=_amount(chance),
        maintenance_margin=max(_amount(chance, -5, 5), Decimal(0)),
        isolated_wallet=max(_amount(chance, -20, 20), Decimal(0)),
    )


def reply(chance: random.Random, time: datetime, account: str) -> Snapshot:
    """Return an `ok` poll with some of the assets and positions that there are."""
    wallet, pnl, margin = _amount(chance), _amount(chance), max(_amount(chance), Decimal(0))
    multi = chance.random() < 0.3
    sums = totals(
        wallet_balance=wallet, unrealized_pnl=pnl, margin_balance=wallet + pnl, maintenance_margin=margin,
        cross_wallet_balance=wallet, cross_unrealized_pnl=pnl,
    )  # fmt: skip
    return replace(
        ok(
            time,
            account=account,
            assets=tuple(_balance(chance, asset) for asset in ("USDT", "BNB") if chance.random() < 0.8),
            positions=tuple(_position(chance, symbol) for symbol in SYMBOLS if chance.random() < 0.7),
        ),
        totals=replace(
            sums,
            asset_mode=AssetMode.MULTI_ASSETS if multi else AssetMode.SINGLE_ASSET,
            asset_mode_source=AssetModeSource.CONFIG,
            totals_asset="USD" if multi else "USDT",
        ),
    )


def history(chance: random.Random, account: str) -> Sequence[Snapshot]:
    """Return the polls of `HOURS` hours; ticks are missing, alone and in a row, and some are not ok."""
    polls: list[Snapshot] = []
    silent_until = BEGIN
    for number in range(HOURS * 3600 // INTERVAL):
        time = BEGIN + timedelta(seconds=number * INTERVAL)
        kind = chance.random()
        if kind < 0.05:
            silent_until = time + timedelta(minutes=chance.randint(5, 90))
        if time < silent_until:
            continue
        if kind < 0.12:
            polls.append(failed(time, Status.TIMEOUT, account=account))
        elif kind < 0.15 and account == "main":
            polls.append(malformed(time))
        else:
            polls.append(reply(chance, time, account))
    return polls


async def store_history(url: str, store: Store, chance: random.Random) -> None:
    """Store a history of two accounts, with what was promised: another interval from the middle on."""
    for month in (BEGIN, BEGIN + timedelta(hours=HOURS)):
        execute(url, "SELECT poller.ensure_partitions(%s)", month)
    for account in ("main", "other"):
        await store.save_all(history(chance, account))
    execute(url, CONTRACTS)
    middle, end = BEGIN + timedelta(hours=2, minutes=10), BEGIN + timedelta(hours=HOURS, minutes=-20)
    for interval, since, until in ((INTERVAL, BEGIN, middle), (INTERVAL // 2, middle, end)):
        execute(
            url,
            "INSERT INTO poller.schedules (recorder, account, market, interval_seconds, valid_from, valid_to) "
            "VALUES ('spool', 'main', %s, %s, %s, %s)",
            Market.USDM.value,
            interval,
            since,
            until,
        )


def refresh(url: str) -> int:
    """Make all rollups anew that are queued; return how many hours that were."""
    hours = 0
    while finished := int(str(execute(url, "SELECT poller.refresh_rollups()")[0][0])):
        hours += finished
    return hours
