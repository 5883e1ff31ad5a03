"""Whether every promised tick is accounted for: by a row of `polls`, or by `poll_gaps` with the cause that it had."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import psycopg

from poller.observation import Entry, Observation, RunStarted, RunStopped
from poller.ticks import aligned

_TICK: Final = timedelta(seconds=1)

Series = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What became of the ticks of one recorder, each of which is due every second.

    Attributes:
        missing: Without a row.
        unaccounted: Of these, those that poll_gaps does not tell.
        wrong: Of these, those of which it tells another cause than what became of the run.
        crashed: Of these, those that a crash explains.
    """

    missing: int
    unaccounted: int
    wrong: int
    crashed: int


def account(url: str, entries: Sequence[Entry]) -> Account:
    """Compare the ledger with the entries that one recorder appended."""
    told = _told(url)
    found = [
        (told[series].get(tick), cause)
        for series, ticks in _ticks(entries).items()
        for tick, cause in _missing(ticks, entries)
    ]
    return Account(
        missing=len(found),
        unaccounted=sum(said is None for said, _ in found),
        wrong=sum(said is not None and said != cause for said, cause in found),
        crashed=sum(cause == "crashed" for _, cause in found),
    )


def _told(url: str) -> Mapping[Series, Mapping[datetime, str]]:
    told: defaultdict[Series, dict[datetime, str]] = defaultdict(dict)
    with psycopg.connect(url) as connection:
        gaps = connection.execute('SELECT account, market, "from", "to", cause FROM poller.poll_gaps')
        for name, market, first, last, cause in gaps:
            for tick in _span(first, last):
                told[name, market][tick] = cause
    return told


def _ticks(entries: Sequence[Entry]) -> Mapping[Series, Mapping[datetime, str]]:
    """Return the run that decided each tick."""
    ticks: defaultdict[Series, dict[datetime, str]] = defaultdict(dict)
    for entry in entries:
        if isinstance(entry, Observation):
            ticks[entry.account, entry.market.value][entry.time] = entry.instance
    return ticks


def _missing(ticks: Mapping[datetime, str], entries: Sequence[Entry]) -> Iterator[tuple[datetime, str]]:
    """Yield each promised tick that no entry decides, and what became of the run that owed it."""
    runs = [entry for entry in entries if isinstance(entry, RunStarted)]
    stopped = {entry.instance for entry in entries if isinstance(entry, RunStopped)}
    last: dict[str, datetime] = {}
    for tick, instance in ticks.items():
        last[instance] = max(tick, last.get(instance, tick))
    for tick in _span(_at_or_after(runs[0].started_at), max(ticks)):
        if tick not in ticks:
            owes = [run.instance for run in runs if run.started_at <= tick][-1]
            polled_on = owes in last and last[owes] > tick
            yield tick, "skipped" if polled_on else "stopped" if owes in stopped else "crashed"


def _span(first: datetime, last: datetime) -> Iterator[datetime]:
    while first <= last:
        yield first
        first += _TICK


def _at_or_after(time: datetime) -> datetime:
    before = aligned(time, _TICK)
    return before if before == time else before + _TICK
