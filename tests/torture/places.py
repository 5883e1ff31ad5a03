"""Where daemons live and die, and what the exchange, the log and the spool have seen of them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from poller.observation import Entry, Market, Observation
from poller.simulator import SimulatedExchange
from poller.ticks import EPOCH, aligned
from tests.support.exchange import METHODS
from tests.torture.program import PATIENCE_SECONDS, Program, Workplace
from tests.torture.truth import Witness

Ticks = Mapping[tuple[str, Market], AbstractSet[datetime]]

_INTERVAL: Final = timedelta(seconds=1)
_POLLS: Final = frozenset(METHODS.values())


@dataclass(slots=True)
class Place:
    """A workplace, and what was seen of it.

    Attributes:
        unkept: Ticks of which no entry is in the spool, although the same life asked for a later one.
        told: The polls that the log called stored, with the status that they had.
        sockets: On which lives before this one have asked.
    """

    workplace: Workplace
    witness: Witness
    unkept: int = 0
    told: dict[tuple[str, str, str], str] = field(default_factory=dict)
    sockets: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, folder: Path, exchange: SimulatedExchange, database_url: str, accounts: Sequence[str]) -> Self:
        """Make one; nobody else may poll at its exchange."""
        workplace = Workplace(folder, exchange, database_url, accounts)
        return cls(workplace, Witness(workplace.spool))

    def asked(self) -> Ticks:
        """Tell for which ticks the present life has asked, be it several times: a request is made within its tick."""
        asked: defaultdict[tuple[str, Market], set[datetime]] = defaultdict(set)
        for seen in tuple(self.workplace.exchange.journal.requests):
            if seen.label and seen.timestamp_ms and seen.connection not in self.sockets and seen.method in _POLLS:
                made = EPOCH + timedelta(milliseconds=seen.timestamp_ms)
                asked[seen.label, seen.market].add(aligned(made, _INTERVAL))
        return asked

    async def polls(self) -> None:
        """Wait for the first poll of the present life."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.workplace.exchange.journal.wait_until(lambda _: bool(self.asked()))

    async def bury(self, program: Program) -> None:
        """Look at what a life that has ended has left."""
        exchange = self.workplace.exchange
        async with asyncio.timeout(PATIENCE_SECONDS):
            # What the dead has sent is read after its death, too, and would count as asked by the next life.
            while exchange.connections:  # noqa: ASYNC110 - the simulator tells nobody that a socket has ended
                await asyncio.sleep(0.01)
        asked = self.asked()
        self.sockets |= {seen.connection for seen in exchange.journal.requests}
        kept = _ticks(await asyncio.to_thread(self.witness.look))
        self.unkept += sum(len(ticks - {max(ticks)} - kept.get(series, set())) for series, ticks in asked.items())
        for event in program.events:
            if event["event"] == "poll stored":
                self.told[event["time"], event["account"], event["market"]] = event["status"]


def _ticks(entries: Iterable[Entry]) -> Ticks:
    ticks: defaultdict[tuple[str, Market], set[datetime]] = defaultdict(set)
    for entry in entries:
        if isinstance(entry, Observation):
            ticks[entry.account, entry.market].add(entry.time)
    return ticks
