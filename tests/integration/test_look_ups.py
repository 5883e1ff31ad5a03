"""The functions that look up one poll: the same rows as the tables and views that they look in."""

from datetime import UTC, datetime, timedelta
from typing import LiteralString

import pytest
from psycopg.sql import SQL, Identifier

from tests.support.database import execute

LOOK_UPS = ("account_totals", "asset_balances", "position_states", "margin_pools")

TIMED_OUT: LiteralString = """
INSERT INTO poller.polls (time, account, market, status, attempts, instance)
VALUES (%s, 'mine', 'usdm', 'timeout', 1, 'here')
"""


@pytest.mark.parametrize("history", LOOK_UPS)
def test_what_is_looked_up_of_every_poll_is_all_that_there_is(history_url: str, history: str) -> None:
    """A look-up has the rows that its table or view has at that time, and none besides."""
    parts = {"there": Identifier(history), "found": Identifier(f"{history}_at")}
    compare = SQL(
        """
        WITH there AS (SELECT * FROM poller.{there}),
        found AS (
            SELECT found.* FROM poller.polls
            CROSS JOIN LATERAL poller.{found}(polls.time, polls.account, polls.market) AS found
        )
        SELECT (SELECT count(*) FROM there),
            (SELECT count(*) FROM (SELECT * FROM there EXCEPT ALL SELECT * FROM found) AS missing),
            (SELECT count(*) FROM (SELECT * FROM found EXCEPT ALL SELECT * FROM there) AS invented)
        """
    ).format(**parts)
    [[there, missing, invented]] = execute(history_url, compare)

    assert int(str(there)) > 0
    assert (missing, invented) == (0, 0)


@pytest.mark.parametrize("days", [0, 1.5, 40, 400])
def test_the_newest_poll_is_found_however_old_it_is(database_url: str, days: float) -> None:
    newest = datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)
    execute(database_url, "SELECT poller.ensure_partitions(%s)", newest)
    execute(database_url, "INSERT INTO poller.accounts (account, environment) VALUES ('mine', 'simulated')")
    execute(database_url, TIMED_OUT, newest - timedelta(seconds=10))
    execute(database_url, TIMED_OUT, newest)

    assert execute(database_url, "SELECT time, account FROM poller.newest_poll('mine', 'usdm')") == [(newest, "mine")]
    assert execute(database_url, "SELECT time FROM poller.newest_poll('mine', 'coinm')") == []
    assert execute(database_url, "SELECT time FROM poller.newest_poll('other', 'usdm')") == []


def test_nothing_is_looked_up_without_a_time(history_url: str) -> None:
    assert execute(history_url, "SELECT * FROM poller.asset_balances_at(NULL, 'main', 'usdm')") == []
