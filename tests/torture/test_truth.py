"""The eyes of the scenarios: what they look for is found when it is there."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import pytest

from poller.entries import understand
from poller.observation import Environment, Market, Observation, Promise, RunStarted
from poller.storage.store import Store
from tests.support.database import execute
from tests.support.replies import envelope, usdm_asset, usdm_result
from tests.torture.gaps import account
from tests.torture.truth import History, decided_twice

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
RUN = RunStarted(
    instance="run",
    recorder="spool",
    release="0.1.0",
    environment=Environment.SIMULATED,
    started_at=START,
    promises=(Promise(account="main", market=Market.USDM, interval_seconds=1),),
)


def observation(second: int) -> Observation:
    return Observation(
        environment=Environment.SIMULATED,
        account="main",
        market=Market.USDM,
        time=START + timedelta(seconds=second),
        status=None,
        body=envelope(usdm_result(assets=[usdm_asset("USDT", str(second)), usdm_asset("BNB", "1")])),
        instance="run",
    )


async def stored(url: str, observations: Sequence[Observation]) -> None:
    store = Store(url)
    await store.open()
    await store.save_run_started(RUN)
    for each in observations:
        await store.save(understand(each).snapshot)
    await store.close()


OBSERVED = [observation(second) for second in range(1, 4)]


async def test_a_whole_history_has_no_fault(plain_database_url: str) -> None:
    await stored(plain_database_url, OBSERVED)
    history = History.of(plain_database_url)

    assert (history.lost([RUN, *OBSERVED]), history.mixed(OBSERVED), history.crashed) == (0, 0, 1)
    assert decided_twice(OBSERVED) == 0


@pytest.mark.parametrize(
    ("damage", "lost", "mixed"),
    [
        ("DELETE FROM poller.polls WHERE time = '2026-11-21 12:00:02Z'", 1, 0),
        ("DELETE FROM poller.asset_balances WHERE time = '2026-11-21 12:00:02Z' AND asset = 'BNB'", 0, 1),
        ("UPDATE poller.asset_balances SET wallet_balance = 3 WHERE wallet_balance = 2", 0, 1),
        ("UPDATE poller.raw_payloads SET body = 'other' WHERE time = '2026-11-21 12:00:02Z'", 0, 1),
        ("UPDATE poller.polls SET status = 'timeout' WHERE time = '2026-11-21 12:00:02Z'", 1, 0),
        ("DELETE FROM poller.schedules; DELETE FROM poller.runs", 1, 0),
    ],
)
async def test_what_is_lost_or_mixed_is_seen(
    plain_database_url: str, damage: LiteralString, lost: int, mixed: int
) -> None:
    await stored(plain_database_url, OBSERVED)
    execute(plain_database_url, damage)
    history = History.of(plain_database_url)

    assert (history.lost([RUN, *OBSERVED]), history.mixed(OBSERVED)) == (lost, mixed)


async def test_a_tick_that_the_ledger_does_not_tell_is_seen(plain_database_url: str) -> None:
    first, _, third = OBSERVED
    await stored(plain_database_url, [first, third])
    told = account(plain_database_url, [RUN, first, third])
    execute(plain_database_url, "DELETE FROM poller.schedules")
    untold = account(plain_database_url, [RUN, first, third])

    assert (told.missing, told.unaccounted, told.wrong) == (2, 0, 0)
    assert (untold.missing, untold.unaccounted) == (2, 2)
    assert decided_twice([first, first, third]) == 1
