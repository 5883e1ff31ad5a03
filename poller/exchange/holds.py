"""What must not be asked now: the whole address, a market or an account, each because the exchange said so.

Every hold is counted on the steady clock, for a correction of the exchange's time must neither shorten a ban nor
stretch a pause.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from poller.exchange.clock import ExchangeClock
from poller.exchange.messages import RemoteError
from poller.exchange.silence import LONGEST_BAN_SECONDS, MOST_MARGIN_SECONDS, Told, ban_seconds, pause_seconds
from poller.exchange.verdict import Action, Verdict, overheard
from poller.observation import Market

_SPREAD_SECONDS: Final = 1.0
_FIRST_BACK_OFF_SECONDS: Final = 1.0
_LONGEST_BACK_OFF_SECONDS: Final = 60.0
_FIRST_PROBE_SECONDS: Final = 300.0
_LATER_PROBE_SECONDS: Final = 900.0

Uniform = Callable[[float, float], float]
Key = tuple[str, Market]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Something that is left alone for a while.

    Attributes:
        action: Why, in one word.
        until: In exchange time, by the clock at the moment when the hold began.
        seconds: How long from then.
        reason: What the exchange said, without addresses.
        account: Whom it concerns; None for all.
        market: Which market it concerns; None for the whole address.
    """

    action: Action
    until: datetime
    seconds: float
    reason: str
    account: str | None = None
    market: Market | None = None


@dataclass(slots=True)
class _Held:
    hold: Hold
    ends: float
    times: int = 1


class Holds:
    """All holds of one process, which has one way out and so one address."""

    def __init__(
        self, clock: ExchangeClock, report: Callable[[Hold], None] | None = None, *, uniform: Uniform = random.uniform
    ) -> None:
        """Hold nothing.

        Args:
            clock: Exchange time, and the steady clock that holds are counted on.
            report: Told each hold when it begins or grows.
            uniform: Draws a number between two.
        """
        self._clock = clock
        self._report = report
        self._uniform = uniform
        self._address: _Held | None = None
        self._markets: dict[Market, _Held] = {}
        self._accounts: dict[Key, _Held] = {}

    def reason(self, account: str, market: Market) -> str | None:
        """Tell why this account must not be asked for now; None when it may."""
        for held in (self._address, self._markets.get(market), self._accounts.get((account, market))):
            if held is not None and held.ends > self._clock.steady():
                return f"{_WORDS[held.hold.action]} until {held.hold.until:%Y-%m-%d %H:%M:%S} UTC: {held.hold.reason}"
        return None

    def refuses(self, account: str, market: Market) -> bool:
        """Tell whether the exchange refuses this account itself."""
        held = self._accounts.get((account, market))
        return held is not None and held.ends > self._clock.steady()

    def silent_seconds(self) -> float:
        """Return for how long nothing at all may be sent from this address."""
        return 0.0 if self._address is None else max(0.0, self._address.ends - self._clock.steady())

    def apply(
        self,
        verdict: Verdict,
        market: Market,
        *,
        reason: str,
        account: str | None = None,
        error: RemoteError | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        """Do what a verdict asks for.

        Args:
            verdict: On a reply, a handshake or a REST request.
            market: Where.
            reason: Why, fit to be stored: it is told of every poll that is held back.
            account: Whose; None when it was nobody's in particular.
            error: What the exchange said with it.
            retry_after_seconds: HTTP's word on how long to stay away.
        """
        action = verdict.action
        told = Told(
            error=error,
            retry_after_seconds=retry_after_seconds,
            now_ms=self._clock.now_ms(),
            is_guess=self._clock.offset_ms is None,
        )
        match action:
            case Action.PAUSE:
                self._hold_address(action, pause_seconds(told) + self._uniform(0.0, _SPREAD_SECONDS), reason)
            case Action.BAN:
                self._hold_address(action, ban_seconds(told), reason)
            case Action.BACK_OFF:
                self._back_off(market, reason)
            case Action.REFUSE | Action.ALERT if account is not None:
                self._refuse((account, market), action, reason)

    def overhear(self, market: Market, body: bytes) -> None:
        """Do what a frame asks for that answers no live request."""
        verdict, error = overheard(body)
        # Whose key it may name is not known, so its words are not repeated.
        self.apply(verdict, market, reason=f"code {error.code}" if error else "maintenance", error=error)

    def restore(self, seconds: float) -> None:
        """Go on with a ban that another run of this program was told of, for that long."""
        if seconds > 0:
            seconds = min(seconds, LONGEST_BAN_SECONDS + MOST_MARGIN_SECONDS)
            self._hold_address(Action.BAN, seconds, "an earlier run was told so")

    def succeeded(self, account: str, market: Market) -> None:
        """Forget what spoke against an account and its market: a reply to it was good."""
        self._accounts.pop((account, market), None)
        self._markets.pop(market, None)

    def _hold_address(self, action: Action, seconds: float, reason: str) -> None:
        ends = self._clock.steady() + seconds
        if self._address is None or ends > self._address.ends:
            self._address = _Held(self._hold(action, seconds, reason), ends)

    def _back_off(self, market: Market, reason: str) -> None:
        held, now = self._markets.get(market), self._clock.steady()
        if held is not None and held.ends > now:
            return  # the other polls of the tick that was already answered so
        times = 1 if held is None else held.times + 1
        bound = min(_LONGEST_BACK_OFF_SECONDS, _FIRST_BACK_OFF_SECONDS * 2 ** min(times, 10))
        seconds = self._uniform(bound / 2, bound)
        self._markets[market] = _Held(self._hold(Action.BACK_OFF, seconds, reason, market=market), now + seconds, times)

    def _refuse(self, key: Key, action: Action, reason: str) -> None:
        account, market = key
        held = self._accounts.get(key)
        times = 1 if held is None else held.times + 1
        seconds = _FIRST_PROBE_SECONDS if times == 1 else _LATER_PROBE_SECONDS
        hold = self._hold(action, seconds, reason, account=account, market=market)
        self._accounts[key] = _Held(hold, self._clock.steady() + seconds, times)

    def _hold(
        self, action: Action, seconds: float, reason: str, *, account: str | None = None, market: Market | None = None
    ) -> Hold:
        until = self._clock.now() + timedelta(seconds=seconds)
        hold = Hold(action=action, until=until, seconds=seconds, reason=reason, account=account, market=market)
        if self._report is not None:
            self._report(hold)
        return hold


_WORDS: Final = {
    Action.PAUSE: "the exchange asked for silence",
    Action.BAN: "the exchange has banned this address",
    Action.BACK_OFF: "the market is left alone",
    Action.REFUSE: "the exchange refuses this account, which is asked for again after a rest",
    Action.ALERT: "the exchange rejects the request, which is made again after a rest",
}
