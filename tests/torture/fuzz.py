"""Mutated replies through the real socket, the real poll, spool and writer into a real database."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Final

from poller.storage.schema import upgrade
from tests.support.database import new_database
from tests.support.fuzz.rounds import fuzzing
from tests.support.heard import heard
from tests.torture.terms import Figure, Terms

NAME = "mutated replies through the real socket"

_SHOWN: Final = 20
_FAULTS_OF_OURS: Final = (
    "poll failed unexpectedly", "normalising failed unexpectedly", "listener failed", "entry refused by the database",
    "poll refused",
)  # fmt: skip


async def torture(chance: random.Random, terms: Terms) -> AsyncIterator[Figure]:
    """Poll, in turns, replies that are mutated and replies that are not, and compare what was stored of each."""
    polls = 600 if terms.short else 10_000
    with new_database(terms.server, extension=False) as url, heard() as events:
        await asyncio.to_thread(upgrade, url, lambda _: None)
        async with fuzzing(chance, url, terms.folder) as fuzz:
            await fuzz.run(polls)
        yield Figure(name="mutated replies", value=fuzz.mutated, bound=f">= {polls}")
        faults = [name for name in _FAULTS_OF_OURS if events[name]]
        for name in faults:
            print(events.first[name])  # noqa: T201 - what a figure cannot tell
        yield Figure(name="errors of our own", value=sum(events[name] for name in faults), bound="<= 0")
        yield Figure(name="exceptions that nobody awaited", value=fuzz.unhandled, bound="<= 0")
    for name, number in sorted(fuzz.statuses.items()):
        yield Figure(name=f"stored as {name}", value=number)
    for wrong in fuzz.wrong[:_SHOWN]:
        print(wrong)  # noqa: T201 - what a figure cannot tell
    yield Figure(name="replies without a poll, a reason or their bytes", value=len(fuzz.wrong), bound="<= 0")
    yield Figure(name="good polls in between", value=fuzz.good)
    yield Figure(name="good polls that failed", value=fuzz.good_failed, bound="<= 0")
    yield Figure(name="growth of memory in MB", value=round(fuzz.growth / 1e6, 1), bound="< 64")
