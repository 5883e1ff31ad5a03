"""How the views are read: a filter on account, market and time reaches the indexes."""

import pytest
from psycopg.sql import SQL, Composed, Identifier

from tests.support.database import execute
from tests.support.plans import PREFER_INDEXES, explain, is_history

DAY = SQL(
    " WHERE account = 'hedge' AND market = 'usdm' AND time >= '2026-02-28 00:00+00' AND time < '2026-03-01 00:00+00'"
)
VIEWS = (
    "equity",
    "position_states",
    "exposure",
    "margin_pools",
    "consecutive_polls",
    "position_events",
    "wallet_changes",
    "unrealized_pnl_change",
)


def of_a_day(relation: str) -> Composed:
    return SQL("SELECT * FROM poller.{}").format(Identifier(relation)) + DAY


@pytest.mark.parametrize("view", VIEWS)
def test_a_day_of_one_account_is_found_by_its_keys(history_url: str, view: str) -> None:
    nodes = list(explain(history_url, of_a_day(view), options=PREFER_INDEXES))
    scans = [node for node in nodes if is_history(node) and node["Actual Loops"]]
    conditions = {str(node.get("Index Cond", "")).replace('"', "") for node in scans if "Index Name" in node}

    assert [node["Relation Name"] for node in scans if node["Node Type"] == "Seq Scan"] == []
    assert conditions
    # Not by market: an account has two of them at most.
    assert [condition for condition in conditions if "account " not in condition] == []
    # The mode of a few hundred polls is cheaper to read for the whole account than to look up one by one.
    assert [condition for condition in conditions if "time " not in condition and "totals" not in condition] == []


@pytest.mark.parametrize("view", VIEWS)
def test_a_day_of_one_account_reads_a_few_times_what_that_day_holds(history_url: str, view: str) -> None:
    scans = [node for node in explain(history_url, of_a_day(view), options=PREFER_INDEXES) if is_history(node)]
    read = sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans)
    held = sum(
        len(execute(history_url, of_a_day(table)))
        for table in ("polls", "account_totals", "asset_balances", "positions")
    )

    assert read <= 3 * held


@pytest.mark.parametrize("view", VIEWS)
def test_no_filter_is_answered_from_a_whole_table(history_url: str, view: str) -> None:
    query = SQL("SELECT * FROM poller.{}").format(Identifier(view))

    assert "hashed SubPlan" not in str(list(explain(history_url, query)))
