"""What is wrong with a configuration: every fault with its path in the file, and no value ever.

A value may be a secret in the wrong place, so messages name paths, rules and environment variables only.
"""

from collections.abc import Callable, Mapping

Location = tuple[str | int, ...]
"""Where a value stands in the file: keys and list positions."""

_LONGEST_SHOWN = 40
"""A key of the exchange has 64 characters; no key of the file is as long as this."""


def shown(word: str) -> str:
    """Return a word of the file as it may be printed: a long one could be a secret that lost its key."""
    if len(word) <= _LONGEST_SHOWN and word.isprintable():
        return word
    return f"<{len(word)} characters>"


def written(location: Location) -> str:
    """Return a location as `accounts[0].api_key`."""
    if not location:
        return "the top level"
    parts = [f"[{part}]" if isinstance(part, int) else f".{shown(part)}" for part in location]
    return "".join(parts).removeprefix(".")


class Problems:
    """All faults found so far, in any order, and the values that had to be given up."""

    def __init__(self) -> None:
        self._found: list[tuple[Location, str]] = []
        self._lost: set[Location] = set()

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, location: Location, text: str) -> None:
        """Record a fault."""
        self._found.append((location, text))

    def add_lost(self, location: Location, text: str) -> None:
        """Record a fault that leaves no usable value; what follows from a value already lost is not recorded."""
        if not self.lost(location):
            self.add(location, text)
            self.lose(location)

    def lose(self, location: Location) -> None:
        """Give up a value whose fault is recorded elsewhere."""
        self._lost.add(location)

    def lost(self, location: Location) -> bool:
        """Tell whether this value, or what it is part of, was given up."""
        return any(location[:length] in self._lost for length in range(len(location) + 1))

    def damaged(self, location: Location) -> bool:
        """Tell whether this value, what it is part of, or a part of it was given up."""
        return self.lost(location) or any(lost[: len(location)] == location for lost in self._lost)

    def messages(self, order: Callable[[Location], int], names: Mapping[Location, str]) -> list[str]:
        """Return one `path: what is wrong` for each fault, sorted by `order`; `names` replaces single paths."""
        found = sorted(self._found, key=lambda problem: order(problem[0]))
        return [f"{names.get(location) or written(location)}: {text}" for location, text in found]
