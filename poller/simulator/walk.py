"""Seeded chance as a pure function of time: equal seeds and instants give equal numbers in every process.

A walk that is summed step by step would have to be replayed from its start for every question. Noise of several
periods, whose size grows with the square root of the period as a random walk's does, can be asked for any instant.
"""

from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from itertools import starmap

_DRAW_BYTES = 6
_DRAWS = Decimal(256**_DRAW_BYTES)
_SHORTEST_PERIOD_MS = 8_000
_SHORTEST_SWING = Decimal("0.0006")
_OCTAVES = tuple((_SHORTEST_PERIOD_MS * 4**octave, _SHORTEST_SWING * 2**octave) for octave in range(8))


@lru_cache(maxsize=1 << 16)
def draw(seed: int, *names: str | int) -> Decimal:
    """Draw a number of [0, 1) that belongs to these names."""
    digest = blake2b("/".join(map(str, (seed, *names))).encode(), digest_size=_DRAW_BYTES).digest()
    return int.from_bytes(digest) / _DRAWS


def between(chance: Decimal, low: Decimal, high: Decimal) -> Decimal:
    """Stretch a drawn number to [low, high)."""
    return low + chance * (high - low)


def walk(seed: int, name: str, at_ms: int) -> Decimal:
    """Return the relative deviation of `name` from its long-term mean, within ±16 %."""

    def octave(period_ms: int, swing: Decimal) -> Decimal:
        return swing * _noise(seed, name, period_ms, at_ms)

    return sum(starmap(octave, _OCTAVES), start=Decimal(0))


def _noise(seed: int, name: str, period_ms: int, at_ms: int) -> Decimal:
    index, into_ms = divmod(at_ms, period_ms)
    left = draw(seed, name, period_ms, index)
    right = draw(seed, name, period_ms, index + 1)
    return 2 * (left + (right - left) * into_ms / period_ms) - 1
