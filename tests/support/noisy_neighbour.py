"""An IP's pool of weight as the exchange counts it, a neighbour in it, and a clock that is wrong about its minutes."""

import asyncio
import random
from dataclasses import dataclass
from typing import Final

from tests.support.virtual_time import VirtualTimeLoop

LIMIT: Final = 160
_EPOCH_MS: Final = 1_763_726_400_000
_HOUR_MS: Final = 3_600_000


@dataclass(slots=True)
class Pool:
    """What the exchange counts for the IP, minute by minute of its own clock, which is that of the loop."""

    chance: random.Random
    minute: int = -1
    own: int = 0
    neighbour: int = 0
    blow_at: float = 0.0
    steady: float = 0.0
    worst_own: int = 0
    worst_total: int = 0
    filled: int = 0
    refused: int = 0

    def arrive(self, weight: int, now: float) -> int:
        """Count a request of ours and return the count that its reply tells."""
        self.advance(now)
        self.refused += self.own + self.neighbour + weight > LIMIT
        self.own += weight
        return self.own + self.neighbour

    def advance(self, now: float) -> None:
        """Let the neighbour spend until `now`."""
        while self.minute < now // 60:
            self._neighbour_until(60.0)
            self._turn()
        self._neighbour_until(now % 60)

    def _neighbour_until(self, second: float) -> None:
        wanted = LIMIT if second >= self.blow_at else int(self.steady * second)
        self.neighbour = max(self.neighbour, min(wanted, LIMIT - self.own))

    def _turn(self) -> None:
        self.worst_own = max(self.worst_own, self.own)
        self.worst_total = max(self.worst_total, self.own + self.neighbour)
        self.filled += self.own + self.neighbour >= LIMIT
        self.minute += 1
        self.own = self.neighbour = 0
        mood = self.chance.random()
        self.steady = self.chance.uniform(0, LIMIT / 50) if mood < 0.4 else 0.0
        self.blow_at = self.chance.uniform(0, 60) if 0.3 < mood < 0.6 else 61.0


@dataclass(slots=True)
class Clock:
    """The poller's idea of the exchange's time: measured again and again, and for some minutes not at all."""

    loop: VirtualTimeLoop
    chance: random.Random
    off_ms: float = 0.0
    measured: bool = False

    def now_ms(self) -> int:
        return int(_EPOCH_MS + self.loop.time() * 1000 + self.off_ms)

    def is_measured(self) -> bool:
        return self.measured

    async def run(self) -> None:
        while True:
            self.measured = self.chance.random() < 0.9
            if self.measured:
                self.off_ms = self.chance.uniform(-100, 100)
            else:
                self.off_ms = self.chance.choice((-_HOUR_MS, 0, _HOUR_MS)) + self.chance.uniform(-30_000, 30_000)
            await asyncio.sleep(self.chance.uniform(60, 1200))
