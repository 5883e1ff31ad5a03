"""Who may spend weight of this IP, and when: one line for all polls, handshakes and REST calls of the process.

Two bounds hold whenever weight is set aside. Our own weight of a minute, sent or set aside, stays within our share of
the limit; and with what others behind the same IP have used, it stays within the limit itself. Where others are seen,
some room is left for what they spend between two replies that tell of it.
"""

import asyncio
from bisect import insort
from dataclasses import dataclass, field
from itertools import count

from poller.exchange.spent import Spent
from poller.exchange.weight import Weight

__all__ = ["Budget", "Spent", "allowance"]

_ROOM_FOR_OTHERS = 0.05
# Nothing announces a correction of the clock, which moves the turn of the minute.
_LOOK_AGAIN_SECONDS = 1.0
_ASK_AGAIN_SECONDS = 0.5


def allowance(share: float, limit: int) -> int:
    """Return the weight a minute that `share` of the IP's `limit` is, at least 1."""
    return max(1, int(share * limit + 1e-6))  # 0.29 of 2400 is 696, and 695.99… as a float


@dataclass(order=True, slots=True)
class _Waiter:
    last: float
    number: int
    weight: int = field(compare=False)
    granted: asyncio.Future[Spent | None] = field(compare=False)

    def give_up(self) -> None:
        if not self.granted.done():
            self.granted.set_result(None)


class Budget:
    """Admits what may be sent; whoever was served least recently comes first, then whoever asked first."""

    def __init__(self, weight: Weight, *, share: float) -> None:
        """Keep our own weight of each minute within `share` of the limit."""
        self._weight = weight
        self._share = share
        self._line: list[_Waiter] = []
        self._numbers = count()
        self._looking: asyncio.Handle | None = None
        self._later: asyncio.TimerHandle | None = None
        self._asked = float("-inf")

    @property
    def weight(self) -> Weight:
        """What this IP has used in this minute."""
        return self._weight

    @property
    def allowed(self) -> int:
        """The weight a minute that we may use."""
        return allowance(self._share, self._weight.limit)

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return sum(not waiter.granted.done() for waiter in self._line)

    @property
    def reason(self) -> str:
        """Why there is no room."""
        weight = self._weight
        return (
            f"the weight budget of this minute is used up (own {weight.own:,} of "
            f"{self.allowed:,}, IP {weight.own + weight.others:,} of {weight.limit:,})"
        )

    async def admit(self, weight: int, *, deadline: float, last: float = float("-inf")) -> Spent | None:
        """Set weight aside as soon as there is room and it is this one's turn; None if that is not before `deadline`.

        Args:
            weight: What the request costs. More than the whole share is admitted when nothing else is.
            deadline: By the clock of the loop.
            last: When the asker was served last, by any clock that all askers share.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(last, next(self._numbers), weight, loop.create_future())
        insort(self._line, waiter)
        self._look_soon()
        timer = loop.call_at(deadline, waiter.give_up)
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if not waiter.granted.cancelled() and (spent := waiter.granted.result()) is not None:
                spent.end()
            raise
        finally:
            timer.cancel()
            self._look_soon()

    def _look_soon(self) -> None:
        """Look when all who ask at this moment stand in line: polls of one tick are served by need, not by position."""
        if self._line and self._looking is None:
            self._looking = asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """Serve the line from its head, and come back when there may be room again."""
        self._looking = None
        if self._later is not None:
            self._later.cancel()
        self._line = [waiter for waiter in self._line if not waiter.granted.done()]
        loop = asyncio.get_running_loop()
        while self._line and self._may_go(self._line[0].weight, loop.time()):
            waiter = self._line.pop(0)
            waiter.granted.set_result(Spent(self._weight, waiter.weight, self._look_soon))
            self._asked = loop.time()
        if self._line:
            seconds = min(self._weight.opens_in, _ASK_AGAIN_SECONDS if self._weight.doubtful else _LOOK_AGAIN_SECONDS)
            self._later = loop.call_later(seconds, self._look)

    def _may_go(self, weight: int, now: float) -> bool:
        # When others may have used up everything since the last reply, a whole tick's polls would be refused at once,
        # and refusals are what an IP is banned for: one goes ahead, and the others follow when it was answered.
        if self._weight.doubtful and now < self._asked + _ASK_AGAIN_SECONDS:
            return False
        return self._has_room(weight)

    def _has_room(self, weight: int) -> bool:
        own, others, limit = self._weight.own, self._weight.others, self._weight.limit
        allowed = self.allowed
        weight = min(weight, allowed)
        left_to_others = min(others, int(limit * _ROOM_FOR_OTHERS))
        return own + weight <= allowed and own + others + weight <= limit - left_to_others
