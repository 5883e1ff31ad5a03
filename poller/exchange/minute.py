"""Where the exchange's minute begins, on a clock that nobody can set: as far as its time is known here."""

from collections.abc import Callable
from typing import Final

MINUTE: Final = 60.0

TURN: Final = 0.2
"""A clock that is measured over the network is wrong by some ms: within this of a turn either minute may be meant."""


class Minute:
    """The minute of the moment; all moments are seconds of the steady clock."""

    def __init__(self, now_ms: Callable[[], int], *, steady: Callable[[], float], measured: Callable[[], bool]) -> None:
        """Follow `now_ms`, which is the exchange's time once it was `measured`."""
        self._now_ms = now_ms
        self._steady = steady
        self._measured = measured

    @property
    def turned(self) -> float:
        """When it began, by the clock as it is."""
        return self._steady() - self._now_ms() % 60_000 / 1000

    @property
    def opened(self) -> float:
        """When it had surely begun. Until then the last one goes on: what is sent may be counted in both."""
        return self._steady() - (self._phase() if self._measured() else MINUTE - TURN)

    @property
    def opens_in(self) -> float:
        """Seconds until the next one has surely begun; a whole minute while nobody knows."""
        return MINUTE - self._phase() if self._measured() else MINUTE

    def _phase(self) -> float:
        return (self._now_ms() - round(TURN * 1000)) % 60_000 / 1000
