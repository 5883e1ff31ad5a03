"""The macro expander: the examples are those of Grafana's own tests, macros_test.go and its documentation."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.grafana.durations import parse, write
from tests.support.grafana.macros import Request, expand
from tests.support.grafana.variables import Value

REQUEST = Request(since=datetime(2018, 4, 12, 18, 0, tzinfo=UTC), until=datetime(2018, 4, 12, 18, 5, tzinfo=UTC))
TIMESCALE = Request(since=REQUEST.since, until=REQUEST.until, timescaledb=True)


@pytest.mark.parametrize(
    ("sql", "expanded"),
    [
        ("select $__time(time_column)", 'select time_column AS "time"'),
        ("select $__timeEpoch(time_column)", 'select extract(epoch from time_column) as "time"'),
        (
            "WHERE $__timeFilter(time_column)",
            "WHERE time_column BETWEEN '2018-04-12T18:00:00Z' AND '2018-04-12T18:05:00Z'",
        ),
        ("select $__timeFrom()", "select '2018-04-12T18:00:00Z'"),
        ("select $__timeTo()", "select '2018-04-12T18:05:00Z'"),
        ("GROUP BY $__timeGroup(time_column,'5m')", "GROUP BY floor(extract(epoch from time_column)/300)*300"),
        ("GROUP BY $__timeGroup(time_column , '5m')", "GROUP BY floor(extract(epoch from time_column)/300)*300"),
        ("GROUP BY $__timeGroup(c,'500ms', NULL)", "GROUP BY floor(extract(epoch from c)/0.5)*0.5"),
        ("SELECT $__timeGroup(c,'5m'), value", 'SELECT floor(extract(epoch from c)/300)*300 AS "time", value'),
        ("SELECT $__timeGroupAlias(c,'5m')", 'SELECT floor(extract(epoch from c)/300)*300 AS "time"'),
        ("$__unixEpochFilter(c)", "c >= 1523556000 AND c <= 1523556300"),
        ("$__unixEpochNanoFilter(c)", "c >= 1523556000000000000 AND c <= 1523556300000000000"),
        ("$__unixEpochFrom() $__unixEpochTo()", "1523556000 1523556300"),
        ("$__unixEpochNanoFrom() $__unixEpochNanoTo()", "1523556000000000000 1523556300000000000"),
        ("SELECT $__unixEpochGroup(c,'5m')", "SELECT floor((c)/300)*300"),
        ("SELECT $__unixEpochGroupAlias(c,'5m')", 'SELECT floor((c)/300)*300 AS "time"'),
        ("$__timeGroup(c,'$__interval') $__interval_ms", "floor(extract(epoch from c)/60)*60 60000"),
    ],
)
def test_a_macro_becomes_what_grafana_makes_of_it(sql: str, expanded: str) -> None:
    assert expand(sql, REQUEST) == expanded


def test_the_toggle_of_timescaledb_changes_the_groups() -> None:
    assert expand("$__timeGroup(time_column,'5m')", TIMESCALE) == "time_bucket('300.000s',time_column)"
    assert expand("$__timeGroupAlias(c,'5m')", TIMESCALE) == "time_bucket('300.000s',c) AS \"time\""


def test_a_fraction_of_a_second_loses_its_zeros() -> None:
    request = Request(since=REQUEST.since + timedelta(milliseconds=120), until=REQUEST.until)
    assert expand("$__timeFrom()", request) == "'2018-04-12T18:00:00.12Z'"


@pytest.mark.parametrize(
    "sql", ["$__nonsense(a)", "$__timeGroup(a)", "$__timeGroup(a,'soon')", "$__timeGroup(a,'1M')", "${symbol:soon}"]
)
def test_what_grafana_refuses_or_reads_by_the_calendar_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match=r"macro|duration|length|format"):
        expand(sql, REQUEST)


@pytest.mark.parametrize(
    ("sql", "variables", "expanded"),
    [
        ("IN ($symbol)", {"symbol": ["BTCUSDT", "it's"]}, "IN ('BTCUSDT','it''s')"),
        ("IN (${symbol})", {"symbol": ["BTCUSDT"]}, "IN ('BTCUSDT')"),
        ("IN ([[symbol]])", {"symbol": ["BTCUSDT"]}, "IN ('BTCUSDT')"),
        ("ARRAY[${symbol:sqlstring}]", {"symbol": []}, "ARRAY[]"),
        ("ARRAY[${symbol:sqlstring}]", {"symbol": ["a", "o'b"]}, "ARRAY['a','o''b']"),
        ("= ${symbol:sqlstring}", {"symbol": "o'b"}, "= 'o''b'"),
        ("${symbol:csv} ${symbol:raw}", {"symbol": ["a", "b"]}, "a,b a,b"),
        ("${symbol:json} ${one:json}", {"symbol": ["a", "b"], "one": "c"}, '["a","b"] c'),
        ("$other $symbols ${other:csv}", {"symbol": ["a"]}, "$other $symbols ${other:csv}"),
    ],
)
def test_a_variable_is_quoted_as_its_format_says(sql: str, variables: Mapping[str, Value], expanded: str) -> None:
    assert expand(sql, Request(since=REQUEST.since, until=REQUEST.until, variables=variables)) == expanded


@pytest.mark.parametrize(("sql", "value"), [("$symbol", "BTCUSDT"), ("${symbol:sqlstring}", 'say "so"')])
def test_what_versions_quote_differently_is_refused(sql: str, value: str) -> None:
    with pytest.raises(ValueError, match="versions of Grafana"):
        expand(sql, Request(since=REQUEST.since, until=REQUEST.until, variables={"symbol": value}))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1h30m", 5400), ("500ms", 0.5), ("7d", 604800), ("1w", 604800), ("-1.5h", -5400)],
)
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: float) -> None:
    assert parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "1 h", "1h 30m", "soon", "1d12h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(10, "10s"), (90, "1m"), (7200, "2h"), (86400, "1d"), (0.25, "250ms"), (0, "1ms")]
)
def test_an_interval_is_written_in_its_largest_unit(seconds: float, text: str) -> None:
    assert write(timedelta(seconds=seconds)) == text
