"""The hourly tables: what the views say of each hour, whatever came late, came twice or is gone."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString

import psycopg
import pytest
from alembic import command
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from poller.observation import Status
from poller.storage.archive import Archive
from poller.storage.engine import migration_engine
from poller.storage.statements import SAVE, save_parameters
from poller.storage.store import Store
from tests.support.database import execute
from tests.support.histories import BEGIN, HOURS, INTERVAL, dice, history, refresh, reply, store_history
from tests.support.schema import alembic_config
from tests.support.snapshots import TICK, failed, ok, position, tick

HOUR = timedelta(hours=1)
HOURLY = ("hourly_ticks", "hourly_equity", "hourly_margin", "hourly_exposure", "hourly_positions")
KEYS: Mapping[str, tuple[str, ...]] = {
    "equity": ("scope", "asset"),
    "margin_pools": ("pool", "asset", "symbol", "position_side"),
    "exposure": ("base_asset", "margin_asset"),
    "positions": ("symbol", "position_side"),
}
Row = dict[str, Any]


def rows(url: str, statement: LiteralString) -> list[Row]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(statement).fetchall()


def table(url: str, name: str) -> list[Row]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(SQL("SELECT * FROM poller.{} ORDER BY time").format(Identifier(name))).fetchall()


def contents(url: str) -> dict[str, list[str]]:
    """Return each hourly table as sorted text."""
    found = {}
    for name in HOURLY:
        statement = SQL("SELECT made::text FROM poller.{} AS made ORDER BY 1").format(Identifier(name))
        found[name] = [str(text) for (text,) in execute(url, statement)]
    return found


def hour_of(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def best(seen: Iterable[Row], name: str, choose: Callable[..., Any]) -> tuple[Any, Any]:
    """Return the lowest or highest value of a column and the first time of it."""
    known = [row for row in seen if row[name] is not None]
    if not known:
        return None, None
    value = choose(row[name] for row in known)
    return value, min(row["time"] for row in known if row[name] == value)


def seconds(promises: list[Row], row: Row) -> int:
    return sum(
        promise["interval_seconds"]
        for promise in promises
        if promise["account"] == row["account"] and promise["valid_from"] <= row["time"] < promise["valid_to"]
    )


def measures(promises: list[Row], view: str, seen: list[Row]) -> tuple[Any, ...]:
    """Return what an hourly table must hold after its key, made of the rows of a view in one hour."""
    first, last = seen[0], seen[-1]
    match view:
        case "equity":
            lowest, highest = best(seen, "equity", min), best(seen, "equity", max)
            return (first["equity"], last["equity"], *lowest, *highest, last["wallet_balance"], last["unrealized_pnl"])
        case "margin_pools":

            def above(percent: int) -> int:
                return sum(
                    seconds(promises, row) for row in seen
                    if (row["maintenance_margin"] or 0) > 0
                    and row["maintenance_margin"] * 100 > percent * row["margin_balance"]
                )  # fmt: skip

            return (
                last["maintenance_margin"], last["margin_balance"], *best(seen, "margin_ratio", max),
                above(50), above(80), above(95), sum(seconds(promises, row) for row in seen if row["at_liquidation"]),
            )  # fmt: skip
        case "exposure":
            return last["gross_exposure"], last["net_exposure"], *best(seen, "gross_exposure", max)
        case _:
            return last["position_amount"], last["notional"], last["unrealized_pnl"]


def expected(url: str, view: str) -> set[tuple[Any, ...]]:
    grouped: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in table(url, view):
        key = (row["account"], row["market"], hour_of(row["time"]), *(row[name] for name in KEYS[view]))
        grouped[key].append(row)
    promises = rows(url, "SELECT * FROM poller.promises")
    return {(*key, seen[0]["time"], seen[-1]["time"], *measures(promises, view, seen)) for key, seen in grouped.items()}


def expected_ticks(url: str) -> set[tuple[Any, ...]]:
    promises = rows(url, "SELECT * FROM poller.promises")
    promised: dict[tuple[str, datetime], set[datetime]] = defaultdict(set)
    for promise in promises:
        step = timedelta(seconds=promise["interval_seconds"])
        time = BEGIN
        while time < promise["valid_to"]:
            if time >= promise["valid_from"]:
                promised[promise["account"], hour_of(time)].add(time)
            time += step
    polls: dict[tuple[str, datetime], list[Row]] = defaultdict(list)
    for row in table(url, "polls"):
        polls[row["account"], hour_of(row["time"])].append(row)
    found = set()
    for key in promised.keys() | polls.keys():
        account, hour = key
        good = [row["time"] for row in polls[key] if row["status"] == "ok"]
        missed = len(promised[key] - set(good))
        span = (min(good), max(good)) if good else (None, None)
        found.add((account, "usdm", hour, len(good), len(polls[key]) - len(good), missed, *span))
    return found


def assert_rollups_are_what_the_views_say(url: str) -> None:
    assert set(execute(url, "SELECT * FROM poller.hourly_ticks")) == expected_ticks(url)
    assert set(execute(url, "SELECT * FROM poller.hourly_equity")) == expected(url, "equity")
    assert set(execute(url, "SELECT * FROM poller.hourly_margin")) == expected(url, "margin_pools")
    assert set(execute(url, "SELECT * FROM poller.hourly_exposure")) == expected(url, "exposure")
    assert set(execute(url, "SELECT * FROM poller.hourly_positions")) == expected(url, "positions")


@pytest.mark.parametrize("seed", [1, 2])
async def test_rollups_are_what_the_views_say_of_any_history(seed: int, store: Store, database_url: str) -> None:
    chance = dice(seed)
    await store_history(database_url, store, chance)

    refresh(database_url)

    assert_rollups_are_what_the_views_say(database_url)
    assert execute(database_url, "SELECT count(*) FROM poller.rollup_queue") == [(0,)]

    # What comes late replaces what was not ok; what is read once more may lose and gain rows.
    for time, account in execute(database_url, "SELECT time, account FROM poller.polls WHERE status = 'timeout'"):
        assert isinstance(time, datetime)
        await store.save(reply(chance, time, str(account)))
    archive = Archive(database_url)
    for time, account in execute(database_url, "SELECT time, account FROM poller.polls WHERE status = 'ok' LIMIT 9"):
        assert isinstance(time, datetime)
        archive.rewrite(reply(chance, time, str(account)), Status.OK, dry=False)
    refresh(database_url)

    assert_rollups_are_what_the_views_say(database_url)


async def test_missed_ticks_add_up_to_the_gaps(store: Store, database_url: str) -> None:
    await store_history(database_url, store, dice(3))

    refresh(database_url)

    assert execute(database_url, "SELECT sum(ticks_missed) FROM poller.hourly_ticks WHERE account = 'main'") == execute(
        database_url, "SELECT sum(missed_ticks) FROM poller.poll_gaps WHERE account = 'main'"
    )


async def test_days_are_made_of_their_hours(store: Store, database_url: str) -> None:
    await store_history(database_url, store, dice(4))
    refresh(database_url)

    [close] = rows(database_url, "SELECT * FROM poller.daily_close WHERE account = 'other' AND asset = 'BNB' LIMIT 1")
    day = close["day"]
    seen = [
        row for row in table(database_url, "equity")
        if row["account"] == "other" and row["time"].astimezone(UTC).date() == day
    ]  # fmt: skip
    last = max(
        row["time"] for row in table(database_url, "polls")
        if row["account"] == "other" and row["status"] == "ok" and row["time"].astimezone(UTC).date() == day
    )  # fmt: skip
    at_last = [row["equity"] for row in seen if row["asset"] == "BNB" and row["time"] == last]

    assert close["polled_at"] == last
    assert close["equity"] == (at_last or [Decimal(0)])[0]
    assert last + close["before_midnight"] == datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    [daily] = [row for row in rows(database_url, "SELECT * FROM poller.daily_equity")
               if (row["day"], row["account"], row["asset"]) == (day, "other", "BNB")]  # fmt: skip
    of_bnb = [row for row in seen if row["asset"] == "BNB"]
    assert (daily["min_equity"], daily["min_at"]) == best(of_bnb, "equity", min)
    assert (daily["max_equity"], daily["max_at"]) == best(of_bnb, "equity", max)
    for name in ("ticks", "margin", "exposure", "positions"):
        [(days,)] = execute(
            database_url, SQL("SELECT count(DISTINCT day) FROM poller.{}").format(Identifier(f"daily_{name}"))
        )
        assert days == 2


async def test_a_drawdown_is_measured_from_the_highest_poll(store: Store, database_url: str) -> None:
    await store_history(database_url, store, dice(5))
    refresh(database_url)
    equity = [row for row in table(database_url, "equity") if (row["account"], row["asset"]) == ("other", "USDT")]

    for row in rows(database_url, "SELECT * FROM poller.drawdown_including_transfers "
                                  "WHERE account = 'other' AND asset = 'USDT'"):  # fmt: skip
        peak = max(seen["equity"] for seen in equity if seen["time"] < row["hour"] + HOUR)
        value = next((seen["equity"] for seen in equity if seen["time"] == row["polled_at"]), Decimal(0))
        assert (row["equity"], row["peak"], row["drawdown"]) == (value, peak, peak - value)


async def test_a_touch_that_commits_during_a_refresh_is_kept_for_the_next(store: Store, database_url: str) -> None:
    await store.save(ok(tick(0)))
    engine = migration_engine(database_url)
    with engine.connect() as saver, psycopg.connect(database_url) as refresher:
        saver.execute(SAVE, save_parameters([ok(tick(1))]))  # not committed
        assert refresher.execute("SELECT poller.refresh_rollups()").fetchall() == [(1,)]  # nor this
        await store.save(ok(tick(2)))  # waits for neither
        saver.commit()
        refresher.commit()

    assert execute(database_url, "SELECT ticks_stored FROM poller.hourly_ticks") == [(1,)]
    assert execute(database_url, "SELECT count(*) FROM poller.rollup_queue") == [(2,)]
    assert refresh(database_url) == 1
    assert execute(database_url, "SELECT ticks_stored FROM poller.hourly_ticks") == [(3,)]


async def test_of_two_refreshes_at_once_one_does_it(store: Store, database_url: str) -> None:
    await store.save(ok())
    with psycopg.connect(database_url) as one:
        assert one.execute("SELECT poller.refresh_rollups()").fetchall() == [(1,)]

        assert refresh(database_url) == 0


async def test_a_backlog_is_worked_off_in_pieces(store: Store, database_url: str) -> None:
    await store_history(database_url, store, dice(6))

    pieces = [execute(database_url, "SELECT poller.refresh_rollups(3)") for _ in range(HOURS)]

    assert pieces[:2] == [[(3,)], [(3,)]]
    assert pieces[-1] == [(0,)]
    assert_rollups_are_what_the_views_say(database_url)


async def test_an_hour_that_lasts_is_made_and_stays_queued(store: Store, database_url: str) -> None:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)  # so that its hour lasts longer than this
    await store.save(ok(soon))

    assert refresh(database_url) == 0

    assert execute(database_url, "SELECT hour, ticks_stored FROM poller.hourly_ticks") == [(hour_of(soon), 1)]
    assert execute(database_url, "SELECT hour FROM poller.rollup_queue") == [(hour_of(soon),)]


async def test_hours_without_any_poll_are_missed_as_they_pass(store: Store, database_url: str) -> None:
    began = hour_of(datetime.now(UTC)) - 5 * HOUR
    await store.save(ok(began))
    execute(
        database_url,
        "INSERT INTO poller.schedules (recorder, account, market, interval_seconds, valid_from) "
        "VALUES ('spool', 'main', 'usdm', 60, %s)",
        began,
    )
    refresh(database_url)

    missed = execute(database_url, "SELECT ticks_stored, ticks_missed FROM poller.hourly_ticks ORDER BY hour")

    assert missed[:4] == [(1, 59), (0, 60), (0, 60), (0, 60)]
    execute(database_url, "DELETE FROM poller.hourly_ticks WHERE hour > %s", began)  # as if time had passed since
    refresh(database_url)
    assert execute(
        database_url, "SELECT ticks_stored, ticks_missed FROM poller.hourly_ticks ORDER BY hour LIMIT 4"
    ) == missed[:4]  # fmt: skip


async def test_a_promise_that_ends_earlier_than_was_known_takes_missed_ticks_back(
    store: Store, database_url: str
) -> None:
    await store.save(ok())
    promise = (
        "INSERT INTO poller.schedules (recorder, account, market, interval_seconds, valid_from, valid_to) "
        "VALUES ('spool', 'main', 'usdm', 60, %s, %s)"
    )
    execute(database_url, promise, TICK, TICK + 3 * HOUR)
    refresh(database_url)
    before = execute(database_url, "SELECT ticks_missed FROM poller.hourly_ticks ORDER BY hour")

    execute(database_url, "UPDATE poller.schedules SET valid_to = %s", TICK + HOUR + timedelta(minutes=10))
    refresh(database_url)

    assert before == [(59,), (60,), (60,)]
    assert execute(database_url, "SELECT ticks_missed FROM poller.hourly_ticks ORDER BY hour") == [(59,), (10,)]


async def test_a_contract_that_becomes_known_gives_past_hours_their_units(store: Store, database_url: str) -> None:
    await store.save(ok(positions=(position("BTCUSDT", position_amount=Decimal(1), notional=Decimal(9)),)))
    refresh(database_url)
    before = execute(database_url, "SELECT base_asset, last_net_exposure FROM poller.hourly_exposure")

    execute(
        database_url,
        "INSERT INTO poller.contracts (environment, market, symbol, base_asset, quote_asset, margin_asset) "
        "VALUES ('simulated', 'usdm', 'BTCUSDT', 'BTC', 'USDT', 'USDT')",
    )
    refreshed = refresh(database_url)
    execute(database_url, "UPDATE poller.contracts SET contract_type = 'PERPETUAL'")

    assert before == [(None, 9)]
    assert refreshed == 1
    assert execute(database_url, "SELECT base_asset, last_net_exposure FROM poller.hourly_exposure") == [("BTC", 9)]
    assert refresh(database_url) == 0


async def test_rows_that_are_dropped_leave_their_rollups(store: Store, database_url: str) -> None:
    await store_history(database_url, store, dice(7))
    refresh(database_url)
    before = contents(database_url)

    for name in ("polls", "account_totals", "asset_balances", "positions"):
        [(dropped,)] = execute(database_url, "SELECT poller.drop_history(%s, now() - INTERVAL '60 days')", name)
        assert int(str(dropped)) > 0
    # What comes later still is not all that there was.
    await store.save(failed(BEGIN + timedelta(seconds=7), account="main"))
    execute(database_url, "UPDATE poller.schedules SET valid_to = valid_to - INTERVAL '1 hour'")
    refresh(database_url)

    assert contents(database_url) == before
    assert execute(database_url, "SELECT count(*) FROM poller.rollup_queue") == [(0,)]


async def test_nothing_is_dropped_that_rollups_are_still_to_be_made_of(store: Store, database_url: str) -> None:
    await store.save(ok())
    drop = "SELECT poller.drop_history('polls', now() - INTERVAL '1 day')"

    queued = execute(database_url, drop)
    refresh(database_url)

    assert queued == [(0,)]
    assert execute(database_url, drop) == [(1,)]
    assert execute(database_url, "SELECT ticks_stored FROM poller.hourly_ticks") == [(1,)]


async def test_a_downgrade_and_an_upgrade_make_the_same_rollups_again(store: Store, database_url: str) -> None:
    await store_history(database_url, store, dice(8))
    refresh(database_url)
    before = contents(database_url)
    await store.close()

    command.downgrade(alembic_config(database_url), "c41d7e93ab58")
    command.upgrade(alembic_config(database_url), "head")
    refresh(database_url)

    assert contents(database_url) == before


async def test_the_writer_touches_no_hour_of_a_poll_that_it_had(store: Store, database_url: str) -> None:
    polls = [replace(snapshot) for snapshot in history(dice(9), "main")][:3]
    execute(database_url, "SELECT poller.ensure_partitions(%s)", BEGIN)
    await store.save_all(polls)
    refresh(database_url)

    await store.save_all(polls)

    assert execute(database_url, "SELECT count(*) FROM poller.rollup_queue") == [(0,)]
    assert INTERVAL * 3 < 3600
