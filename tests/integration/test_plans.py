"""How the questions of analysts are answered, on a small made-up history: by index and by partition, never in full."""

import json
from collections.abc import Iterator
from typing import Any, LiteralString

import pytest

from benchmarks.history.load import Size, load
from tests.support.database import execute, new_database

HISTORY = Size.until_today(months=2.5, interval_seconds=1800, positions=4, accounts=3, seed=7)

# A grid, for each of its steps the last ok poll, and for each poll its rows.
_CHART: LiteralString = """
SELECT grid.time, poll.time AS polled_at, margin_balance
FROM (SELECT account, market FROM poller.schedules WHERE account = 'main') AS series
CROSS JOIN generate_series(now() - INTERVAL '30 days', now(), INTERVAL '6 hours') AS grid(time)
LEFT JOIN LATERAL (
    SELECT polls.time FROM poller.polls
    WHERE polls.account = series.account AND polls.market = series.market AND status = 'ok'
        AND polls.time >= grid.time AND polls.time < grid.time + INTERVAL '6 hours'
    ORDER BY polls.time DESC
    LIMIT 1
) AS poll ON true
LEFT JOIN poller.asset_balances AS balance ON balance.time = poll.time AND balance.account = series.account
    AND balance.market = series.market AND asset = 'USDT'
"""

QUESTIONS: dict[str, LiteralString] = {
    "latest accounts": "SELECT * FROM poller.latest_accounts",
    "latest assets": "SELECT * FROM poller.latest_assets",
    "latest positions": "SELECT * FROM poller.latest_positions",
    "a chart": _CHART,
}


@pytest.fixture(scope="module", name="loaded")
def _loaded(plain_server: str) -> Iterator[str]:
    """A database with a made-up history, which the tests only read."""
    with new_database(plain_server, extension=False) as url:
        load(url, HISTORY, lambda _done, _all: None)
        yield url


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_only_rows_that_are_asked_for_are_read(loaded: str, question: LiteralString) -> None:
    ((told,),) = execute(loaded, "EXPLAIN (ANALYZE, FORMAT JSON) " + question)
    (answer,) = told if isinstance(told, list) else json.loads(str(told))
    reads = [node for node in nodes(answer["Plan"]) if node.get("Actual Loops") and "Relation Name" in node]
    history = [node for node in reads if node["Alias"] not in {"schedules", "accounts", "contracts"}]

    assert history
    assert {node["Node Type"] for node in history} <= {"Index Scan", "Index Only Scan"}
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in history) <= 400


def test_the_made_up_rows_add_up(loaded: str) -> None:
    sums = """
        SELECT count(*), count(*) FILTER (
            WHERE balance.unrealized_pnl = coalesce(held.pnl, 0)
                AND balance.maintenance_margin = coalesce(held.margin, 0)
                AND balance.margin_balance = balance.wallet_balance + balance.unrealized_pnl
                AND totals.margin_balance = usdt.margin_balance
        )
        FROM poller.asset_balances AS balance
        JOIN poller.account_totals AS totals USING (time, account, market)
        JOIN poller.asset_balances AS usdt ON usdt.time = totals.time AND usdt.account = totals.account
            AND usdt.asset = totals.totals_asset
        LEFT JOIN LATERAL (
            SELECT sum(unrealized_pnl) AS pnl, sum(maintenance_margin) AS margin
            FROM poller.positions JOIN poller.contracts USING (market, symbol)
            WHERE positions.time = balance.time AND positions.account = balance.account
                AND margin_asset = balance.asset
        ) AS held ON true
    """
    ((rows, right),) = execute(loaded, sums)
    (events,) = execute(loaded, "SELECT count(DISTINCT event) FROM poller.position_events WHERE account = 'main'")
    (ok,) = execute(loaded, "SELECT avg((status = 'ok')::integer)::double precision FROM poller.polls")

    assert rows == right
    assert int(str(rows)) > 10_000
    assert events == (5,)
    assert 0.9 < float(str(ok[0])) < 1
