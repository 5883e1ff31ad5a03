"""The views of the latest state, against the last poll of each promise that holds."""

from datetime import timedelta

from psycopg.sql import SQL

from poller.observation import Status
from poller.records import Snapshot
from tests.support.database import execute
from tests.support.history.dataset import ok_snapshots, snapshots
from tests.support.history.reckoning import rows
from tests.support.plans import PREFER_INDEXES, explain, is_history

LIVE = [("hedge", "usdm"), ("main", "coinm"), ("main", "usdm"), ("new", "coinm"), ("new", "usdm")]


def latest() -> dict[tuple[str, str], Snapshot]:
    """Return the last ok poll of every series that is still promised; `old` is not, though it held a position."""
    last = {(found.poll.account, found.poll.market.value): found for found in ok_snapshots()}
    assert last.pop(("old", "usdm")).positions
    return last


def test_every_promised_account_and_market_has_its_last_ok_poll_and_its_last_tick(history_url: str) -> None:
    ends = {(found.poll.account, found.poll.market.value): found.poll for found in snapshots()}
    last = latest()
    found = {(row["account"], row["market"]): row for row in rows(history_url, "latest_polls")}

    assert sorted(found) == LIVE
    for series, row in found.items():
        assert row["time"] == (last[series].poll.time if series in last else None)
        assert (row["age"] is None) is (series not in last)
        end = ends[series]
        assert (row["last_tick"], row["last_status"], row["last_error"]) == (end.time, end.status, end.error_message)
        assert row["interval_seconds"] == 600


def test_an_account_that_never_answered_is_there_without_amounts(history_url: str) -> None:
    [row] = [row for row in rows(history_url, "latest_accounts") if (row["account"], row["market"]) == ("new", "coinm")]

    assert row["last_status"] == Status.UNAUTHORIZED
    assert [row[name] for name in ("time", "age", "wallet_balance", "can_trade")] == [None] * 4


def test_the_latest_assets_are_those_of_the_last_ok_poll(history_url: str) -> None:
    expected = {
        (*series, asset.asset): (snapshot.poll.time, asset.wallet_balance, asset.margin_balance)
        for series, snapshot in latest().items()
        for asset in snapshot.assets
    }

    assert expected == {
        (row["account"], row["market"], row["asset"]): (row["time"], row["wallet_balance"], row["margin_balance"])
        for row in rows(history_url, "latest_assets")
    }


def test_the_latest_positions_are_those_of_the_last_ok_poll(history_url: str) -> None:
    expected = {
        (*series, row.symbol, row.position_side): (snapshot.poll.time, row.position_amount, row.notional)
        for series, snapshot in latest().items()
        for row in snapshot.positions
    }

    assert expected == {
        (row["account"], row["market"], row["symbol"], row["position_side"]): (
            row["time"],
            row["position_amount"],
            row["exposure"],
        )
        for row in rows(history_url, "latest_positions")
    }


def test_the_age_is_by_the_clock_of_the_database(history_url: str) -> None:
    [[off]] = execute(history_url, "SELECT max(abs(extract(epoch FROM now() - time - age))) FROM poller.latest_polls")
    [[age]] = execute(history_url, "SELECT min(age) FROM poller.latest_assets")

    assert off == 0
    assert isinstance(age, timedelta)
    assert age > timedelta(0)


def test_a_retired_account_costs_nothing(history_url: str) -> None:
    nodes = list(explain(history_url, SQL("SELECT * FROM poller.latest_positions"), options=PREFER_INDEXES))
    read = [node for node in nodes if "Index Name" in node and is_history(node)]

    assert read
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan" and is_history(node)]
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in read) < 100
