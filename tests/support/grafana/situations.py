"""Writes what the database tells of accounts, up to the present moment."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString

import psycopg

STEP: Final = timedelta(minutes=10)
"""The interval of what is recorded: so long that all of it is as old as it should be on a slow machine, too."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_ACCOUNT: LiteralString = """
INSERT INTO poller.accounts (account, environment) VALUES (%(account)s, 'simulated') ON CONFLICT DO NOTHING
"""
_PROMISE: LiteralString = """
INSERT INTO poller.schedules (recorder, account, market, interval_seconds, valid_from, valid_to)
VALUES ('spool', %(account)s, %(market)s, extract(epoch FROM %(step)s::interval)::integer, %(since)s, %(until)s)
"""
_POLL: LiteralString = """
INSERT INTO poller.polls (
    time, account, market, status, requested_at, received_at, stored_at, latency_ms, attempts, error_message,
    weight_used, weight_limit, clock_offset_ms, instance
)
SELECT time, %(account)s, %(market)s, %(status)s, sent, sent + INTERVAL '12 milliseconds', time + %(stored_after)s, 12,
    1, %(message)s, %(weight)s, 2400, %(offset_ms)s, 'run'
FROM unnest(%(times)s::timestamptz[]) AS time
CROSS JOIN LATERAL (SELECT CASE WHEN %(status)s <> 'paused' THEN time END AS sent) AS request
"""
_TOTALS: LiteralString = """
INSERT INTO poller.account_totals (
    time, account, market, asset_mode, asset_mode_source, totals_asset, maintenance_margin, cross_wallet_balance,
    cross_unrealized_pnl, extra
)
SELECT time, %(account)s, %(market)s, mode, CASE WHEN mode IS NOT NULL THEN 'exchange' END,
    CASE mode WHEN 'single_asset' THEN 'USDT' WHEN 'multi_assets' THEN 'USD' END,
    %(needed)s::numeric, %(had)s::numeric, 0, %(extra)s::jsonb
FROM unnest(%(times)s::timestamptz[]) AS time
CROSS JOIN LATERAL (SELECT CASE %(market)s WHEN 'usdm' THEN %(mode)s END AS mode) AS known
"""
_ASSET: LiteralString = """
INSERT INTO poller.asset_balances (
    time, account, market, asset, maintenance_margin, cross_wallet_balance, cross_unrealized_pnl, extra
)
SELECT time, %(account)s, %(market)s, 'USDT', %(needed)s::numeric, %(had)s::numeric, 0, %(extra)s::jsonb
FROM unnest(%(times)s::timestamptz[]) AS time
"""
_CONTRACT: LiteralString = """
INSERT INTO poller.contracts (environment, market, symbol, base_asset, quote_asset, margin_asset)
VALUES ('simulated', %(market)s, 'BTCUSDT', 'BTC', 'USDT', 'USDT') ON CONFLICT DO NOTHING
"""
_POSITION: LiteralString = """
INSERT INTO poller.positions (
    time, account, market, symbol, position_side, position_amount, notional, unrealized_pnl, maintenance_margin,
    isolated_wallet
)
SELECT time, %(account)s, %(market)s, 'BTCUSDT', 'LONG', 1, 50000, 0, %(needed)s::numeric, %(had)s::numeric
FROM unnest(%(times)s::timestamptz[]) AS time
"""
_USUAL: Final[dict[str, Any]] = {
    "market": "usdm",
    "message": None,
    "weight": 40,
    "stored_after": timedelta(milliseconds=20),
    "offset_ms": 3,
    "mode": "single_asset",
    "needed": None,
    "had": None,
    "extra": None,
}


class Recorded:
    """A history that is written. Its ticks are counted back from the present one, which is 0."""

    def __init__(self, connection: psycopg.Connection, *, step: timedelta = STEP) -> None:
        self._connection = connection
        self._step = step
        self._newest = _EPOCH + (datetime.now(UTC) - _EPOCH) // step * step

    def promise(self, account: str, since: int = 40, until: int | None = None, **told: object) -> None:
        """Promise to poll an account from one tick until before another."""
        [begin] = self._times([since])
        self._connection.execute("SELECT poller.ensure_partitions(%s)", [begin])
        span = {"since": begin, "until": None if until is None else self._times([until])[0]}
        self._write([], {"account": account, "step": self._step, **span, **told}, _ACCOUNT, _PROMISE)

    def poll(self, account: str, ticks: Iterable[int], status: str = "ok", **told: object) -> None:
        """Write polls, and the account-wide part of those that are `ok`."""
        self._write(
            ticks, {"account": account, "status": status, **told}, _POLL, *([_TOTALS] if status == "ok" else [])
        )

    def asset(self, account: str, ticks: Iterable[int], needed: str, had: str, **told: object) -> None:
        """Write what the cross pool of USDT needed and had."""
        self._write(ticks, {"account": account, "needed": needed, "had": had, **told}, _ASSET)

    def isolated(self, account: str, ticks: Iterable[int], needed: str, had: str) -> None:
        """Write what an isolated long position in BTCUSDT needed and had."""
        self._write(ticks, {"account": account, "needed": needed, "had": had}, _CONTRACT, _POSITION)

    def _write(self, ticks: Iterable[int], told: dict[str, Any], *statements: LiteralString) -> None:
        for statement in statements:
            self._connection.execute(statement, {**_USUAL, **told, "times": self._times(ticks)})

    def _times(self, ticks: Iterable[int]) -> Sequence[datetime]:
        return [self._newest - tick * self._step for tick in ticks]
