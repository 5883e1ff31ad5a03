"""The variables of a dashboard in a query, put in by Grafana's browser side before it sends the query."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

Value = str | Sequence[str]
"""One value, as a repeated panel has it; or those that are selected in a variable of several values."""

_REFERENCE: Final = re.compile(r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}", re.ASCII)


def interpolate(sql: str, variables: Mapping[str, Value]) -> str:
    """Put the values of variables in; a name that is none of theirs stays as it is.

    Raises:
        ValueError: The format is none of Grafana's, or its versions write the value differently.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2] or match[4]
        return _FORMATS[match[3] or match[6] or ""](variables[name]) if name in variables else match[0]

    for form in (match[3] or match[6] for match in _REFERENCE.finditer(sql)):
        if form and form not in _FORMATS:
            raise ValueError(f"format {form} of a variable")
    return _REFERENCE.sub(value, sql)


def _default(value: Value) -> str:
    # Up to Grafana 12 one value of a multi-value variable, such as a repeated panel's, is quoted; later it is not.
    if _several(value) is not value:
        raise ValueError(f"one value, {value!r}, without a format: versions of Grafana quote it differently")
    return _sql_string(value)


def _sql_string(value: Value) -> str:
    # Newer versions also put a backslash before a double quote, which is wrong in PostgreSQL.
    if '"' in "".join(value):
        raise ValueError(f"a double quote in {value!r}: versions of Grafana quote it differently")
    return ",".join("'" + one.replace("'", "''") + "'" for one in _several(value))


def _csv(value: Value) -> str:
    return ",".join(_several(value))


def _json(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(list(value), separators=(",", ":"), ensure_ascii=False)


def _several(value: Value) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


_FORMATS: Final[Mapping[str, Callable[[Value], str]]] = {
    "": _default,
    "sqlstring": _sql_string,
    "csv": _csv,
    "raw": _csv,
    "json": _json,
}
