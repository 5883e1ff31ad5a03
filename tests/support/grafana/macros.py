"""The macros of Grafana's data source for PostgreSQL, expanded as its Go source does: macros.go, sql_engine.go."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.support.grafana.durations import parse, write
from tests.support.grafana.variables import Value, interpolate

_MACRO: Final = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a query is asked for: by a panel, a variable or an alert rule."""

    since: datetime
    until: datetime
    interval: timedelta = timedelta(minutes=1)
    timescaledb: bool = False  # the toggle of the data source
    variables: Mapping[str, Value] = field(default_factory=dict)


def expand(sql: str, request: Request) -> str:
    """Write a query as the database gets it: variables first, then the interval, then the macros.

    Raises:
        ValueError: Grafana would refuse the query, or its versions would write it differently.
    """
    milliseconds = request.interval // timedelta(milliseconds=1)
    sql = (
        interpolate(sql, request.variables)
        .replace("$__interval_ms", str(milliseconds))
        .replace("$__interval", write(request.interval))
        .replace("$__unixEpochFrom()", str(_nanoseconds(request.since) // 10**9))
        .replace("$__unixEpochTo()", str(_nanoseconds(request.until) // 10**9))
    )

    def value(match: re.Match[str]) -> str:
        name, arguments = match[1], [argument.strip(" ") for argument in match[2].split(",")]
        # $__timeGroup with a comma right after it names its column, for the sake of old queries.
        if name == "__timeGroup" and sql.split(match[0], maxsplit=1)[1].startswith(","):
            name = "__timeGroupAlias"
        if name not in _MACROS:
            raise ValueError(f"unknown macro {name}")
        return _MACROS[name](request, arguments)

    return _MACRO.sub(value, sql)


def _time_filter(request: Request, arguments: Sequence[str]) -> str:
    return f"{arguments[0]} BETWEEN {_literal(request.since)} AND {_literal(request.until)}"


def _time_group(request: Request, arguments: Sequence[str]) -> str:
    seconds = _group_seconds(arguments)
    if request.timescaledb:
        return f"time_bucket('{seconds:.3f}s',{arguments[0]})"
    return f"floor(extract(epoch from {arguments[0]})/{_number(seconds)})*{_number(seconds)}"


def _epoch_group(_: Request, arguments: Sequence[str]) -> str:
    seconds = _number(_group_seconds(arguments))
    return f"floor(({arguments[0]})/{seconds})*{seconds}"


def _epoch_filter(request: Request, arguments: Sequence[str]) -> str:
    since, until = _nanoseconds(request.since) // 10**9, _nanoseconds(request.until) // 10**9
    return f"{arguments[0]} >= {since} AND {arguments[0]} <= {until}"


def _epoch_nano_filter(request: Request, arguments: Sequence[str]) -> str:
    since, until = _nanoseconds(request.since), _nanoseconds(request.until)
    return f"{arguments[0]} >= {since} AND {arguments[0]} <= {until}"


def _group_seconds(arguments: Sequence[str]) -> float:
    if len(arguments) < 2:
        raise ValueError("the macro needs time column and interval and optional fill value")
    if len(arguments) == 3 and arguments[2] not in {"NULL", "previous"}:
        float(arguments[2])  # how gaps are filled is done to the answer, not in the query
    return parse(arguments[1].strip("'"))


def _literal(time: datetime) -> str:
    """Write a time as Go's RFC3339Nano does: without the zeros that end a fraction."""
    utc = time.astimezone(UTC)
    fraction = f".{utc.microsecond:06}".rstrip("0").rstrip(".")
    return f"'{utc:%Y-%m-%dT%H:%M:%S}{fraction}Z'"


def _nanoseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000


def _number(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds.is_integer() else str(seconds)


_MACROS: Final[Mapping[str, Callable[[Request, Sequence[str]], str]]] = {
    "__time": lambda _, arguments: f'{arguments[0]} AS "time"',
    "__timeEpoch": lambda _, arguments: f'extract(epoch from {arguments[0]}) as "time"',
    "__timeFilter": _time_filter,
    "__timeFrom": lambda request, _: _literal(request.since),
    "__timeTo": lambda request, _: _literal(request.until),
    "__timeGroup": _time_group,
    "__timeGroupAlias": lambda request, arguments: f'{_time_group(request, arguments)} AS "time"',
    "__unixEpochFilter": _epoch_filter,
    "__unixEpochNanoFilter": _epoch_nano_filter,
    "__unixEpochNanoFrom": lambda request, _: str(_nanoseconds(request.since)),
    "__unixEpochNanoTo": lambda request, _: str(_nanoseconds(request.until)),
    "__unixEpochGroup": _epoch_group,
    "__unixEpochGroupAlias": lambda request, arguments: f'{_epoch_group(request, arguments)} AS "time"',
}
