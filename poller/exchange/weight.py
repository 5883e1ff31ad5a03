"""How much of the IP's weight is used up in this minute of the exchange, and how much of that is our own.

The exchange counts a request in the minute in which it arrives, and tells the count of the whole IP with its replies.
When a request arrives is not known here: after it was sent and before its answer. So it counts in every minute that
this span touches, and what was sent is kept on a clock that nobody can set: when the exchange's time turns out to be
another, the same requests are counted again by where the minute begins now.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from poller.exchange.messages import RateLimit
from poller.exchange.minute import MINUTE, TURN, Minute

_ABSURD = 1_000_000

DEFAULT_LIMIT = 2400
"""The weight that one IP has in a minute, unless the exchange tells another."""

_FRESH = 2.0
_COMPANY = 600.0


class _Past(NamedTuple):
    """A request that is over: when it ended, and whether the exchange's count of that time holds it."""

    ended: float
    weight: int
    told: bool


class _Told(NamedTuple):
    """The exchange's count for the IP: with the request of `sent`, known here since `known`."""

    used: int
    sent: float
    known: float


class Weight:
    """Counts the weight of a minute: what was sent from here, or what the exchange says if that is more.

    Both markets, their REST interfaces and everything else behind the same IP draw on one budget, so only the exchange
    knows the whole; and only this side knows what is still on its way.
    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        *,
        limit: int = DEFAULT_LIMIT,
        steady: Callable[[], float] = time.monotonic,
        measured: Callable[[], bool] = lambda: True,
    ) -> None:
        """Count nothing so far.

        Args:
            now_ms: The exchange's time, which may be corrected at any moment.
            limit: Holds until the exchange tells its own.
            steady: Seconds that nobody can set, by the clock of the loop.
            measured: Whether `now_ms` is the exchange's time. Until it is, nobody knows where its minutes begin, and
                any 60 seconds count as one.
        """
        self._now_ms = now_ms
        self._limit = limit
        self._steady = steady
        self._minute = Minute(now_ms, steady=steady, measured=measured)
        self._aside = 0
        self._sent = 0
        self._past: deque[_Past] = deque()
        self._told = _Told(0, float("-inf"), float("-inf"))
        self._heard = self._company = float("-inf")

    @property
    def used(self) -> int:
        """Weight used in this minute: as sent from here, or as the exchange told if that is more."""
        turn = self._minute.turned
        own = self._sent + sum(past.weight for past in self._past if past.ended >= turn)
        return max(own, self._told.used if self._told.sent >= turn else 0)

    @property
    def limit(self) -> int:
        """Weight that one IP has in a minute."""
        return self._limit

    @property
    def own(self) -> int:
        """Our own weight that this minute may hold by the exchange's counting, with what is set aside."""
        since = self._minute.opened - 2 * TURN
        return self._aside + self._sent + sum(past.weight for past in self._past if past.ended >= since)

    @property
    def others(self) -> int:
        """Weight that others behind this IP have used in this minute, as far as the exchange told."""
        opened = self._minute.opened
        if self._told.sent < opened:
            return 0
        known = (
            past.weight for past in self._past if past.ended >= opened and (past.told or past.ended < self._told.sent)
        )
        return max(0, self._told.used - sum(known))

    @property
    def doubtful(self) -> bool:
        """Whether others were seen lately who may have used up everything since the exchange told last."""
        now = self._steady()
        return now < self._company + _COMPANY and now > self._heard + _FRESH

    @property
    def opens_in(self) -> float:
        """Seconds until the next minute has surely begun."""
        return self._minute.opens_in

    def set_aside(self, weight: int) -> None:
        """Count weight that is about to be sent, in whichever minute that will be."""
        self._aside += weight

    def give_back(self, weight: int) -> None:
        """No longer count weight that was set aside."""
        self._aside -= weight

    def send(self, weight: int) -> float:
        """Count weight that goes out now, until it is `over` and in that minute; return the moment."""
        self._sent += weight
        return self._steady()

    def over(self, weight: int, *, counted: bool) -> None:
        """Count weight that was sent as part of what is past: it was answered, or no answer is awaited any more.

        Args:
            weight: What `send` counted.
            counted: Whether the exchange's count that came with the answer was believed.
        """
        now = self._steady()
        self._sent -= weight
        self._past.append(_Past(now, weight, counted))
        while self._past[0].ended < now - MINUTE - 3 * TURN:
            self._past.popleft()

    def tell(self, count: int, *, sent: float) -> bool:
        """Take in the exchange's count that came with the answer of a request; tell whether it is believed.

        The count of a request that was on its way when the minute turned may be that of the last minute, and holding
        to it would waste this one. A count that is lower than one that was known before the request was sent is of a
        new minute, whatever the clock says.
        """
        opened = self._minute.opened
        if sent < opened or not 0 <= count < _ABSURD:
            return False
        if self._told.sent < opened or count >= self._told.used or sent > self._told.known:
            self._told = _Told(count, sent, self._steady())
        self._heard = self._steady()
        if count > self.own:
            self._company = self._heard
        return True

    def answer(self, rate_limits: Iterable[RateLimit], *, sent: float) -> bool:
        """Take in what a reply tells of the weight of one minute; tell whether its count is believed."""
        believed = False
        for told in rate_limits:
            is_ours = (told.rate_limit_type, told.interval, told.interval_num) == ("REQUEST_WEIGHT", "MINUTE", 1)
            if is_ours and 0 < told.limit < _ABSURD:
                self._limit = told.limit
                believed = self.tell(told.count, sent=sent)
        return believed
