"""The gate: at most one snapshot for a tick, with the rows of exactly one reply."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from decimal import Decimal

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from poller.errors import EnvironmentMismatchError, UnstorableError
from poller.observation import AssetMode, AssetModeSource, Environment, Status
from poller.records import AccountTotals, AssetBalance, Position, RawPayload, Snapshot
from poller.storage.store import Saved, Store
from tests.support.database import execute, until_blocked
from tests.support.snapshots import TICK, balance, failed, malformed, ok, position, tick, totals

NOT_OK = [status for status in Status if status not in (Status.OK, Status.MALFORMED)]


@pytest.fixture(name="other")
async def _other(database_url: str) -> AsyncIterator[Store]:
    """A second writer of the same database."""
    store = Store(database_url)
    await store.open()
    yield store
    await store.close()


def status_of(url: str) -> list[tuple[object, ...]]:
    return execute(url, "SELECT status, replaced_status, instance FROM poller.polls ORDER BY time")


def children_of(url: str) -> list[int]:
    [counts] = execute(
        url,
        """
        SELECT (SELECT count(*) FROM poller.account_totals), (SELECT count(*) FROM poller.asset_balances),
            (SELECT count(*) FROM poller.positions), (SELECT count(*) FROM poller.raw_payloads),
            (SELECT count(*) FROM poller.rejected_payloads)
        """,
    )
    return [int(str(count)) for count in counts]


async def test_a_poll_is_stored_with_all_its_rows(store: Store, database_url: str) -> None:
    assets = (balance("USDT"), balance("BNB"), balance("\N{CJK UNIFIED IDEOGRAPH-5E01}"))

    saved = await store.save(ok(assets=assets, positions=(position("BTCUSDT"), position("ETHUSDT"))))

    assert saved is Saved.NEW
    assert status_of(database_url) == [("ok", None, "run")]
    assert children_of(database_url) == [1, 3, 2, 1, 0]


def numbered(record: type) -> dict[str, Decimal]:
    """Return a number of its own for each amount of a record."""
    amounts = [field.name for field in fields(record) if field.type == Decimal | None]
    return {name: Decimal(number) for number, name in enumerate(amounts, start=1)}


async def test_every_field_of_the_records_arrives_in_its_column(store: Store, database_url: str) -> None:
    total = replace(
        totals(**numbered(AccountTotals)), asset_mode=AssetMode.MULTI_ASSETS, asset_mode_source=AssetModeSource.PAYLOAD,
        totals_asset="USD", fee_tier=2, can_trade=True, can_deposit=False, exchange_updated_at=tick(1),
        extra='{"a": "1", "b": [1E-8]}',
    )  # fmt: skip
    asset = replace(
        balance("USDT", **numbered(AssetBalance)),
        margin_available=True,
        exchange_updated_at=tick(2),
        extra='{"c": null}',
    )
    held = replace(position("BTCUSD_PERP", **numbered(Position)), isolated=False, exchange_updated_at=tick(3))
    snapshot = replace(ok(assets=(asset,), positions=(held,)), totals=total)

    await store.save(snapshot)

    for table, record in (
        ("polls", snapshot.poll), ("account_totals", total), ("asset_balances", asset), ("positions", held),
        ("raw_payloads", RawPayload(codec=1, body=b"as received")),
    ):  # fmt: skip
        with psycopg.connect(database_url) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            [stored] = cursor.execute(SQL("SELECT * FROM poller.{}").format(Identifier(table))).fetchall()
        given = {field.name: getattr(record, field.name) for field in fields(record)}
        given.pop("extra", None)
        assert {name: stored[name] for name in given} == given
    assert execute(database_url, "SELECT extra->>'a', extra->'b'->>0 FROM poller.account_totals") == [
        ("1", "0.00000001")
    ]
    assert execute(database_url, "SELECT extra::text FROM poller.asset_balances") == [('{"c": null}',)]


async def test_a_repeated_poll_changes_nothing(store: Store, database_url: str) -> None:
    await store.save(ok(instance="first"))
    [before] = execute(database_url, "SELECT * FROM poller.polls")

    assert await store.save(ok(instance="second", assets=())) is Saved.EXISTING

    assert execute(database_url, "SELECT * FROM poller.polls") == [before]
    assert children_of(database_url) == [1, 1, 1, 1, 0]


async def test_a_poll_that_is_not_ok_has_no_rows(store: Store, database_url: str) -> None:
    for number, status in enumerate(NOT_OK):
        assert await store.save(failed(tick(number), status)) is Saved.NEW

    assert status_of(database_url) == [(status.value, None, "run") for status in NOT_OK]
    assert children_of(database_url) == [0, 0, 0, 0, 0]


async def test_an_ok_poll_replaces_one_that_is_not(store: Store, database_url: str) -> None:
    await store.save(failed(instance="first"))
    [(failed_at,)] = execute(database_url, "SELECT stored_at FROM poller.polls")

    assert await store.save(ok(instance="second")) is Saved.REPLACED

    assert status_of(database_url) == [("ok", "timeout", "second")]
    assert children_of(database_url) == [1, 1, 1, 1, 0]
    assert execute(database_url, "SELECT stored_at > %s FROM poller.polls", failed_at) == [(True,)]


async def test_a_poll_that_is_not_ok_replaces_nothing(store: Store, database_url: str) -> None:
    stored = [failed(tick(0)), malformed(tick(1)), ok(tick(2))]
    for snapshot in stored:
        await store.save(snapshot)
    children = children_of(database_url)

    for number in range(3):
        assert await store.save(failed(tick(number), Status.BANNED, instance="second")) is Saved.EXISTING
        assert await store.save(malformed(tick(number), instance="second")) is Saved.EXISTING

    assert status_of(database_url) == [(snapshot.poll.status.value, None, "run") for snapshot in stored]
    assert children_of(database_url) == children


async def test_a_malformed_poll_keeps_the_payload_until_an_ok_one_comes(store: Store, database_url: str) -> None:
    await store.save(malformed(instance="first", reason="truncated"))
    kept = execute(database_url, "SELECT reason, body, body_bytes, environment FROM poller.rejected_payloads")
    saved = await store.save(ok(instance="second"))

    assert kept == [("truncated", b"half a re", 9, "simulated")]
    assert saved is Saved.REPLACED
    assert status_of(database_url) == [("ok", "malformed", "second")]
    assert children_of(database_url) == [1, 1, 1, 1, 0]


async def test_ticks_accounts_and_markets_do_not_meet(store: Store, database_url: str) -> None:
    for snapshot in (ok(), ok(tick(1)), ok(account="other")):
        assert await store.save(snapshot) is Saved.NEW

    assert children_of(database_url) == [3, 3, 3, 3, 0]


def views(instance: str) -> list[Snapshot]:
    """Return what one writer has seen at many ticks: its rows carry its name."""
    chance = random.Random(instance)  # noqa: S311 - only has to differ from tick to tick

    def view(number: int) -> Snapshot:
        time, kind, count = tick(number), chance.randrange(4), chance.randrange(6)
        if kind == 0:
            return failed(time, instance=instance)
        if kind == 1:
            return malformed(time, instance=instance)
        names = [f"{instance}-{n}" for n in range(count)]
        return ok(
            time,
            instance=instance,
            assets=tuple(balance(name, wallet_balance=Decimal(count)) for name in names),
            positions=tuple(position(name, position_amount=Decimal(count)) for name in names),
        )

    return [view(number) for number in range(1000)]


STORED_VIEWS = """
SELECT instance, status,
    array(SELECT asset FROM poller.asset_balances AS child WHERE child.time = polls.time ORDER BY asset),
    array(SELECT symbol FROM poller.positions AS child WHERE child.time = polls.time ORDER BY symbol),
    (SELECT count(*) FROM poller.account_totals AS child WHERE child.time = polls.time),
    (SELECT count(*) FROM poller.raw_payloads AS child WHERE child.time = polls.time),
    (SELECT count(*) FROM poller.rejected_payloads AS child WHERE child.time = polls.time)
