"""When what changes rarely is asked for again, and what is known of it meanwhile. No sockets: the time is passed in.

All times are seconds of one clock that nobody can set.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from poller.observation import AssetMode, AssetModeSource, PositionMode

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_BELIEVED: Final = 3 * _HOUR
_SPREAD: Final = 0.1

Uniform = Callable[[float, float], float]


class Refresh:
    """At start, on schedule, sooner when it is wanted, later when it failed; not together with those of others."""

    def __init__(self, *, every: float, uniform: Uniform = random.uniform) -> None:
        """Be due at once, and then about `every` seconds after each success; `uniform` draws what spreads attempts."""
        self._every = every
        self._uniform = uniform
        self._due = self._begun = float("-inf")
        self._failures = 0

    def is_due(self, now: float) -> bool:
        """Tell whether an attempt is to be made."""
        return now >= self._due

    def begin(self, now: float) -> None:
        """An attempt begins; one that is never heard of again is repeated."""
        self._begun = now
        self._due = now + _MINUTE

    def succeed(self, now: float) -> None:
        """It succeeded."""
        self._failures = 0
        self._due = now + self._every * self._uniform(1 - _SPREAD, 1 + _SPREAD)

    def fail(self, now: float, *, at_least: float = 0.0) -> None:
        """It failed; the exchange may have asked for a pause."""
        pause = min(_MINUTE * 2 ** min(self._failures, 10), _HOUR)
        self._due = now + max(at_least, pause * self._uniform(1, 1 + _SPREAD))
        self._failures += 1

    def want(self, now: float, *, spacing: float) -> None:
        """There is a reason to ask sooner: `spacing` after the last attempt, but not before the pause for a failure."""
        if not self._failures:
            self._due = min(self._due, max(now, self._begun + spacing))


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModes:
    """What an observation says of the modes that its reply was made under."""

    asset_mode: AssetMode | None = None
    asset_mode_source: AssetModeSource | None = None
    position_mode: PositionMode | None = None


class Modes:
    """The modes of one account: asked for hourly, and within a minute when a reply contradicts them.

    A configured asset mode wins over what is told; it is asked for all the same, since the position mode comes with it.
    """

    def __init__(self, configured: AssetMode | None = None, *, uniform: Uniform = random.uniform) -> None:
        self.refresh = Refresh(every=_HOUR, uniform=uniform)
        self._configured = configured
        self._told: tuple[AssetMode | None, PositionMode | None] = (None, None)
        self._told_at = float("-inf")
        self._is_in_doubt = False
        self._patience = _MINUTE

    def tell(self, asset_mode: AssetMode | None, position_mode: PositionMode | None, now: float) -> None:
        """The exchange told them."""
        # Replies that contradict what was confirmed just now will go on to do so: each time it is less of a reason.
        confirmed = self._is_in_doubt and self._told == (asset_mode, position_mode)
        self._patience = min(2 * self._patience, _HOUR) if confirmed else _MINUTE
        self._is_in_doubt = False
        self._told = asset_mode, position_mode
        self._told_at = now
        self.refresh.succeed(now)

    def contradict(self, now: float) -> None:
        """A reply shows that they may have been switched."""
        self._is_in_doubt = True
        self.refresh.want(now, spacing=self._patience)

    def age(self, now: float) -> float:
        """Return how long ago the exchange told them; infinity before it did."""
        return now - self._told_at

    def known(self, now: float) -> KnownModes:
        """Return what is to be taken for true: what was told hours ago, and could not be confirmed, is not."""
        asset_mode, position_mode = self._told if self.age(now) <= _BELIEVED else (None, None)
        if self._configured is not None:
            source: AssetModeSource | None = AssetModeSource.CONFIG
        else:
            source = AssetModeSource.EXCHANGE if asset_mode else None
        return KnownModes(
            asset_mode=self._configured or asset_mode, asset_mode_source=source, position_mode=position_mode
        )


class ListedContracts:
    """The symbols of one market: daily, and at most hourly when one is held that is not listed."""

    def __init__(self, *, uniform: Uniform = random.uniform) -> None:
        self.refresh = Refresh(every=24 * _HOUR, uniform=uniform)
        self._listed: frozenset[str] = frozenset()

    def tell(self, symbols: Iterable[str], now: float) -> None:
        """The exchange listed them. Those that it lists no more stay known, for their rows stay too."""
        self._listed |= frozenset(symbols)
        self.refresh.succeed(now)

    def hold(self, symbols: Iterable[str], now: float) -> None:
        """Positions are held in them."""
        if not self._listed.issuperset(symbols):
            self.refresh.want(now, spacing=_HOUR)
