"""Stores thousands of replies through the spool and the writer, then makes all rows anew from the archive.

Nothing may change. Then the rows of some polls are falsified in every table and some replies are put among the
rejected: afterwards every row must be as it was.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Final, LiteralString

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from poller.codec import compress, decompress
from poller.config import load
from poller.daemon.renormalize import Renormalized, renormalize
from poller.observation import AssetMode, AssetModeSource, Environment, Market, Observation
from poller.simulator.accounts import Account
from poller.simulator.replies import account_result
from poller.spool import Spool
from poller.storage.archive import Selection
from poller.storage.schema import upgrade
from poller.storage.store import Store
from poller.writer import Writer
from tests.torture.terms import Figure, Terms

NAME = "archived replies make the same rows again"

_LONG: Final = 10_000
_SHORT: Final = 500
_STEP: Final = timedelta(seconds=10)
_PATIENCE_SECONDS: Final = 600.0
_TABLES: Final = ("polls", "account_totals", "asset_balances", "positions", "raw_payloads", "rejected_payloads")
_FALSIFIED: Final[tuple[LiteralString, ...]] = (
    "UPDATE poller.polls SET assets_seen = 0 WHERE time = %s",
    "UPDATE poller.account_totals SET wallet_balance = -1, can_trade = NULL WHERE time = %s",
    "DELETE FROM poller.asset_balances WHERE time = %s",
    "UPDATE poller.positions SET notional = notional + 1, leverage = 7 WHERE time = %s",
)
_REJECTED: Final[tuple[LiteralString, ...]] = (
    """INSERT INTO poller.rejected_payloads
    SELECT time, account, market, 'simulated', received_at, 'not understood', codec, body, NULL, NULL
    FROM poller.raw_payloads JOIN poller.polls USING (time, account, market) WHERE time = %s""",
    "DELETE FROM poller.raw_payloads WHERE time = %s",
    "DELETE FROM poller.positions WHERE time = %s",
    "DELETE FROM poller.asset_balances WHERE time = %s",
    """UPDATE poller.polls SET status = 'malformed', error_message = 'not understood', assets_seen = NULL,
    positions_seen = NULL WHERE time = %s""",
)


async def torture(chance: random.Random, terms: Terms) -> AsyncIterator[Figure]:
    """Yield what was measured."""
    count = _SHORT if terms.short else _LONG
    url = await asyncio.to_thread(_database, terms.server)
    start = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=10 * chance.randrange(100_000))
    await _store(chance, terms.folder, url, start, count)
    right = await asyncio.to_thread(_digests, url)
    began = monotonic()
    first = await _renormalized(terms.folder, url)
    yield Figure(name="replies made anew", value=first.total, bound=f">= {count}")
    yield Figure(name="rows changed", value=first.total - first.unchanged, bound="<= 0")
    yield Figure(name="replies a second", value=first.total / (monotonic() - began), bound="")
    falsified = chance.sample(range(count // 2), count // 10)
    await asyncio.to_thread(_falsify, chance, url, [start + _STEP * number for number in falsified])
    second = await _renormalized(terms.folder, url)
    missed = len(falsified) - second.changed - second.now_ok
    yield Figure(name="falsified polls that were not made anew", value=missed, bound="<= 0")
    wrong = right.symmetric_difference(await asyncio.to_thread(_digests, url))
    yield Figure(name="rows that differ afterwards", value=len(wrong), bound="<= 0")


def _database(server: str) -> str:
    with psycopg.connect(server, autocommit=True) as administrator:
        administrator.execute("CREATE DATABASE renormalize TEMPLATE template0")
    url = f"{server.rpartition('/')[0]}/renormalize"
    upgrade(url, lambda _: None)
    return url


async def _store(chance: random.Random, folder: Path, url: str, start: datetime, count: int) -> None:
    spool = await Spool.open(folder / "spool.sqlite", max_size=2**28)
    writer = Writer(spool=spool, store=(store := Store(url)))
    writing = asyncio.create_task(writer.run())
    try:
        for observation in _observations(chance, start, count):
            await spool.append(observation)
            writer.wake()
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await writer.drained.wait()
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await store.close()
        await spool.close()


def _observations(chance: random.Random, start: datetime, count: int) -> Iterator[Observation]:
    """Yield a reply for each tick; every twentieth is one of COIN-M, which is ten times as large."""
    seed = chance.randrange(1000)
    known = ((None, None), *((mode, source) for mode in AssetMode for source in list(AssetModeSource)[:2]))
    for number in range(count):
        time = start + _STEP * number
        market = Market.COINM if chance.random() < 0.05 else Market.USDM
        account = Account(label="main", multi_assets=number * 10 // count % 2 == 1)
        body = json.dumps({"id": "1", "status": 200, "result": account_result(seed, account, market, _ms(time))})
        codec, compressed = compress(market, body.encode())
        mode, source = chance.choice(known)
        yield Observation(
            environment=Environment.SIMULATED,
            account=account.label,
            market=market,
            time=time,
            status=None,
            requested_at=time,
            received_at=time,
            latency_ms=chance.randrange(500),
            attempts=1,
            codec=codec,
            body=compressed,
            instance="torture",
            asset_mode=mode,
            asset_mode_source=source,
        )


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _falsify(chance: random.Random, url: str, times: list[datetime]) -> None:
    with psycopg.connect(url) as connection:
        for time in times:
            # The totals hold the asset mode that was known: only where they stay can that be known again.
            for statement in _REJECTED if chance.random() < 0.5 else _FALSIFIED:
                connection.execute(statement, (time,))
        sizes = connection.execute("SELECT time, account, market, codec, body FROM poller.rejected_payloads").fetchall()
        _measure(connection, sizes)


def _measure(connection: psycopg.Connection, payloads: list[tuple[object, ...]]) -> None:
    for *key, codec, body in payloads:
        assert isinstance(codec, int)
        assert isinstance(body, bytes)
        connection.execute(
            "UPDATE poller.rejected_payloads SET body_bytes = %s WHERE time = %s AND account = %s AND market = %s",
            (len(decompress(codec, body)), *key),
        )


def _digests(url: str) -> set[tuple[object, ...]]:
    """Return a digest of every row, without what is said of its writing."""
    with psycopg.connect(url) as connection:
        return {(table, *row) for table in _TABLES for row in connection.execute(_query(table))}


def _query(table: str) -> Composed:
    content = "to_jsonb(t) - '{stored_at,renormalized_at,replaced_status}'::text[]"
    return SQL("SELECT md5(({})::text) FROM {} t").format(SQL(content), Identifier("poller", table))


async def _renormalized(folder: Path, url: str) -> Renormalized:
    config = folder / "config.yaml"
    config.write_text("exchange: {environment: simulated}\naccounts: [{name: main}]\n", encoding="utf-8")
    return await renormalize(
        load(config, {"DATABASE_URL": url}),
        Selection(since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2028, 1, 1, tzinfo=UTC)),
        dry=False,
        hide=lambda _: None,
        report=lambda _: None,
    )
