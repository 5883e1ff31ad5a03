"""What a scenario is given, and what it tells."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
}
_BOUND: Final = re.compile(r"(<=|>=|<|>|==) (-?[0-9]+(?:\.[0-9]+)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a scenario is given.

    Attributes:
        folder: An empty directory of its own.
        server: The administrator's address of a PostgreSQL of its own, which is durable and may be killed.
        short: Whether it has half a minute, or up to ten.
    """

    folder: Path
    server: str
    short: bool

    def within(self, seconds: float) -> str:
        """Return the bound for what takes so long at most; beside other tests it may take ten times as long."""
        return f"<= {10 * seconds if self.short else seconds:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something that was measured.

    Attributes:
        name: With its unit.
        value: A NaN keeps no bound.
        bound: Such as `<= 0` or `>= 1000`; empty for a figure that is only told.
    """

    name: str
    value: float
    bound: str = ""

    def __post_init__(self) -> None:
        if self.bound and not _BOUND.fullmatch(self.bound):
            raise ValueError(f"figure {self.name!r}: the bound {self.bound!r} is not of the form '<= 5'")

    @property
    def holds(self) -> bool:
        """Whether the value keeps its bound."""
        found = _BOUND.fullmatch(self.bound)
        return found is None or _COMPARISONS[found[1]](self.value, float(found[2]))