FROM poller.polls
ORDER BY time
"""


def rows_of(snapshot: Snapshot) -> tuple[object, ...]:
    """Return what STORED_VIEWS returns when exactly this snapshot is stored."""
    status = snapshot.poll.status
    assets, symbols = [row.asset for row in snapshot.assets], [row.symbol for row in snapshot.positions]
    is_ok = int(status is Status.OK)
    return snapshot.poll.instance, status.value, assets, symbols, is_ok, is_ok, int(status is Status.MALFORMED)


@pytest.mark.parametrize("together", [1, 16])
async def test_two_writers_with_different_views_of_a_tick_never_mix(
    store: Store, other: Store, database_url: str, together: int
) -> None:
    async def write(writer: Store, seen: list[Snapshot], *, backwards: bool) -> list[Saved]:
        outcomes: list[Saved] = []
        for first in range(0, len(seen), together):
            some = seen[first : first + together]
            saved = await writer.save_all(some[::-1] if backwards else some)
            outcomes += saved[::-1] if backwards else saved
        return outcomes

    execute(database_url, "SELECT poller.ensure_partitions(%s)", TICK)
    pairs = list(zip(views("one"), views("two"), strict=True))
    outcomes = await asyncio.gather(
        write(store, [mine for mine, _ in pairs], backwards=False),
        write(other, [theirs for _, theirs in pairs], backwards=True),
    )

    stored = execute(database_url, STORED_VIEWS)
    assert len(stored) == len(pairs)
    for row, pair in zip(stored, pairs, strict=True):
        assert row in [rows_of(view) for view in pair]
        assert (row[1] == "ok") == any(view.poll.status is Status.OK for view in pair)
    for pair_of_outcomes in zip(*outcomes, strict=True):
        assert pair_of_outcomes.count(Saved.NEW) == 1


async def test_polls_that_are_saved_together_pass_the_gate_each_for_itself(store: Store, database_url: str) -> None:
    await store.save(ok(tick(0), instance="first"))
    await store.save(failed(tick(1), instance="first"))
    await store.save(malformed(tick(2), instance="first"))
    too_early = ok(TICK.replace(year=2019, month=8), instance="second")
    together = [
        malformed(tick(4), instance="second"),
        *(ok(tick(number), instance="second") for number in (2, 1, 0, 3)),
        too_early,
        failed(tick(5), instance="second"),
    ]

    assert list(await store.save_all(together)) == [
        Saved.NEW, Saved.REPLACED, Saved.REPLACED, Saved.EXISTING, Saved.NEW, Saved.REFUSED, Saved.NEW,
    ]  # fmt: skip
    assert status_of(database_url) == [
        ("ok", None, "first"),
        ("ok", "timeout", "second"),
        ("ok", "malformed", "second"),
        ("ok", None, "second"),
        ("malformed", None, "second"),
        ("timeout", None, "second"),
    ]
    assert children_of(database_url) == [4, 4, 4, 4, 1]


async def test_one_refused_value_refuses_all_that_are_saved_together(store: Store, database_url: str) -> None:
    poisonous = ok(tick(1), positions=(position("BTC\0USDT"),))

    with pytest.raises(UnstorableError):
        await store.save_all([ok(tick(0)), poisonous, ok(tick(2))])

    assert status_of(database_url) == []
    assert children_of(database_url) == [0, 0, 0, 0, 0]


async def test_an_ok_poll_that_waited_for_a_malformed_one_releases_its_payload(store: Store, database_url: str) -> None:
    await store.save(ok(tick(1)))
    # The statement of the second begins before the payload of the first is committed, so it cannot see it.
    with psycopg.connect(database_url) as first:
        first.execute(
            "INSERT INTO poller.polls (time, account, market, status, attempts, instance) "
            "VALUES (%s, 'main', 'usdm', 'malformed', 1, 'first')",
            (TICK,),
        )
        first.execute(
            "INSERT INTO poller.rejected_payloads (time, account, market, environment, reason, codec) "
            "VALUES (%s, 'main', 'usdm', 'simulated', 'truncated', 0)",
            (TICK,),
        )
        async with asyncio.TaskGroup() as tasks:
            second = tasks.create_task(store.save(ok(instance="second")))
            await until_blocked(database_url)
            first.commit()

    assert second.result() is Saved.REPLACED
    assert children_of(database_url) == [2, 2, 2, 2, 0]


async def test_a_reply_of_another_environment_is_refused_but_its_bytes_can_be_kept(
    store: Store, database_url: str
) -> None:
    await store.register({"main": Environment.SIMULATED})
    foreign = replace(ok(), environment=Environment.LIVE)
    rejected = malformed().rejected
    assert rejected is not None

    with pytest.raises(EnvironmentMismatchError, match=r"'main' is live here but simulated in the database"):
        await store.save(foreign)
    kept = await store.save(
        replace(malformed(), environment=Environment.LIVE, rejected=replace(rejected, environment=Environment.LIVE))
    )

    assert kept is Saved.NEW
    assert status_of(database_url) == []
    assert execute(database_url, "SELECT environment FROM poller.rejected_payloads") == [("live",)]
    await store.save(malformed())
    assert await store.save(ok()) is Saved.REPLACED
    assert execute(database_url, "SELECT environment FROM poller.rejected_payloads") == [("live",)]
