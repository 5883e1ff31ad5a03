"""What the exchange tells of accounts and contracts, beside the history that it gives a meaning."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from poller.daemon.exchange import Way
from poller.observation import AssetMode, AssetModeSource, Market
from poller.simulator import SimulatedExchange
from poller.simulator.faults import HttpReply
from poller.simulator.scripts import Stage
from tests.support.database import execute
from tests.support.recording import recording
from tests.support.way import Journey, journey_to, target

ACCOUNT_CONFIG = "/fapi/v1/accountConfig"
MODES = (
    "SELECT market, asset_mode, position_mode, source, valid_to IS NULL FROM poller.account_modes"
    " ORDER BY market, valid_from"
)
# A recorder waits for the modes, but not for longer than two seconds, which a busy machine may need.
SEEN = (
    "SELECT DISTINCT asset_mode, asset_mode_source, totals_asset FROM poller.account_totals"
    " WHERE market = 'usdm' AND time >="
    " coalesce((SELECT min(valid_from) FROM poller.account_modes WHERE market = 'usdm'), '-infinity')"
)


@pytest.fixture(name="journey")
async def _journey(exchange: SimulatedExchange) -> AsyncIterator[Journey]:
    async with journey_to(exchange) as journey:
        await journey.exchange.clock.measure()
        yield journey


def both_markets(journey: Journey, asset_mode: AssetMode | None = None) -> Way:
    targets = (target(journey.simulator, market, asset_mode=asset_mode) for market in Market)
    return journey.way(*(replace(each, interval_seconds=1) for each in targets))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - the database announces nothing
            await asyncio.sleep(0.05)


def stored(url: str) -> int:
    ((count,),) = execute(url, "SELECT count(*) FROM poller.polls WHERE status = 'ok'")
    assert isinstance(count, int)
    return count


async def test_modes_are_told_before_the_first_poll_and_kept_with_their_times(
    journey: Journey, plain_database_url: str, tmp_path: Path
) -> None:
    journey.simulator.set_modes("main", multi_assets=True, hedge=True)
    began = datetime.fromtimestamp(journey.simulator.server_ms() / 1000, UTC)
    async with recording(both_markets(journey), folder=tmp_path, url=plain_database_url):
        await until(lambda: bool(execute(plain_database_url, SEEN)))
    [(told, started)] = execute(
        plain_database_url, "SELECT (SELECT min(valid_from) FROM poller.account_modes), started_at FROM poller.runs"
    )
    assert isinstance(told, datetime)
    assert isinstance(started, datetime)

    assert told <= started or started - began >= timedelta(seconds=2)
    assert execute(plain_database_url, MODES) == [
        ("coinm", None, "hedge", "exchange", True),
        ("usdm", "multi_assets", "hedge", "exchange", True),
    ]
    assert execute(plain_database_url, SEEN) == [("multi_assets", "exchange", "USD")]


async def test_a_mode_that_is_switched_is_doubted_and_told_anew(
    journey: Journey, plain_database_url: str, tmp_path: Path
) -> None:
    async with recording(both_markets(journey), folder=tmp_path, url=plain_database_url):
        await until(lambda: bool(execute(plain_database_url, SEEN)))
        journey.simulator.set_modes("main", multi_assets=True, hedge=False)
        await until(lambda: (None, None, None) in execute(plain_database_url, SEEN))
        journey.pass_time(61)  # modes are asked for at most once a minute
        await until(lambda: len(execute(plain_database_url, MODES)) == 3)
        await until(lambda: len(execute(plain_database_url, SEEN)) == 3)
    sources = execute(plain_database_url, f"{SEEN} ORDER BY 1, 2")

    assert execute(plain_database_url, MODES) == [
        ("coinm", None, "one_way", "exchange", True),
        ("usdm", "single_asset", "one_way", "exchange", False),
        ("usdm", "multi_assets", "one_way", "exchange", True),
    ]
    assert sources == [
        ("multi_assets", "exchange", "USD"),
        ("single_asset", "exchange", "USDT"),
        (None, None, None),
    ]


async def test_where_modes_are_not_told_the_payload_shows_them(
    journey: Journey, plain_database_url: str, tmp_path: Path
) -> None:
    journey.simulator.faults.next(None, HttpReply(status=404), stage=Stage.REST, path=ACCOUNT_CONFIG, times=None)
    async with recording(both_markets(journey), folder=tmp_path, url=plain_database_url):
        await until(lambda: stored(plain_database_url) >= 2)

    assert execute(plain_database_url, MODES) == []
    assert execute(plain_database_url, SEEN) == [("single_asset", "payload", "USDT")]


async def test_a_configured_mode_wins_over_what_is_told(
    journey: Journey, plain_database_url: str, tmp_path: Path
) -> None:
    way = both_markets(journey, AssetMode.MULTI_ASSETS)
    assert {each.asset_mode_source for each in way.targets} == {AssetModeSource.CONFIG}
    async with recording(way, folder=tmp_path, url=plain_database_url):
        await until(lambda: stored(plain_database_url) >= 2)

    assert execute(plain_database_url, SEEN) == [("multi_assets", "config", "USD")]


async def test_contracts_of_both_markets_are_listed_and_give_positions_their_unit(
    journey: Journey, plain_database_url: str, tmp_path: Path
) -> None:
    contracts = "SELECT market, count(*) > 3 FROM poller.contracts GROUP BY 1 ORDER BY 1"
    async with recording(both_markets(journey), folder=tmp_path, url=plain_database_url):
        await until(lambda: stored(plain_database_url) >= 2 and len(execute(plain_database_url, contracts)) == 2)
    listed = execute(plain_database_url, contracts)
    without = execute(
        plain_database_url,
        "SELECT count(*) FROM poller.positions LEFT JOIN poller.contracts USING (market, symbol)"
        " WHERE margin_asset IS NULL",
    )

    assert listed == [("coinm", True), ("usdm", True)]
    assert without == [(0,)]


async def test_without_contracts_polls_are_stored_all_the_same(
    journey: Journey, plain_database_url: str, tmp_path: Path
) -> None:
    journey.simulator.faults.next(None, HttpReply(status=503), stage=Stage.REST, times=None)
    async with recording(both_markets(journey), folder=tmp_path, url=plain_database_url):
        await until(lambda: stored(plain_database_url) >= 4)

    assert execute(plain_database_url, "SELECT count(*) FROM poller.contracts") == [(0,)]
