"""How the questions of analysts are answered, on a small made-up history: by index and by partition, never in full."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from psycopg.sql import SQL

from benchmarks.history.load import Size, load, roll_up
from benchmarks.history.questions import QUESTIONS, Question
from poller.storage.schema import upgrade
from tests.support.database import execute, new_database
from tests.support.plans import explain, is_history

HISTORY = Size.until_today(months=2.5, interval_seconds=1800, positions=4, accounts=3, seed=7)


_DAYS = Size.until_today(months=0.5, interval_seconds=3600, positions=2, accounts=1, seed=7)
# It ends with the day that has begun: in its last hour, the newest poll of the day before is older than a day.
DAYS = replace(_DAYS, since=_DAYS.since + timedelta(days=1), until=_DAYS.until + timedelta(days=1))
CHUNKS = ("polls", "account_totals", "asset_balances", "positions")
UNBOUND = ("30 days, every 20 minutes", "position events")
"""Questions that ask for the polls of many days, or for polls before others, however long ago."""

ROLLED = ("every hour", "every 12 hours", "worst margin ratio")
"""Questions that the rollups answer alone, when no hour is queued."""


def is_rolled(question: Question) -> bool:
    return any(name in question.name for name in ROLLED)


@pytest.fixture(scope="module", name="loaded")
def _loaded(plain_server: str) -> Iterator[str]:
    """A database with a made-up history, which the tests only read."""
    with new_database(plain_server, extension=False) as url:
        load(url, HISTORY, lambda _done, _all: None)
        roll_up(url, lambda _done, _all: None)
        yield url


@pytest.fixture(scope="module", name="chunked")
def _chunked(timescale_server: str) -> Iterator[str]:
    """A smaller one in hypertables, in a chunk for each day."""
    with new_database(timescale_server, extension=True) as url:
        upgrade(url, lambda _: None)
        for table in CHUNKS:
            execute(url, SQL("SELECT public.set_chunk_time_interval({}, INTERVAL '1 day')").format(f"poller.{table}"))
        load(url, DAYS, lambda _done, _all: None)
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
    assert (rows["index"] == 0) is is_rolled(question)
    # Events compare all positions of each poll of the day with those of the poll before.
    assert rows["index"] <= (1_000 if question.name.startswith("position events") else 400)


@pytest.mark.parametrize(
    "question", [question for question in QUESTIONS if question.span], ids=lambda question: question.name
)
def test_a_chart_is_planned_for_the_partitions_of_its_range(loaded: str, question: Question) -> None:
    days, unit = question.span.split()
    months = {
        f"polls_{HISTORY.until - timedelta(hours=hour):%Y_%m}"
        for hour in range(1, int(days) * (24 if unit == "days" else 1) + 1)
    }
    parameters = {"until": HISTORY.until, "span": question.span, "step": question.step}
    nodes = [node for node in explain(loaded, SQL(question.sql), parameters) if is_history(node)]
    planned = {node["Relation Name"] for node in nodes if node["Relation Name"].startswith("polls_")}

    assert planned == (set() if is_rolled(question) else months)


@pytest.mark.parametrize(
    "question",
    [question for question in QUESTIONS if not any(name in question.name for name in UNBOUND)],
    ids=lambda question: question.name,
)
def test_chunks_of_other_days_are_no_part_of_a_plan(chunked: str, question: Question) -> None:
    parameters = {"until": DAYS.until, "span": question.span, "step": question.step}
    chunks = {
        str(chunk): table
        for chunk, table in execute(
            chunked, "SELECT chunk_name::text, hypertable_name::text FROM timescaledb_information.chunks"
        )
    }
    planned = {node["Relation Name"] for node in explain(chunked, SQL(question.sql), parameters) if is_history(node)}

    assert planned or is_rolled(question)
    assert min(list(chunks.values()).count(table) for table in CHUNKS) > 10
    assert [table for table in CHUNKS if [chunks[chunk] for chunk in planned].count(table) > 2] == []


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
