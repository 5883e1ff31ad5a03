"""How much of the IP's budget of this minute is used up."""

from collections.abc import Callable, Iterable

from poller.exchange.messages import RateLimit

_LIMIT = 2400
_MINUTE_MS = 60_000


class Weight:
    """Counts the weight of a minute: what was spent here, or what the exchange says if that is more.

    Both markets, their REST interfaces and everything else behind the same IP draw on one budget, so only the exchange
    knows the whole; and only this side knows what is still on its way.
    """

    def __init__(self, now_ms: Callable[[], int], *, limit: int = _LIMIT) -> None:
        """Count the minutes of `now_ms`, the exchange's time; `limit` holds until the exchange tells its own."""
        self._now_ms = now_ms
        self._limit = limit
        self._minute = 0
        self._spent = 0
        self._told = 0

    @property
    def used(self) -> int:
        """Weight used in this minute."""
        self._turn()
        return max(self._spent, self._told)

    @property
    def limit(self) -> int:
        """Weight that one IP has in a minute."""
        return self._limit

    def spend(self, weight: int) -> None:
        """Count something that is about to be sent."""
        self._turn()
        self._spent += weight

    def observe(self, rate_limits: Iterable[RateLimit], *, sent_ms: int | None = None) -> None:
        """Count what a reply tells.

        Args:
            rate_limits: Of its envelope; those that are not of the weight of one minute are passed over.
            sent_ms: When its request was sent, in exchange time. The count of a reply that was on its way when the
                minute turned may be that of the last minute, and is not believed.
        """
        self._turn()
        for told in rate_limits:
            if (told.rate_limit_type, told.interval, told.interval_num) == ("REQUEST_WEIGHT", "MINUTE", 1):
                self._limit = told.limit
                if sent_ms is None or sent_ms // _MINUTE_MS == self._minute:
                    self._told = max(self._told, told.count)

    def _turn(self) -> None:
        minute = self._now_ms() // _MINUTE_MS
        if minute != self._minute:
            self._minute, self._spent, self._told = minute, 0, 0
