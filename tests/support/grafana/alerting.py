"""Alert rules from files, evaluated as Grafana does: the last value of each series against what it must not exceed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tests.support.grafana.macros import Request, expand

Labels = frozenset[tuple[str, str]]

_ABOVE = re.compile(r"\$B > ([0-9.]+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it stands in a file."""

    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the alert is called."""
        return str(self.content["title"])

    @property
    def sql(self) -> str:
        """The query, as the database gets it now."""
        now = datetime.now(UTC)
        seconds = self._data["A"]["relativeTimeRange"]["from"]
        return expand(self._data["A"]["model"]["rawSql"], Request(since=now - timedelta(seconds=seconds), until=now))

    def values(self, url: str) -> dict[Labels, float]:
        """Return the last value of each series.

        Raises:
            AssertionError: Grafana would not take the answer for time series.
        """
        with psycopg.connect(url, options="-c default_transaction_read_only=on") as connection:
            cursor = connection.execute(self.sql.encode())
            columns = [(column.name, column.type_display) for column in cursor.description or ()]
            rows = cursor.fetchall()
        (time, *names, value) = columns
        assert time == ("time", "timestamptz")
        assert {kind for _, kind in names} == {"text"}
        assert value == ("value", "float8")
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)
        found: dict[Labels, float] = {}
        for _, *labels, last in rows:
            series = frozenset((name, label) for (name, _), label in zip(names, labels, strict=True))
            assert None not in dict(series).values()
            assert series not in found, "two values of one series at one time"
            found[series] = last
        return found

    def fires(self, url: str) -> set[Labels]:
        """Return the series for which it fires; one without labels where it is the lack of data that does."""
        expressions = {ref: datum["model"] for ref, datum in self._data.items() if ref != "A"}
        assert expressions.keys() == {"B", "C"}
        assert (expressions["B"]["type"], expressions["B"]["reducer"]) == ("reduce", "last")
        assert (expressions["C"]["type"], self.content["condition"]) == ("math", "C")
        above = _ABOVE.fullmatch(expressions["C"]["expression"])
        assert above
        values = self.values(url)
        if not values and self.content["noDataState"] == "Alerting":
            return {frozenset()}
        return {series for series, value in values.items() if value > float(above[1])}

    @property
    def _data(self) -> dict[str, Any]:
        return {datum["refId"]: datum for datum in self.content["data"]}
