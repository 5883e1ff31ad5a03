"""How the questions of analysts are answered, on a small made-up history: by index and by partition, never in full."""

from collections.abc import Iterator

import pytest
from psycopg.sql import SQL

from benchmarks.history.load import Size, load, roll_up
from benchmarks.history.questions import QUESTIONS, Question
from tests.support.database import execute, new_database
from tests.support.plans import explain, is_history

HISTORY = Size.until_today(months=1.3, interval_seconds=1800, positions=4, accounts=2, seed=7)


@pytest.fixture(scope="module", name="loaded")
def _loaded(plain_server: str) -> Iterator[str]:
    """A database with a made-up history, which the tests only read."""
    with new_database(plain_server, extension=False) as url:
        load(url, HISTORY, lambda _done, _all: None)
        roll_up(url, lambda _done, _all: None)
        yield url


# Of the polls of this small history, which come every 30 minutes, every 20 minutes would ask for all.
@pytest.mark.parametrize(
    "question",
    [question for question in QUESTIONS if question.step != "20 minutes"],
    ids=lambda question: question.name,
)
def test_only_what_is_asked_for_is_read_of_the_history(loaded: str, question: Question) -> None:
    parameters = {"until": HISTORY.until, "span": question.span, "step": question.step}
    reads = [node for node in explain(loaded, SQL(question.sql), parameters) if is_history(node)]
    rows = {"index": 0, "all": 0}
    for node in reads:
        how = "index" if node["Node Type"].startswith("Index") else "all"
        rows[how] += node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))

    assert rows["all"] == 0
    assert rows["index"] <= 1_000


@pytest.mark.parametrize(
    "question", [question for question in QUESTIONS if question.span], ids=lambda question: question.name
)
def test_a_chart_is_planned_for_the_partitions_of_its_range(loaded: str, question: Question) -> None:
    parameters = {"until": HISTORY.until, "span": question.span, "step": question.step}
    nodes = [node for node in explain(loaded, SQL(question.sql), parameters) if is_history(node)]

    assert len({node["Relation Name"] for node in nodes if node["Relation Name"].startswith("polls_")}) <= 2


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
    assert int(str(rows)) > 5_000
    assert events == (5,)
    assert 0.9 < float(str(ok[0])) < 1
