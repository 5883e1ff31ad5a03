"""Rows made anew from kept replies: nothing where all is right, everything where it is not, and never a loss."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, LiteralString

import pytest
from psycopg.sql import SQL, Identifier

from poller.config import Settings, load
from poller.daemon.renormalize import Renormalized, renormalize
from poller.normalize import normalize, reject
from poller.observation import (
    AssetMode,
    AssetModeSource,
    Environment,
    Market,
    ModesMeasured,
    Observation,
    Status,
)
from poller.storage.archive import Selection
from poller.storage.store import Store
from tests.support.database import execute
from tests.support.replies import (
    TIME,
    coinm_position,
    coinm_result,
    envelope,
    observed,
    unanswered,
    usdm_asset,
    usdm_position,
    usdm_result,
)

USDT = usdm_asset("USDT", "5.5", haircut={"rate": 0.10, "of": [1, "x"]})
USDM = envelope(usdm_result(assets=[USDT], positions=[usdm_position("BTCUSDT", "0.100")], region="eu", total="5.5"))
COINM = envelope(coinm_result(positions=[coinm_position("BTCUSD_PERP", "1", maxQty=str(2**63 - 1))]))
EMPTY = envelope(usdm_result())
TABLES = ("polls", "account_totals", "asset_balances", "positions", "raw_payloads", "rejected_payloads")


def tick(number: int, body: bytes = USDM, market: Market = Market.USDM, **fields: Any) -> Observation:
    return observed(market, body, **({"time": TIME + timedelta(seconds=10 * number)} | fields))


def from_each(url: str, columns: LiteralString) -> list[tuple[object, ...]]:
    """Return something of every row of every table."""
    return [
        (table, *row)
        for table in TABLES
        for row in execute(
            url, SQL("SELECT {} FROM {} t ORDER BY t::text").format(SQL(columns), Identifier("poller", table))
        )
    ]


def rows(url: str) -> list[tuple[object, ...]]:
    """Return all rows, with what tells which transaction wrote them."""
    return from_each(url, "xmin::text, t::text")


def contents(url: str) -> list[tuple[object, ...]]:
    """Return all rows but what is said of their writing."""
    return from_each(url, "to_jsonb(t) - '{stored_at,renormalized_at,replaced_status}'::text[]")


async def renormalized(folder: Path, url: str, *, dry: bool = False, **selected: Any) -> Renormalized:
    selection = Selection(since=TIME - timedelta(days=1), until=TIME + timedelta(days=1))
    return await renormalize(
        settings(folder, url),
        replace(selection, **selected),
        dry=dry,
        hide=lambda _: None,
        report=lambda _: None,
    )


def settings(folder: Path, url: str) -> Settings:
    (folder / "config.yaml").write_text("exchange: {environment: simulated}\naccounts: [{name: main}]\n")
    return load(folder / "config.yaml", {"DATABASE_URL": url})


@pytest.fixture(name="filled")
async def _filled(store: Store, database_url: str) -> str:
    """A database with a poll of every kind."""
    told: dict[str, Any] = {"asset_mode": AssetMode.MULTI_ASSETS}
    for observation in (
        tick(0),
        tick(1, EMPTY),
        tick(2, EMPTY, asset_mode_source=AssetModeSource.EXCHANGE, **told),
        tick(3, asset_mode_source=AssetModeSource.EXCHANGE, **told),  # which the reply contradicts
        tick(4, asset_mode_source=AssetModeSource.CONFIG, **told),
        tick(5, COINM, Market.COINM),
    ):
        await store.save(normalize(observation).snapshot)
    await store.save(normalize(unanswered(Status.TIMEOUT, time=TIME + timedelta(seconds=60))).snapshot)
    await store.save(reject(tick(7, USDM[:300]), "cut off"))
    await store.save(reject(tick(7, environment=Environment.LIVE), "of another environment"))
    await store.save(reject(tick(8, b""), "a frame above 16 MiB"))
    return database_url


async def test_nothing_is_touched_where_nothing_changed(filled: str, tmp_path: Path) -> None:
    before = rows(filled)
    done = await renormalized(tmp_path, filled)

    assert (done.total, done.seen, done.unchanged, done.changed, done.now_ok) == (8, 8, 6, 0, 0)
    assert rows(filled) == before
    assert sorted(reason.partition(" ")[0] for reason in done.malformed) == ["Input", "a"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE poller.positions SET notional = notional + 1",
        "DELETE FROM poller.asset_balances",
        "UPDATE poller.asset_balances SET extra = NULL",
        "UPDATE poller.polls SET assets_seen = 0 WHERE status = 'ok'",
        "UPDATE poller.account_totals SET wallet_balance = 0, extra = '{}'",
        "INSERT INTO poller.positions SELECT time, account, market, 'X', 'BOTH' FROM poller.account_totals",
    ],
)
async def test_rows_that_differ_from_their_reply_are_made_anew(filled: str, tmp_path: Path, damage: Any) -> None:
    right = contents(filled)
    execute(filled, damage)
    wrong = contents(filled)
    tried = await renormalized(tmp_path, filled, dry=True)
    assert contents(filled) == wrong
    done = await renormalized(tmp_path, filled)
    marked = execute(filled, "SELECT count(*) FROM poller.polls WHERE renormalized_at IS NOT NULL")

    assert wrong != right
    assert contents(filled) == right
    assert done == tried
    assert marked == [(done.changed,)]
    assert (await renormalized(tmp_path, filled)).changed == 0


async def test_a_reply_that_is_understood_now_becomes_ok_and_is_released(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await store.save_modes(
        ModesMeasured(
            environment=Environment.SIMULATED,
            account="main",
            measured_at=TIME,
            asset_mode=AssetMode.SINGLE_ASSET,
            position_mode=None,
        )
    )
    await store.save(reject(tick(0), "an older release did not understand it"))
    done = await renormalized(tmp_path, database_url)
    polls = execute(
        database_url,
        "SELECT status, replaced_status, error_message, latency_ms, assets_seen, renormalized_at = stored_at,"
        " asset_mode, asset_mode_source FROM poller.polls JOIN poller.account_totals USING (time, account, market)",
    )
    counts = Counter(table for table, _ in from_each(database_url, "1"))

    assert done.now_ok == 1
    assert polls == [("ok", "malformed", None, 12, 1, True, "single_asset", "exchange")]
    assert counts == dict.fromkeys(TABLES[:-1], 1)
    assert (await renormalized(tmp_path, database_url)).unchanged == 1


async def test_a_reply_of_a_time_that_was_dropped_becomes_ok_too(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    long_ago = TIME - timedelta(days=700)
    await store.save(reject(tick(0, time=long_ago), "an older release did not understand it"))
    for table in ("positions", "raw_payloads"):
        execute(database_url, "SELECT poller.drop_history(%s, %s)", table, TIME - timedelta(days=600))
    done = await renormalized(tmp_path, database_url, since=long_ago)
    counts = Counter(table for table, _ in from_each(database_url, "1"))

    assert (done.now_ok, done.malformed) == (1, {})
    assert counts == dict.fromkeys(TABLES[:-1], 1)


async def test_a_reply_that_is_understood_no_more_destroys_nothing(filled: str, tmp_path: Path) -> None:
    execute(filled, "UPDATE poller.raw_payloads SET codec = 0, body = '[]' WHERE market = 'coinm'")
    before = rows(filled)
    done = await renormalized(tmp_path, filled, market=Market.COINM)

    assert rows(filled) == before
    assert done.kept == {"the reply is not an object": 1}


async def test_what_the_database_refuses_stays_malformed(store: Store, database_url: str, tmp_path: Path) -> None:
    await store.save(reject(tick(0, envelope(usdm_result(assets=[usdm_asset("US\x00DT", "1")]))), "NUL"))
    before = rows(database_url)
    done = await renormalized(tmp_path, database_url)

    assert rows(database_url) == before
    assert done.malformed.total() == 1


async def test_only_what_is_selected_is_looked_at(filled: str, tmp_path: Path) -> None:
    one = await renormalized(tmp_path, filled, since=TIME, until=TIME + timedelta(seconds=10))
    none = await renormalized(tmp_path, filled, account="other")
    coinm = await renormalized(tmp_path, filled, market=Market.COINM)

    assert (one.total, none.total, coinm.total) == (1, 0, 1)
