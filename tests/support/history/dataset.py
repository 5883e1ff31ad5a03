"""The made-up history as records, in the order in which they were made."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Final

from poller.observation import AssetMode, Environment, Market, Status
from poller.records import Poll, Position, RawPayload, RejectedPayload, Snapshot
from tests.support.history.accounts import ACTORS, Actor, Event, apply
from tests.support.history.ledger import Ledger
from tests.support.history.listing import BEGIN, END, at
from tests.support.history.recorder import MALFORMED, REPLACED, RUNS, Failure, failure, is_silent
from tests.support.history.replies import balances_at, position_at, totals_at

_FUNDING: Final = timedelta(hours=8)
_SPOOLED: Final = (at(27, "13:30"), at(27, "14:20"))
"""Polls whose database was away: they were stored when it came back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A poll, and when it got into the database.

    Attributes:
        replacement: Whether it took the place of a poll that was not ok.
        renormalized_at: When it was made anew from the kept reply; None when it was not.
    """

    snapshot: Snapshot
    stored_at: datetime
    replacement: bool = False
    renormalized_at: datetime | None = None


@cache
def history() -> tuple[Stored, ...]:
    """Return every poll that was stored; one that was replaced comes before what replaced it."""
    polls = (stored for actor in ACTORS for stored in _polls(actor))
    return tuple(sorted(polls, key=lambda stored: (stored.replacement, stored.snapshot.poll.time)))


@cache
def snapshots() -> tuple[Snapshot, ...]:
    """Return the polls that are there in the end: each tick once, by time, account and market."""
    last = {_key(stored.snapshot): stored.snapshot for stored in history()}
    return tuple(last[key] for key in sorted(last))


def ok_snapshots() -> Iterator[Snapshot]:
    """Yield those of them that hold something."""
    return (snapshot for snapshot in snapshots() if snapshot.poll.status is Status.OK)


def _key(snapshot: Snapshot) -> tuple[datetime, str, Market]:
    return snapshot.poll.time, snapshot.poll.account, snapshot.poll.market


def _polls(actor: Actor) -> Iterator[Stored]:
    ledger = Ledger(actor.market, {asset: Decimal(amount) for asset, amount in actor.wallets.items()})
    coming: list[Event | datetime] = sorted((*actor.events, *_fundings()), key=_instant)
    for run in RUNS:
        for time in run.ticks(actor.series):
            while coming and _instant(coming[0]) <= time:
                _happen(ledger, coming.pop(0))
            if not is_silent(time):
                yield from _tick(actor, ledger, time, run.instance)


def _fundings() -> Iterator[datetime]:
    time = BEGIN + _FUNDING
    while time < END:
        yield time - timedelta(minutes=2)  # booked before the poll of its hour
        time += _FUNDING


def _instant(event: Event | datetime) -> datetime:
    return event if isinstance(event, datetime) else event.time


def _happen(ledger: Ledger, event: Event | datetime) -> None:
    if isinstance(event, datetime):
        ledger.fund(event)
    else:
        apply(ledger, event)


def _tick(actor: Actor, ledger: Ledger, time: datetime, instance: str) -> Iterator[Stored]:
    failed = failure(actor.series, time)
    found = _ok(actor, ledger, time, instance)
    stored_at = (found.poll.received_at or time) + timedelta(milliseconds=6)
    if _SPOOLED[0] <= time <= _SPOOLED[1]:
        stored_at = at(27, "14:27") + (time - _SPOOLED[0]) / 1_000_000
    if failed is None:
        yield Stored(snapshot=found, stored_at=stored_at)
        return
    yield Stored(snapshot=_failed(found, failed), stored_at=stored_at)
    if (*actor.series, time) in REPLACED:
        again = REPLACED[*actor.series, time]
        yield Stored(snapshot=found, stored_at=again or stored_at, replacement=True, renormalized_at=again)


def _ok(actor: Actor, ledger: Ledger, time: datetime, instance: str) -> Snapshot:
    mode = actor.asset_mode if time >= actor.mode_known_from else None
    positions = [position_at(ledger, key, time) for key in sorted(ledger.holdings)]
    assets = balances_at(ledger, positions, shared=mode is AssetMode.MULTI_ASSETS)
    totals = totals_at(ledger, assets, mode, time)
    poll = _poll(actor, time, instance, len(assets), len(positions))
    complete = Snapshot(
        environment=Environment.SIMULATED,
        poll=poll,
        totals=totals,
        assets=tuple(assets),
        positions=tuple(positions),
        raw=RawPayload(codec=0, body=b"{}"),
    )
    return _drifted(complete)


def _drifted(snapshot: Snapshot) -> Snapshot:
    """Take fields away and add some, as an exchange does without a word."""
    time, account, market = _key(snapshot)
    if (account, time) == ("hedge", at(1, "10:10")):
        return replace(snapshot, positions=tuple(_without(row) for row in snapshot.positions))
    if market is Market.USDM and time >= at(2, "20:00"):
        assets = tuple(replace(row, extra='{"collateralRank": 1}') for row in snapshot.assets)
        return replace(snapshot, assets=assets)
    return snapshot


def _without(row: Position) -> Position:
    return replace(row, position_amount=None, unrealized_pnl=None) if row.symbol == "SOLUSDT" else row


def _poll(actor: Actor, time: datetime, instance: str, assets: int, positions: int) -> Poll:
    minute = (time - BEGIN) // timedelta(minutes=1)
    latency = 18 + minute * 37 % 41 + (900 if minute % 1130 == 0 else 0)
    requested_at = time + timedelta(milliseconds=2)
    return Poll(
        time=time,
        account=actor.account,
        market=actor.market,
        status=Status.OK,
        requested_at=requested_at,
        received_at=requested_at + timedelta(milliseconds=latency),
        latency_ms=latency,
        attempts=1,
        exchange_status=200,
        error_code=None,
        error_message=None,
        weight_used=20 + minute * 13 % 60,
        weight_limit=2400,
        clock_offset_ms=-3 + minute // 360,
        assets_seen=8 + assets,
        positions_seen=300 + positions,
        instance=instance,
    )


def _failed(found: Snapshot, failed: Failure) -> Snapshot:
    answered = failed.exchange_status is not None
    poll = replace(
        found.poll,
        status=failed.status,
        requested_at=found.poll.requested_at if failed.attempts else None,
        received_at=found.poll.received_at if answered else None,
        latency_ms=found.poll.latency_ms if answered else None,
        attempts=failed.attempts,
        exchange_status=failed.exchange_status,
        error_code=failed.error_code,
        error_message=failed.message,
        weight_used=found.poll.weight_used if answered else None,
        weight_limit=found.poll.weight_limit if answered else None,
        assets_seen=None,
        positions_seen=None,
    )
    rejected = None
    if failed is MALFORMED:
        rejected = RejectedPayload(
            environment=Environment.SIMULATED, received_at=poll.received_at, reason=failed.message, codec=0,
            body=b"{", body_bytes=1, body_sha256=bytes(32),
        )  # fmt: skip
    return Snapshot(environment=Environment.SIMULATED, poll=poll, rejected=rejected)
