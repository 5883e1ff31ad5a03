"""`${NAME}` in the file's values → the environment's values.

`$${` stands for a literal `${`; every other `$` is itself. What a variable holds is taken as it is: no second round.
"""

import re
from collections.abc import Mapping

from poller.config.document import Tree
from poller.config.problems import Location, Problems, shown

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)\})?")


def expand(tree: Tree, environ: Mapping[str, str], problems: Problems) -> tuple[Tree, frozenset[Location]]:
    """Return the tree with every reference replaced, and where there were any.

    A value whose variable is missing or empty is left out and reported.
    """
    expansion = _Expansion(environ, problems)
    return expansion.mapping(tree, ()), frozenset(expansion.replaced)


class _Expansion:
    def __init__(self, environ: Mapping[str, str], problems: Problems) -> None:
        self._environ = environ
        self._problems = problems
        self.replaced: set[Location] = set()

    def mapping(self, values: Tree, location: Location) -> Tree:
        expanded = {key: self._value(value, (*location, key)) for key, value in values.items()}
        return {key: value for key, value in expanded.items() if value is not None}

    def _value(self, value: object, location: Location) -> object:
        if isinstance(value, dict):
            return self.mapping(value, location)
        if isinstance(value, list):
            return [self._value(item, (*location, index)) for index, item in enumerate(value)]
        return self._text(value, location) if isinstance(value, str) else value

    def _text(self, text: str, location: Location) -> str | None:
        faults = [fault for match in _REFERENCE.finditer(text) if (fault := self._fault(match))]
        if faults:
            self._problems.add_lost(location, "; ".join(dict.fromkeys(faults)))
            return None
        if any(match[1] for match in _REFERENCE.finditer(text)):
            self.replaced.add(location)
        return _REFERENCE.sub(lambda match: self._environ[match[1]] if match[1] else "${", text)

    def _fault(self, match: re.Match[str]) -> str | None:
        if match[0] == "$${":
            return None
        if match[1] is None:
            return "`${` must be followed by the name of an environment variable and `}`; `$${` is a literal `${`"
        if match[1] not in self._environ:
            return f"environment variable {shown(match[1])} is not set"
        return None if self._environ[match[1]] else f"environment variable {shown(match[1])} is empty"
