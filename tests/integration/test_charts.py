"""The chart functions: an aligned grid, the last ok poll of each step, null for unknown and 0 for absent."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from poller.storage.store import Store
from tests.support.database import execute
from tests.support.histories import BEGIN, HOURS, dice, refresh, store_history

END = BEGIN + timedelta(hours=HOURS)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHARTS: Mapping[str, tuple[str, tuple[str, ...], Mapping[str, str]]] = {
    "chart_equity": (
        "equity",
        ("scope", "asset"),
        {"equity": "equity", "wallet_balance": "wallet_balance", "unrealized_pnl": "unrealized_pnl"},
    ),
    "chart_margin": (
        "margin_pools",
        ("pool", "asset", "symbol", "position_side"),
        {
            "margin_ratio": "margin_ratio",
            "maintenance_margin": "maintenance_margin",
            "margin_balance": "margin_balance",
        },
    ),
    "chart_exposure": (
        "exposure",
        ("base_asset", "margin_asset"),
        {"gross_exposure": "gross_exposure", "net_exposure": "net_exposure"},
    ),
    "chart_position": (
        "positions",
        ("symbol", "position_side"),
        {"position_amount": "position_amount", "exposure": "notional", "unrealized_pnl": "unrealized_pnl"},
    ),
}
"""Of each chart: what it shows, what tells its series apart, and its values as the view calls them."""

Row = dict[str, Any]


def chart(
    url: str, name: str, step: str, since: datetime = BEGIN, until: datetime = END, account: str | None = None
) -> list[Row]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        statement = SQL("SELECT * FROM poller.{}(%s, %s, %s, %s)").format(Identifier(name))
        return connection.execute(statement, (since, until, step, account)).fetchall()


def rows(url: str, name: str) -> list[Row]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(SQL("SELECT * FROM poller.{}").format(Identifier(name))).fetchall()


def drawn(url: str, name: str, step: timedelta, since: datetime = BEGIN, until: datetime = END) -> list[Row]:
    """Return what a chart must show, from the rows of the history."""
    view, keys, values = CHARTS[name]
    good = defaultdict(list)
    for poll in rows(url, "polls"):
        if poll["status"] == "ok":
            good[poll["account"]].append(poll["time"])
    had: dict[tuple[Any, ...], dict[datetime, Row]] = defaultdict(dict)
    for row in rows(url, view):
        had[row["account"], *(row[key] for key in keys)][row["time"]] = row
    grid = [EPOCH + number * step for number in range(-((EPOCH - since) // step), -((EPOCH - until) // step))]
    found = []
    for (account, *key), of_series in had.items():
        if not any(since <= time < until for time in of_series):
            continue
        for time in grid:
            polled_at = max((poll for poll in good[account] if time <= poll < time + step), default=None)
            seen = of_series.get(polled_at or EPOCH)
            absent = None if polled_at is None else Decimal(0)
            shown = {value: seen[own] if seen else absent for value, own in values.items()}
            told = {"time": time, "account": account, "market": "usdm", **dict(zip(keys, key, strict=True))}
            found.append({**told, **shown, "polled_at": polled_at})
    return found


def unordered(found: list[Row]) -> set[tuple[tuple[str, Any], ...]]:
    assert len({tuple(row.items()) for row in found}) == len(found)
    return {tuple(sorted(row.items())) for row in found}


@pytest.mark.parametrize("name", CHARTS)
async def test_a_chart_shows_the_last_ok_poll_of_each_step(name: str, store: Store, database_url: str) -> None:
    await store_history(database_url, store, dice(11))
    refresh(database_url)

    for minutes in (3, 25, 60, 120):
        step = timedelta(minutes=minutes)

        assert unordered(chart(database_url, name, f"{minutes} minutes")) == unordered(drawn(database_url, name, step))

    since, until = BEGIN + timedelta(minutes=61), END - timedelta(minutes=63)
    for minutes in (7, 60):
        assert {row["time"] for row in chart(database_url, name, f"{minutes} minutes", since, until)} == {
            row["time"] for row in drawn(database_url, name, timedelta(minutes=minutes), since, until)
        }


@pytest.mark.parametrize("name", CHARTS)
async def test_rollups_and_polls_draw_the_same_chart(name: str, store: Store, database_url: str) -> None:
    await store_history(database_url, store, dice(12))
    refresh(database_url)
    by_rollups = chart(database_url, name, "1 hour")

    execute(
        database_url,
        "INSERT INTO poller.rollup_queue (hour, account, market) SELECT hour, account, market FROM poller.hourly_ticks",
    )

    assert by_rollups
    assert chart(database_url, name, "1 hour") == by_rollups
    assert execute(
        database_url, "SELECT DISTINCT rolled FROM poller.chart_polls(%s, %s, '1 hour') WHERE rolled", BEGIN, END
    ) == []  # fmt: skip


@pytest.mark.parametrize("name", CHARTS)
async def test_a_chart_of_dropped_polls_shows_the_last_of_each_hour(name: str, store: Store, database_url: str) -> None:
    await store_history(database_url, store, dice(13))
    refresh(database_url)
    hourly, fine = chart(database_url, name, "1 hour"), chart(database_url, name, "4 minutes")
    for history in ("polls", "account_totals", "asset_balances", "positions"):
        execute(database_url, "SELECT poller.drop_history(%s, now() - INTERVAL '60 days')", history)

    assert chart(database_url, name, "1 hour") == hourly

    last = {(row["account"], row["polled_at"]) for row in hourly if row["polled_at"]}
    left = [row for row in chart(database_url, name, "4 minutes") if row["polled_at"]]
    assert left == [row for row in fine if (row["account"], row["polled_at"]) in last]


async def test_a_chart_can_be_of_one_account_and_one_series(store: Store, database_url: str) -> None:
    await store_history(database_url, store, dice(14))
    refresh(database_url)
    whole = chart(database_url, "chart_position", "30 minutes")

    [narrow, narrower, none] = [
        execute(
            database_url,
            "SELECT time, account, symbol, position_amount FROM poller.chart_position(%s, %s, '30 minutes', "
            "account => %s, market => %s, symbol => %s)",
            BEGIN, END, account, market, symbol,
        )
        for account, market, symbol in (("main", None, None), ("main", "usdm", "ETHUSDT"), (None, "coinm", None))
    ]  # fmt: skip

    of_main = [
        (row["time"], row["account"], row["symbol"], row["position_amount"])
        for row in whole if row["account"] == "main"
    ]  # fmt: skip
    assert narrow == of_main
    assert narrower == [row for row in of_main if row[2] == "ETHUSDT"]
    assert none == []


async def test_a_step_below_the_interval_invents_nothing(store: Store, database_url: str) -> None:
    await store_history(database_url, store, dice(15))
    refresh(database_url)

    shown = chart(database_url, "chart_polls", "1 minute", account="main")

    polled = [row["polled_at"] for row in shown if row["polled_at"]]
    assert polled == [row["time"] for row in sorted(rows(database_url, "polls"), key=lambda row: row["time"])
                      if (row["status"], row["account"]) == ("ok", "main")]  # fmt: skip
    assert len(shown) == HOURS * 60


async def test_a_chart_has_as_many_points_as_steps_begin_in_its_range(store: Store, database_url: str) -> None:
    await store_history(database_url, store, dice(16))
    refresh(database_url)

    for since, until, step, points in (
        (BEGIN, BEGIN + timedelta(hours=2), "1 hour", 2),
        (BEGIN + timedelta(minutes=1), BEGIN + timedelta(hours=2, minutes=1), "1 hour", 2),
        (BEGIN + timedelta(minutes=1), BEGIN + timedelta(minutes=59), "1 hour", 0),
        (BEGIN, BEGIN + timedelta(days=2), "1 day", 2),
        (BEGIN, BEGIN, "1 hour", 0),
        (END, BEGIN, "1 hour", 0),
    ):
        assert len(chart(database_url, "chart_polls", step, since, until, "main")) == points


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("'2026-01-01', '2026-02-01', '1 minute'", "44640 points are too many: a series has at most 10000"),
        (
            "'2026-01-01', '2026-02-01', '0 minutes'",
            "step must be a time of days or less, such as 1 hour, not 00:00:00",
        ),
        ("'2026-01-01', '2026-02-01', '-1 hour'", "step must be a time of days or less, such as 1 hour, not -01:00:00"),
        ("'2026-01-01', '2026-02-01', '1 month'", "step must be a time of days or less, such as 1 hour, not 1 mon"),
        ("'2026-01-01', '2026-02-01', NULL", "step must be a time of days or less, such as 1 hour, not null"),
        ("'2026-01-01', 'infinity', '1 day'", 'a chart needs two instants, "from" and "to"'),
        ("NULL, '2026-02-01', '1 day'", 'a chart needs two instants, "from" and "to"'),
    ],
)
def test_a_chart_that_cannot_be_drawn_is_refused(
    arguments: LiteralString, reason: str, plain_database_url: str
) -> None:
    statement: LiteralString = "SELECT poller.chart_equity(" + arguments + ")"
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refusal:
        execute(plain_database_url, statement)

    assert refusal.value.diag.message_primary == reason
