"""Spools in the states that tests need."""

from datetime import UTC, datetime, timedelta

from poller.errors import SpoolFullError
from poller.observation import Environment, Market, Observation
from poller.spool import Spool

_TIME = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def fill(spool: Spool) -> None:
    """Fill a spool until it has no room even for a note."""
    number = 0
    for length in (50_000, 0):
        try:
            while True:
                await spool.append(_entry(number, length))
                number += 1
        except SpoolFullError:
            continue
    for length in (1000, 100, 10):
        try:
            while True:
                await spool.remember(f"filler {number}", bytes(length))
                number += 1
        except SpoolFullError:
            continue


def _entry(number: int, length: int) -> Observation:
    return Observation(
        environment=Environment.SIMULATED,
        account="main",
        market=Market.USDM,
        time=_TIME + timedelta(seconds=number),
        status=None,
        body=bytes(length),
        instance="one",
    )
