"""Where daemons live and die, and what the exchange, the log and the spool have seen of them."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from poller.observation import Market, Observation
from poller.simulator import SimulatedExchange
from tests.support.exchange import METHODS
from tests.torture.program import PATIENCE_SECONDS, Program, Workplace
from tests.torture.truth import Witness


@dataclass(slots=True)
class Place:
    """A workplace, and what was seen of it.

    Attributes:
        unkept: Replies that were acknowledged, by the requests that followed them, and are not in the spool.
        told: The polls that the log called stored, with the status that they had.
        sockets: On which lives before this one have asked.
    """

    workplace: Workplace
    witness: Witness
    unkept: int = 0
    told: dict[tuple[str, str, str], str] = field(default_factory=dict)
    sockets: set[int] = field(default_factory=set)

    def requests(self) -> Counter[tuple[str, Market]]:
        """Count what the exchange was asked by the present life."""
        return Counter(
            (seen.label, seen.market)
            for seen in tuple(self.workplace.exchange.journal.requests)
            if seen.label and seen.connection not in self.sockets and seen.method in METHODS.values()
        )

    @classmethod
    def of(cls, folder: Path, exchange: SimulatedExchange, database_url: str, accounts: Sequence[str]) -> Self:
        """Make one; nobody else may poll at its exchange."""
        workplace = Workplace(folder, exchange, database_url, accounts)
        return cls(workplace, Witness(workplace.spool))

    async def polls(self) -> None:
        """Wait for the first poll of the present life."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.workplace.exchange.journal.wait_until(lambda _: bool(self.requests()))

    async def bury(self, program: Program) -> None:
        """Look at what a life has left."""
        asked = self.requests()
        journal = self.workplace.exchange.journal
        self.sockets |= {seen.connection for seen in journal.requests}
        kept: Counter[tuple[str, Market]] = Counter()
        for entry in await asyncio.to_thread(self.witness.look):
            if isinstance(entry, Observation):
                kept[entry.account, entry.market] += entry.attempts
        self.unkept += sum(max(0, number - 1 - kept[series]) for series, number in asked.items())
        for event in program.events:
            if event["event"] == "poll stored":
                self.told[event["time"], event["account"], event["market"]] = event["status"]
