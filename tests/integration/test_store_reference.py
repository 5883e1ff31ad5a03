"""Modes over time and contracts by name: what measurements in any order, repeated and late, leave behind."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest

from poller.errors import EnvironmentMismatchError, UnstorableError
from poller.observation import AssetMode, AssetModeSource, Environment, Market, ModesMeasured, PositionMode
from poller.records import Contract
from poller.storage.store import Saved, Store
from tests.support.database import execute
from tests.support.snapshots import ok, position, tick

SINGLE, MULTI = AssetMode.SINGLE_ASSET, AssetMode.MULTI_ASSETS
ONE_WAY, HEDGE = PositionMode.ONE_WAY, PositionMode.HEDGE
Story = list[tuple[object, ...]]


@pytest.fixture(name="plain_store")
async def _plain_store(plain_database_url: str) -> AsyncIterator[Store]:
    store = Store(plain_database_url)
    await store.open()
    yield store
    await store.close()


def measured(
    number: int,
    asset_mode: AssetMode | None = SINGLE,
    position_mode: PositionMode | None = ONE_WAY,
    *,
    account: str = "main",
    where: Environment = Environment.SIMULATED,
) -> ModesMeasured:
    return ModesMeasured(
        environment=where,
        account=account,
        measured_at=tick(number),
        asset_mode=asset_mode,
        position_mode=position_mode,
    )


def story(url: str, market: Market = Market.USDM, account: str = "main") -> Story:
    return execute(
        url,
        """
        SELECT valid_from, confirmed_at, valid_to, asset_mode, position_mode FROM poller.account_modes
        WHERE market = %s AND account = %s ORDER BY valid_from
        """,
        market.value,
        account,
    )


def row(first: int, last: int, end: int | None, *modes: str | None) -> tuple[object, ...]:
    return tick(first), tick(last), None if end is None else tick(end), *modes


def contract(symbol: str, margin_asset: str = "USDT", size: Decimal | None = None, kind: str = "PERPETUAL") -> Contract:
    return Contract(
        symbol=symbol,
        base_asset=symbol[:3],
        quote_asset="USD",
        margin_asset=margin_asset,
        contract_size=size,
        contract_type=kind,
    )


async def save(store: Store, listed: Sequence[Contract], market: Market = Market.USDM) -> int:
    return await store.save_contracts(Environment.SIMULATED, market, listed)


async def test_a_new_row_begins_only_when_something_changed(store: Store, database_url: str) -> None:
    for entry in (measured(0), measured(1), measured(2, MULTI), measured(3, MULTI), measured(4, MULTI, HEDGE)):
        await store.save_modes(entry)

    assert story(database_url) == [
        row(0, 1, 2, "single_asset", "one_way"),
        row(2, 3, 4, "multi_assets", "one_way"),
        row(4, 4, None, "multi_assets", "hedge"),
    ]
    assert story(database_url, Market.COINM) == [row(0, 3, 4, None, "one_way"), row(4, 4, None, None, "hedge")]
    assert execute(database_url, "SELECT DISTINCT source FROM poller.account_modes") == [("exchange",)]


async def test_the_same_again_changes_nothing(plain_store: Store, plain_database_url: str) -> None:
    entries = [measured(0), measured(1), measured(2, MULTI), measured(3), measured(4, None)]
    for entry in entries:
        await plain_store.save_modes(entry)
    before = story(plain_database_url)

    for entry in [*entries, *reversed(entries)]:
        await plain_store.save_modes(entry)

    assert story(plain_database_url) == before
    assert len(before) == 4


async def test_an_unknown_mode_is_a_row_without_it_and_no_row_where_nothing_is_known(
    plain_store: Store, plain_database_url: str
) -> None:
    await plain_store.save_modes(measured(0, SINGLE, None))
    await plain_store.save_modes(measured(1, None, None, account="other"))

    assert story(plain_database_url) == [row(0, 0, None, "single_asset", None)]
    assert story(plain_database_url, Market.COINM) == []
    assert story(plain_database_url, account="other") == []


async def test_a_late_measurement_lets_a_row_begin_earlier(plain_store: Store, plain_database_url: str) -> None:
    for entry in (measured(5), measured(9, MULTI), measured(7, MULTI), measured(3)):
        await plain_store.save_modes(entry)

    assert story(plain_database_url) == [
        row(3, 5, 7, "single_asset", "one_way"),
        row(7, 9, None, "multi_assets", "one_way"),
    ]


async def test_a_late_measurement_of_other_modes_fills_what_nobody_knew(
    plain_store: Store, plain_database_url: str
) -> None:
    for entry in (measured(5), measured(9), measured(12, MULTI), measured(10, SINGLE, HEDGE), measured(1, MULTI)):
        await plain_store.save_modes(entry)

    assert story(plain_database_url) == [
        row(1, 1, 5, "multi_assets", "one_way"),
        row(5, 9, 10, "single_asset", "one_way"),
        row(10, 10, 12, "single_asset", "hedge"),
        row(12, 12, None, "multi_assets", "one_way"),
    ]


async def test_a_late_measurement_does_not_stand_against_those_around_it(
    plain_store: Store, plain_database_url: str
) -> None:
    for entry in (measured(0), measured(5), measured(3, MULTI), measured(0, MULTI), measured(5, MULTI)):
        await plain_store.save_modes(entry)

    assert story(plain_database_url) == [row(0, 5, None, "single_asset", "one_way")]


async def test_measurements_in_any_order_leave_one_unbroken_story(plain_store: Store, plain_database_url: str) -> None:
    random = Random(1)  # noqa: S311 - examples that can be made again
    for account in map(str, range(40)):
        entries = [
            measured(number, random.choice([SINGLE, MULTI]), random.choice([ONE_WAY, HEDGE]), account=account)
            for number in range(10)
        ]
        for entry in random.sample(entries * 2, 20):
            await plain_store.save_modes(entry)
        told = {(entry.measured_at, entry.asset_mode, entry.position_mode) for entry in entries}

        found = story(plain_database_url, account=account)
        assert found[0][0] == tick(0)
        assert found[-1][2] is None
        assert (tick(9), *found[-1][3:]) in told
        for earlier, later in pairwise(found):
            assert earlier[2] == later[0], "a row ends where the next one begins"
            assert earlier[3:] != later[3:], "and the next one says something else"
        for began, confirmed, _, *modes in found:
            assert {(began, *modes), (confirmed, *modes)} <= told, "nobody measured that"


async def test_two_writers_at_once_leave_one_row_without_an_end(plain_store: Store, plain_database_url: str) -> None:
    other = Store(plain_database_url)
    await other.open()
    await plain_store.save_modes(measured(0))
    await other.save_modes(measured(0))
    for number in range(1, 40, 2):
        await asyncio.gather(
            plain_store.save_modes(measured(number, MULTI if number % 4 == 1 else SINGLE)),
            other.save_modes(measured(number + 1, SINGLE if number % 4 == 1 else MULTI, HEDGE)),
        )
    await other.close()

    found = story(plain_database_url)
    assert [end for _, _, end, *_ in found].count(None) == 1
    for earlier, later in pairwise(found):
        assert earlier[2] == later[0]


async def test_modes_of_a_label_of_another_environment_are_refused(plain_store: Store, plain_database_url: str) -> None:
    await plain_store.save_modes(measured(0))

    with pytest.raises(EnvironmentMismatchError):
        await plain_store.save_modes(measured(1, where=Environment.LIVE))
    assert story(plain_database_url) == [row(0, 0, None, "single_asset", "one_way")]


async def test_a_row_says_that_the_exchange_told_its_asset_mode(store: Store, database_url: str) -> None:
    snapshot = ok()
    assert snapshot.totals
    told = replace(snapshot.totals, asset_mode=MULTI, asset_mode_source=AssetModeSource.EXCHANGE, totals_asset="USD")

    assert await store.save(replace(snapshot, totals=told)) is Saved.NEW

    assert execute(database_url, "SELECT asset_mode, asset_mode_source FROM poller.account_totals") == [
        ("multi_assets", "exchange")
    ]


async def test_contracts_are_written_once_and_again_when_they_differ(store: Store, database_url: str) -> None:
    first = [contract("BTCUSDT"), contract("ETHUSDT_261225", kind="NEXT_QUARTER")]
    assert await save(store, first) == 2
    assert await save(store, first) == 0
    before = execute(database_url, "SELECT symbol, updated_at FROM poller.contracts ORDER BY symbol")

    assert await save(store, [contract("ETHUSDT_261225", kind="CURRENT_QUARTER"), contract("龙虾USDT")]) == 2

    assert execute(database_url, "SELECT symbol, contract_type FROM poller.contracts ORDER BY symbol") == [
        ("BTCUSDT", "PERPETUAL"),  # listed no more
        ("ETHUSDT_261225", "CURRENT_QUARTER"),
        ("龙虾USDT", "PERPETUAL"),
    ]
    after = execute(database_url, "SELECT symbol, updated_at FROM poller.contracts ORDER BY symbol")
    assert after[0] == before[0]
    assert after[1] != before[1]


async def test_no_contract_at_all_is_nothing_to_do(plain_store: Store) -> None:
    assert await save(plain_store, []) == 0


async def test_the_markets_and_environments_have_contracts_of_their_own(
    plain_store: Store, plain_database_url: str
) -> None:
    bitcoin = contract("BTCUSD_PERP", "BTC", Decimal(100))
    await save(plain_store, [bitcoin], Market.COINM)
    await save(plain_store, [contract("BTCUSD_PERP")])
    await plain_store.save_contracts(Environment.LIVE, Market.COINM, [contract("BTCUSD_PERP", "BTC", Decimal("10.50"))])

    assert execute(
        plain_database_url,
        "SELECT environment, market, contract_size::text FROM poller.contracts ORDER BY environment, market",
    ) == [("live", "coinm", "10.50"), ("simulated", "coinm", "100"), ("simulated", "usdm", None)]


async def test_contracts_that_the_database_refuses_leave_nothing(plain_store: Store, plain_database_url: str) -> None:
    with pytest.raises(UnstorableError):
        await save(plain_store, [contract("BTCUSDT"), contract("ETH\x00USDT")])

    assert execute(plain_database_url, "SELECT count(*) FROM poller.contracts") == [(0,)]


async def test_a_symbol_without_its_contract_is_a_position_without_a_unit(store: Store, database_url: str) -> None:
    held = tuple(position(symbol, position_amount=Decimal(1)) for symbol in ("BTCUSDT", "新USDT"))
    await save(store, [contract("BTCUSDT")])
    await store.save_contracts(Environment.LIVE, Market.USDM, [contract("新USDT", "BTC")])

    assert await store.save(ok(positions=held)) is Saved.NEW

    assert execute(
        database_url,
        """
        SELECT symbol, margin_asset FROM poller.positions
        JOIN poller.accounts USING (account) LEFT JOIN poller.contracts USING (environment, market, symbol)
        ORDER BY symbol
        """,
    ) == [("BTCUSDT", "USDT"), ("新USDT", None)]
