"""`python -m tests.support.budget_simulation SEED MINUTES ACCOUNTS`: drives the weight budget through minutes.

The budget and the event loop are the real ones, the time is not. The exchange counts each request when it arrives, on
its own clock; the poller's clock is wrong by up to 0.1 s, and by an hour and some seconds until it is measured.
A neighbour behind the same IP spends nothing, or steadily, or all there is at one blow. The limit is small, so that a
simulated minute costs little to run.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from poller.exchange.budget import Budget, Spent, allowance
from poller.exchange.messages import RateLimit
from poller.exchange.weight import Weight
from tests.support.noisy_neighbour import LIMIT, Clock, Pool
from tests.support.virtual_time import VirtualTimeLoop

SHARE: Final = 0.5
POLL_WEIGHT: Final = 5
_INTERVALS: Final = (20, 30)


@dataclass(slots=True)
class Line:
    """One (account, market): when it was served, and how it fared."""

    interval: int
    last: float = float("-inf")
    counts: Counter[str] = field(default_factory=Counter)
    overtaken: Counter[int] = field(default_factory=Counter)
    worst: int = 0


class Simulation:
    """All that spends weight, and the exchange that counts it."""

    def __init__(self, loop: VirtualTimeLoop, seed: int, accounts: int) -> None:
        self.chance, neighbour, clock = (random.Random(seed + number) for number in range(3))  # noqa: S311 - repeatable
        self.loop = loop
        self.pool = Pool(neighbour)
        self.clock = Clock(loop, clock)
        weight = Weight(self.clock.now_ms, limit=LIMIT, steady=loop.time, measured=self.clock.is_measured)
        self.budget = Budget(weight, share=SHARE)
        self.lines = [Line(_INTERVALS[account % len(_INTERVALS)]) for account in range(accounts) for _ in range(2)]

    async def run(self, minutes: int) -> None:
        """Let everybody spend for some minutes."""
        spenders = [self.clock.run(), self._handshakes(), self._rest_calls(), *map(self._polls, self.lines)]
        tasks = [asyncio.create_task(spender) for spender in spenders]
        done, _ = await asyncio.wait(tasks, timeout=minutes * 60, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.pool.advance((minutes + 1) * 60)

    async def _polls(self, line: Line) -> None:
        while True:
            now = self.loop.time()
            tick = (now // line.interval + 1) * line.interval
            await asyncio.sleep(tick - now)
            deadline = tick + min(10.0, 0.8 * line.interval)
            spent = await self.budget.admit(POLL_WEIGHT, deadline=deadline, last=line.last)
            if spent is None:
                line.counts["paused"] += 1
                continue
            self._served(line, delayed=self.loop.time() > tick + 1)
            with spent:
                await self._request(spent, POLL_WEIGHT, deadline)

    def _served(self, line: Line, *, delayed: bool) -> None:
        line.counts["sent"] += 1
        line.counts["delayed"] += delayed
        line.last = self.loop.time()
        line.worst = max((line.worst, *line.overtaken.values()))
        line.overtaken.clear()
        for other in self.lines:
            if other.interval == line.interval and other is not line:
                other.overtaken[id(line)] += 1

    async def _request(self, spent: Spent, weight: int, deadline: float, *, rest: bool = False) -> None:
        """Send after waiting for the socket, arrive some time later, and answer after that or never."""
        chance = self.chance
        if chance.random() < 0.05:
            await asyncio.sleep(chance.uniform(0, 3))
        spent.send()
        way = chance.uniform(0.005, 0.06) if chance.random() < 0.95 else chance.uniform(0, 6)
        await asyncio.sleep(way)
        count = self.pool.arrive(weight, self.loop.time())
        back = chance.uniform(0.005, 0.06) if chance.random() < 0.97 else chance.uniform(0, 12)
        await asyncio.sleep(max(0.0, min(back, deadline - self.loop.time())))
        if back > deadline - self.loop.time():
            return
        if rest:
            spent.told(count)
        else:
            spent.answer(_told(count))

    async def _handshakes(self) -> None:
        while True:
            await asyncio.sleep(self.chance.expovariate(1 / 1200))
            await self._once(5, seconds=60)

    async def _rest_calls(self) -> None:
        while True:
            await asyncio.sleep(600)
            for _ in range(5):
                await self._once(1, seconds=10, rest=True)

    async def _once(self, weight: int, *, seconds: float, rest: bool = False) -> None:
        deadline = self.loop.time() + seconds
        spent = await self.budget.admit(weight, deadline=deadline)
        if spent is not None:
            with spent:
                await self._request(spent, weight, deadline, rest=rest)

    def report(self) -> Iterator[str]:
        """Yield what came of it, line by line."""
        pool, counts, allowed = self.pool, self.counts(), allowance(SHARE, LIMIT)
        yield f"minutes                 {pool.minute:>9,}, of which the pool was full in {pool.filled:,}"
        yield f"worst own minute        {pool.worst_own:>9,} of {allowed:,} (share {SHARE} of {LIMIT:,})"
        yield f"worst minute of the IP  {pool.worst_total:>9,} of {LIMIT:,}"
        yield f"refused requests (429)  {pool.refused:>9,}"
        yield f"polls                   {counts['sent']:>9,} sent, {counts['delayed']:,} of them delayed"
        yield f"                        {counts['paused']:>9,} paused"
        yield f"longest starvation      {self.starvation():>9,} polls of another account between two of one"

    def counts(self) -> Counter[str]:
        """Return how the polls of all accounts fared."""
        return sum((line.counts for line in self.lines), Counter())

    def starvation(self) -> int:
        """Return how often at most one was served between two services of another with the same interval."""
        return max(line.worst for line in self.lines)


def _told(count: int) -> tuple[RateLimit]:
    return (RateLimit("REQUEST_WEIGHT", "MINUTE", 1, LIMIT, count),)


def simulate(seed: int, minutes: int, accounts: int) -> Simulation:
    """Return what came of `minutes` simulated minutes; the same seed gives the same."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualTimeLoop)
        simulation = Simulation(loop, seed, accounts)
        runner.run(simulation.run(minutes))
    return simulation


if __name__ == "__main__":
    sys.stdout.write("\n".join(simulate(*map(int, sys.argv[1:4])).report()) + "\n")
