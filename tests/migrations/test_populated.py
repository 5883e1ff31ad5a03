"""History lives through every upgrade, and through the way down and up again, also where it is kept by columns."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import psycopg
from alembic import command

from tests.support.database import compress, execute
from tests.support.schema import alembic_config, revisions

FIRST = "9ac98535bc19"
"""The first revision that can hold history: without it there are no partitions."""

BEFORE_DAYS = "8f42d6c3e519"
"""The last revision at which raw_payloads is divided into months, where it has partitions."""

BEGIN = datetime(2024, 1, 31, tzinfo=UTC)
APART = timedelta(days=10)

HISTORY = """
SELECT poller.ensure_partitions(%(time)s);
INSERT INTO poller.accounts (account, environment) VALUES ('main', 'simulated') ON CONFLICT DO NOTHING;
INSERT INTO poller.polls (time, account, market, status, attempts, latency_ms, instance)
VALUES (%(time)s, 'main', 'usdm', 'ok', 1, 12, 'run'), (%(time)s, 'main', 'coinm', 'malformed', 1, NULL, 'run');
INSERT INTO poller.account_totals (time, account, market, asset_mode, wallet_balance)
VALUES (%(time)s, 'main', 'usdm', 'single_asset', 1.50000000);
INSERT INTO poller.asset_balances (time, account, market, asset, wallet_balance, extra)
VALUES (%(time)s, 'main', 'usdm', 'USDT', 1.50000000, '{"new": 0.10}');
INSERT INTO poller.positions (time, account, market, symbol, position_side, position_amount, isolated)
VALUES (%(time)s, 'main', 'usdm', 'BTCUSDT', 'LONG', -0.00100, true);
INSERT INTO poller.raw_payloads (time, account, market, codec, body) VALUES (%(time)s, 'main', 'usdm', 1, 'raw');
INSERT INTO poller.rejected_payloads (time, account, market, environment, reason, codec, body)
VALUES (%(time)s, 'main', 'coinm', 'simulated', 'cut off', 1, 'half');
"""
STORED = """
SELECT time, status, latency_ms, asset_mode, account_totals.wallet_balance::text, asset, asset_balances.extra::text,
    symbol, position_amount::text, isolated, raw_payloads.body, rejected_payloads.body
FROM poller.polls
LEFT JOIN poller.account_totals USING (time, account, market)
LEFT JOIN poller.asset_balances USING (time, account, market)
LEFT JOIN poller.positions USING (time, account, market)
LEFT JOIN poller.raw_payloads USING (time, account, market)
LEFT JOIN poller.rejected_payloads USING (time, account, market)
ORDER BY time, market
"""


def insert(url: str, time: datetime) -> None:
    """Put a poll of each kind into a database of any revision, in plain SQL."""
    with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(HISTORY, {"time": time})


def stored(url: str) -> list[tuple[object, ...]]:
    return execute(url, STORED)


def partitions(url: str) -> list[object]:
    parts = (
        "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = %s::regclass"
    )
    return [part for (part,) in execute(url, parts + " ORDER BY 1", "poller.raw_payloads")]


def inserted(times: Sequence[datetime]) -> list[tuple[object, ...]]:
    rejected: tuple[object, ...] = ("malformed", *(None,) * 9, b"half")
    ok = ("ok", 12, "single_asset", "1.50000000", "USDT", '{"new": 0.10}', "BTCUSDT", "-0.00100", True, b"raw", None)
    return [(time, *row) for time in times for row in (rejected, ok)]


def test_history_of_every_revision_lives_through_all_later_ones(empty_database_url: str) -> None:
    config = alembic_config(empty_database_url)
    command.upgrade(config, FIRST)
    times: list[datetime] = []
    for revision in revisions()[revisions().index(FIRST) :]:
        command.upgrade(config, revision)
        times.append(BEGIN + len(times) * APART)
        insert(empty_database_url, times[-1])
        compress(empty_database_url)

    assert stored(empty_database_url) == inserted(times)


def test_history_lives_through_the_way_down_and_up_again(database_url: str) -> None:
    config = alembic_config(database_url)
    times = [BEGIN + number * APART for number in range(4)]
    for time in times:
        insert(database_url, time)
    for _ in range(2):
        compress(database_url)

        command.downgrade(config, FIRST)

        assert stored(database_url) == inserted(times)
        command.upgrade(config, "head")
        assert stored(database_url) == inserted(times)
    compress(database_url)
    command.check(config)


def test_months_of_raw_payloads_stay_where_they_hold_rows_and_days_become_months_again(plain_database_url: str) -> None:
    config = alembic_config(plain_database_url)
    command.downgrade(config, BEFORE_DAYS)
    insert(plain_database_url, BEGIN)
    command.upgrade(config, "head")
    insert(plain_database_url, BEGIN - timedelta(days=1))
    insert(plain_database_url, BEGIN + timedelta(days=1))

    # After the month with rows, this day and the next seven.
    assert partitions(plain_database_url)[:2] == ["raw_payloads_2024_01", "raw_payloads_2024_02_01"]
    assert len(partitions(plain_database_url)) == 10
    command.downgrade(config, BEFORE_DAYS)

    assert partitions(plain_database_url)[:2] == ["raw_payloads_2024_01", "raw_payloads_2024_02"]
    assert len(partitions(plain_database_url)) == 6
    assert stored(plain_database_url) == inserted([BEGIN + timedelta(days=number) for number in (-1, 0, 1)])
