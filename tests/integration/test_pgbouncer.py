"""Everything that records works through a PgBouncer in transaction mode, and leaves nothing behind in its sessions."""

from collections.abc import Iterator

import psycopg
import pytest

from poller.errors import StoreUnavailableError
from poller.observation import AssetMode, Environment, Market, ModesMeasured, Promise, RunStarted, RunStopped
from poller.records import Contract
from poller.storage.report import report
from poller.storage.schema import upgrade
from poller.storage.store import Saved, Store
from tests.support.database import execute
from tests.support.pgbouncer import SESSIONS, pgbouncer
from tests.support.snapshots import failed, malformed, ok, tick


@pytest.fixture(name="pooled_url")
def _pooled_url(database_url: str) -> Iterator[str]:
    """The address of a database, on each kind of server in turn, through PgBouncer."""
    with pgbouncer(database_url) as url:
        yield url


async def test_recording_works_through_it(pooled_url: str, database_url: str) -> None:
    store = Store(pooled_url)
    await store.open()

    promise = Promise(account="main", market=Market.USDM, interval_seconds=10)
    await store.save_run_started(
        RunStarted(
            instance="run",
            recorder="spool",
            release="0.1.0",
            environment=Environment.SIMULATED,
            started_at=tick(0),
            promises=(promise,),
        )
    )
    await store.register({"one": Environment.SIMULATED, "two": Environment.SIMULATED})
    # As often as a driver needs to prepare a statement, which another session would not know.
    saved = [await store.save(ok(tick(number))) for number in range(12)]
    both = [await store.save(snapshot) for snapshot in (malformed(tick(12)), ok(tick(12)), ok(tick(12)))]
    together = await store.save_all([ok(tick(number)) for number in range(13, 20)] + [failed(tick(20))])
    await store.save_modes(
        ModesMeasured(
            environment=Environment.SIMULATED,
            account="main",
            measured_at=tick(0),
            asset_mode=AssetMode.SINGLE_ASSET,
            position_mode=None,
        )
    )
    listed = Contract(
        symbol="BTCUSDT",
        base_asset="BTC",
        quote_asset="USDT",
        margin_asset="USDT",
        contract_size=None,
        contract_type="PERPETUAL",
    )
    contracts = [await store.save_contracts(Environment.SIMULATED, Market.USDM, [listed]) for _ in range(2)]
    await store.ensure_partitions()
    await store.save_run_stopped(RunStopped(instance="run", stopped_at=tick(21), reason="asked"))
    await store.recognise()
    await store.close()

    assert saved == [Saved.NEW] * 12
    assert both == [Saved.NEW, Saved.REPLACED, Saved.EXISTING]
    assert together == [Saved.NEW] * 8
    assert contracts == [1, 0]
    assert execute(
        database_url,
        "SELECT (SELECT count(*) FROM poller.polls), (SELECT count(*) FROM poller.rejected_payloads), "
        "(SELECT count(*) FROM poller.account_modes), (SELECT count(*) FROM poller.runs WHERE stopped_at IS NOT NULL)",
    ) == [(21, 0, 1, 1)]


async def test_the_sessions_stay_as_they_are(pooled_url: str) -> None:
    store = Store(pooled_url)
    await store.open()
    for number in range(12):
        await store.save(ok(tick(number)))
    await store.close()

    seen: set[object] = set()
    for _ in range(2 * SESSIONS):
        with psycopg.connect(pooled_url, prepare_threshold=None) as connection:
            [found] = connection.execute(
                "SELECT pg_backend_pid(), (SELECT count(*) FROM pg_prepared_statements), "
                "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), "
                "current_setting('statement_timeout')"
            ).fetchall()
            seen.add(found[0])
            assert found[1:] == (0, 0, "0")
    assert len(seen) == SESSIONS


async def test_what_the_role_lacks_there_is_told(pooled_url: str, database_url: str, kind: str) -> None:
    direct, through = await report(database_url), await report(pooled_url)

    assert through.missing_rights == ()
    told = set(through.weaknesses) - set(direct.weaknesses)
    assert "statement_timeout is 0, not 10s: a pooler takes no settings, the role has to have them" in told
    assert [weakness.partition(" ")[0] for weakness in sorted(told)] == [
        "idle_in_transaction_session_timeout",
        "lock_timeout",
        "search_path",
        "statement_timeout",
        *(["timescaledb.max_tuples_decompressed_per_dml_transaction"] if kind == "timescale" else []),
    ]


def test_migrations_want_the_server_itself(pooled_url: str) -> None:
    with pytest.raises(StoreUnavailableError, match=r"a pooler answers.*database\.migration_url"):
        upgrade(pooled_url, lambda _: None)
