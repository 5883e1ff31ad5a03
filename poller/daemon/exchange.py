"""The way to the exchange, built from the settings: real or simulated, one link a market."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import aiohttp
import structlog

from poller.config import Account, Settings
from poller.daemon.wire import Wire
from poller.errors import ClockUnavailableError
from poller.exchange.asking import Exchange
from poller.exchange.clock import ExchangeClock, Measurement
from poller.exchange.endpoints import Endpoint, Override, endpoints
from poller.exchange.holds import Hold
from poller.exchange.reconnect import Link
from poller.exchange.signing import Credentials, hmac_signer
from poller.observation import AssetMode, AssetModeSource, Market
from poller.poll import Target
from poller.simulator import SimulatedExchange

_START_SECONDS: Final = 5.0

Hide = Callable[[str], None]
"""Is told a secret that must never be printed."""

_log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """All that it takes to ask the exchange.

    Attributes:
        exchange: For polls.
        targets: Whom to poll.
        wire: For all else.
        session: Of HTTP.
        endpoints: Of both markets.
    """

    exchange: Exchange
    targets: tuple[Target, ...]
    wire: Wire
    session: aiohttp.ClientSession
    endpoints: Mapping[Market, Endpoint]


@asynccontextmanager
async def open_exchange(
    settings: Settings, *, hide: Hide, on_hold: Callable[[Hold], None] | None = None, banned_seconds: float = 0.0
) -> AsyncIterator[Way]:
    """Stay connected to every market that an account is polled on, for as long as the context lasts.

    It waits a few seconds for the clock to be measured and needs no success: until then the host's clock is believed.

    Args:
        settings: Whom to ask, and where.
        hide: Told the secrets that the simulator makes.
        on_hold: Told what must not be asked for a while.
        banned_seconds: For how long nothing may be sent, as an earlier run was told.
    """
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(SimulatedExchange()) if settings.simulates else None
        rows = endpoints(settings.environment, _overrides(settings, simulator))
        targets = tuple(
            target
            for account in settings.accounts
            for target in _targets(settings, account, rows, _credentials(account, simulator, hide))
        )
        session = await stack.enter_async_context(aiohttp.ClientSession(proxy=settings.proxy))
        used = {target.market: rows[target.market] for target in targets}
        wire = Wire(session, used, share=settings.exchange.weight_share, on_hold=on_hold)
        wire.clock.on_measured = report_clock
        wire.holds.restore(banned_seconds)
        links = {
            market: Link(partial(wire.connect, market), on_change=partial(_report_link, market)) for market in used
        }
        exchange = Exchange(links=links, clock=wire.clock, budget=wire.budget, holds=wire.holds)
        await stack.enter_async_context(_running(links.values()))
        try:
            async with asyncio.timeout(_START_SECONDS):
                await measure_clock(wire.clock)
        except TimeoutError:
            _log.warning("clock not measured", reason="the exchange did not tell its time yet")
        yield Way(exchange=exchange, targets=targets, wire=wire, session=session, endpoints=rows)


async def measure_clock(clock: ExchangeClock) -> None:
    """Measure the exchange's clock; a failure is logged and leaves the clock as it was."""
    try:
        await clock.measure()
    except ClockUnavailableError as exc:
        _log.warning("clock not measured", reason=str(exc))


def report_clock(measured: Measurement) -> None:
    """Log what a measurement of the exchange's clock found."""
    log = _log.warning if measured.host_clock_off else _log.info
    log("clock measured", offset_ms=measured.offset_ms, round_trip_ms=measured.round_trip_ms)


@asynccontextmanager
async def _running(links: Iterable[Link]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(link.run()) for link in links]
        try:
            yield
        finally:
            for task in running:
                task.cancel()


def _report_link(market: Market, failure: str | None) -> None:
    if failure is None:
        _log.info("connected", market=market.value)
    else:
        _log.warning("not connected", market=market.value, reason=failure)


def _overrides(settings: Settings, simulator: SimulatedExchange | None) -> Mapping[Market, Override]:
    if simulator is not None:
        return {
            market: Override(ws_url=simulator.ws_url(market), rest_url=simulator.rest_url(market)) for market in Market
        }
    return {
        market: Override(ws_url=given.ws_url, rest_url=given.rest_url) for market, given in settings.addresses.items()
    }


def _targets(
    settings: Settings, account: Account, rows: Mapping[Market, Endpoint], credentials: Credentials
) -> Iterator[Target]:
    for market in account.markets:
        yield Target(
            environment=settings.environment,
            account=account.name,
            market=market,
            method=rows[market].method,
            weight=rows[market].weight,
            interval_seconds=account.interval_seconds,
            credentials=credentials,
            asset_mode=account.asset_mode,
            asset_mode_source=AssetModeSource.CONFIG if account.asset_mode else None,
        )


def _credentials(account: Account, simulator: SimulatedExchange | None, hide: Hide) -> Credentials:
    if simulator is None:
        known = account.credentials()
        assert known is not None  # loading refuses accounts without a key when there is no simulator to make one
        return known
    key = simulator.add_account(account.name, multi_assets=account.asset_mode is AssetMode.MULTI_ASSETS)
    assert key.api_secret is not None
    hide(key.api_key)
    hide(key.api_secret)
    return Credentials(key.api_key, hmac_signer(key.api_secret))
