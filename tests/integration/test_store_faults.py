"""Poisonous data end one poll, a sick database ends none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import cast

import psycopg
import pytest

from poller.errors import ConfigError, StoreUnavailableError, UnstorableError
from poller.observation import Status
from poller.records import Snapshot
from poller.storage.store import Saved, Store
from tests.support.database import end_stores, execute, until_blocked
from tests.support.snapshots import TICK, balance, malformed, ok, poll_row, position, tick

POISON = {
    "a NUL in a symbol": ok(positions=(position("BTC\0USDT"),)),
    "a NUL in an account": ok(account="ma\0in"),
    "half a surrogate pair": ok(positions=(position("BTC\ud800"),)),
    "a number with too many digits": ok(assets=(balance("USDT", wallet_balance=Decimal("1e200000")),)),
    "a number with too many decimals": ok(assets=(balance("USDT", wallet_balance=Decimal("1e-20000")),)),
    "a count beyond four bytes": replace(ok(), poll=replace(poll_row(), weight_used=2**31)),
    "a delay beyond eight bytes": replace(ok(), poll=replace(poll_row(), latency_ms=2**64)),
    "an extra that is no JSON": ok(assets=(replace(balance("USDT"), extra="{"),)),
    "a time before the exchange": ok(TICK.replace(year=2019, month=8)),
    "a time in the far future": ok(TICK.replace(year=9999)),
}


def rows(url: str) -> list[tuple[object, ...]]:
    return execute(
        url,
        """
        SELECT 'polls', count(*) FROM poller.polls HAVING count(*) > 0
        UNION ALL SELECT 'account_totals', count(*) FROM poller.account_totals HAVING count(*) > 0
        UNION ALL SELECT 'asset_balances', count(*) FROM poller.asset_balances HAVING count(*) > 0
        UNION ALL SELECT 'positions', count(*) FROM poller.positions HAVING count(*) > 0
        UNION ALL SELECT 'raw_payloads', count(*) FROM poller.raw_payloads HAVING count(*) > 0
        UNION ALL SELECT 'rejected_payloads', count(*) FROM poller.rejected_payloads HAVING count(*) > 0
        """,
    )


async def test_poison_is_refused_whole_and_what_follows_is_stored(store: Store, database_url: str) -> None:
    for what, snapshot in POISON.items():
        with pytest.raises(UnstorableError):
            await store.save(snapshot)
        assert rows(database_url) == [], what

    assert store.is_open
    assert await store.save(ok()) is Saved.NEW


async def test_a_refusal_says_what_is_wrong_and_repeats_no_data(store: Store) -> None:
    secret = replace(ok(), poll=replace(poll_row(account="top secret"), status=cast("Status", "top secret")))

    with pytest.raises(UnstorableError) as refusal:
        await store.save(secret)

    assert str(refusal.value).startswith("CheckViolation of ")
    assert str(refusal.value).endswith(" (SQLSTATE 23514)")
    assert "secret" not in str(refusal.value)


async def test_a_reply_from_an_impossible_time_leaves_its_payload_only(store: Store, database_url: str) -> None:
    early = malformed(TICK.replace(year=2019, month=8, day=31))

    assert [await store.save(early), await store.save(early)] == [Saved.NEW, Saved.EXISTING]
    assert rows(database_url) == [("rejected_payloads", 1)]


async def test_a_connection_that_ends_in_a_save_stores_nothing_and_the_next_save_works(
    store: Store, database_url: str
) -> None:
    await store.save(ok(tick(1)))
    with psycopg.connect(database_url) as holder:
        holder.execute(
            "INSERT INTO poller.polls (time, account, market, status, attempts, instance) "
            "VALUES (%s, 'main', 'usdm', 'timeout', 1, 'other')",
            (TICK,),
        )
        async with asyncio.TaskGroup() as tasks:
            save = tasks.create_task(_failure(store, ok()))
            await until_blocked(database_url)
            end_stores(database_url)
        holder.rollback()

    assert "terminating connection" in str(save.result())
    assert not store.is_open
    assert rows(database_url)[0] == ("polls", 1)
    await store.open()
    assert await store.save(ok()) is Saved.NEW


async def test_a_save_that_was_cancelled_stores_nothing_and_the_next_works(store: Store, database_url: str) -> None:
    await store.save(ok(tick(1)))
    with psycopg.connect(database_url) as holder:
        holder.execute(
            "INSERT INTO poller.polls (time, account, market, status, attempts, instance) "
            "VALUES (%s, 'main', 'usdm', 'timeout', 1, 'other')",
            (TICK,),
        )
        save = asyncio.create_task(store.save(ok()))
        await until_blocked(database_url)
        save.cancel()
        with pytest.raises(asyncio.CancelledError):
            await save
        holder.rollback()

    assert rows(database_url)[0] == ("polls", 1)
    assert await store.save(ok()) is Saved.NEW


async def test_an_idle_connection_that_ended_costs_one_failure(store: Store, database_url: str) -> None:
    end_stores(database_url)

    await _failure(store, ok())
    await store.open()

    assert await store.save(ok()) is Saved.NEW


async def test_a_database_that_only_reads_is_unavailable(store: Store, database_url: str) -> None:
    await store.save(ok(tick(1)))
    execute(
        database_url,
        "DO $$ BEGIN EXECUTE "
        "format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$",
    )
    await store.close()
    await store.open()

    assert "read-only" in str(await _failure(store, ok()))


async def test_a_missing_table_is_a_fault_of_the_schema_not_of_the_data(store: Store, database_url: str) -> None:
    execute(database_url, "DROP TABLE poller.raw_payloads")

    assert "run `poller migrate`" in str(await _failure(store, ok()))


async def test_a_database_that_nobody_serves_is_unavailable_without_its_password() -> None:
    store = Store("postgresql://poller:the-password@127.0.0.1:1/poller")

    with pytest.raises(StoreUnavailableError) as refusal:
        await store.open()

    assert "refused" in str(refusal.value)
    assert "the-password" not in repr(refusal.value) + repr(refusal.value.__cause__)
    await store.close()


@pytest.mark.parametrize(
    "url", ["mysql://root:the-password@localhost/x", "the-password", "postgresql://u:the-password@h:port/"]
)
def test_an_address_that_is_none_is_a_fault_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^database\.url: ") as refusal:
        Store(url)

    assert "the-password" not in str(refusal.value)


async def test_a_server_that_falls_silent_is_noticed(plain_database_url: str) -> None:
    async with _freezable(plain_database_url) as (url, freeze):
        store = Store(url)
        await store.open()
        freeze.set()
        patience, store._watchdog_seconds = store._watchdog_seconds, 0.5

        assert str(await _failure(store, ok())) == "the database does not answer"

        freeze.clear()
        store._watchdog_seconds = patience
        await store.open()
        assert await store.save(ok()) is Saved.NEW
        await store.close()


async def _failure(store: Store, snapshot: Snapshot) -> StoreUnavailableError:
    with pytest.raises(StoreUnavailableError) as failure:
        await store.save(snapshot)
    return failure.value


@asynccontextmanager
async def _freezable(url: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Have a way to a database through which nothing comes back while the event is set."""
    frozen = asyncio.Event()
    address = psycopg.conninfo.conninfo_to_dict(url)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
        while data := await reader.read(65536):
            if back and frozen.is_set():
                return
            writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(str(address["host"]), int(str(address["port"])))
        try:
            await asyncio.gather(carry(reader, server_writer, back=False), carry(server_reader, writer, back=True))
        except ConnectionError:
            pass
        finally:
            for end in (writer, server_writer):
                end.close()

    async with await asyncio.start_server(connect, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        yield url.replace(f":{address['port']}/", f":{port}/"), frozen
