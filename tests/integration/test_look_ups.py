"""The functions that the latest views are made of: all of the newest polls, however old these are."""

from datetime import UTC, datetime, timedelta
from typing import LiteralString

import pytest
from psycopg.sql import SQL, Identifier

from tests.support.database import execute

PROMISED: LiteralString = """
INSERT INTO poller.schedules (recorder, account, market, interval_seconds, valid_from)
VALUES ('here', %s, 'usdm', 10, now() - INTERVAL '1 day')
"""
TIMED_OUT: LiteralString = """
INSERT INTO poller.polls (time, account, market, status, attempts, instance)
VALUES (%s, %s, 'usdm', 'timeout', 1, 'here')
"""


@pytest.mark.parametrize("history", ["account_totals", "asset_balances", "position_states", "margin_pools"])
def test_all_of_the_newest_polls_is_found(history_url: str, history: str) -> None:
    """A look-up has the rows that its table or view has of the latest polls, and none besides."""
    compare = SQL(
        """
        WITH there AS (
            SELECT there.* FROM poller.{history} AS there
            JOIN poller.latest_polls USING (time, account, market)
        ),
        found AS (SELECT * FROM poller.{newest}())
        SELECT (SELECT count(*) FROM there),
            (SELECT count(*) FROM (SELECT * FROM there EXCEPT ALL SELECT * FROM found) AS missing),
            (SELECT count(*) FROM (SELECT * FROM found EXCEPT ALL SELECT * FROM there) AS invented)
        """
    ).format(history=Identifier(history), newest=Identifier(f"newest_{history}"))
    [[there, missing, invented]] = execute(history_url, compare)

    assert int(str(there)) > 0
    assert (missing, invented) == (0, 0)


def test_the_newest_poll_is_found_however_old_it_is(database_url: str) -> None:
    """Accounts that were polled today, this month and years ago, one that never was, and one that was given up."""
    now = datetime.now(UTC).replace(microsecond=0)
    newest = {"today": now, "month": now - timedelta(days=9), "old": now - timedelta(days=400), "given up": now}
    for account in (*newest, "never"):
        execute(database_url, "INSERT INTO poller.accounts (account, environment) VALUES (%s, 'simulated')", account)
        execute(database_url, PROMISED, account)
    execute(database_url, "UPDATE poller.schedules SET valid_to = now() WHERE account = 'given up'")
    for account, time in newest.items():
        execute(database_url, "SELECT poller.ensure_partitions(%s)", time)
        execute(database_url, TIMED_OUT, time - timedelta(seconds=10), account)
        execute(database_url, TIMED_OUT, time, account)

    found = execute(database_url, "SELECT account, time FROM poller.newest_polls()")
    told = execute(database_url, "SELECT account, last_tick FROM poller.latest_polls WHERE account = 'never'")

    assert sorted(found) == sorted((account, time) for account, time in newest.items() if account != "given up")
    assert told == [("never", None)]
