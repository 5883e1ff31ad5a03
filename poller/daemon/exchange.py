"""The way to the exchange, built from the settings: real or simulated, one link a market."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Final

import aiohttp
import structlog

from poller.config import Account, Settings
from poller.errors import ClockUnavailableError
from poller.exchange.clock import ExchangeClock, Sample
from poller.exchange.connection import Connection, HandshakeError
from poller.exchange.endpoints import HANDSHAKE_WEIGHT, TIME_WEIGHT, Endpoint, Override, endpoints
from poller.exchange.frames import Unexpected
from poller.exchange.pacing import DEFAULT_PACING
from poller.exchange.reconnect import Link
from poller.exchange.rest import server_time
from poller.exchange.signing import Credentials, hmac_signer
from poller.exchange.verdict import public_message
from poller.exchange.weight import Weight
from poller.observation import AssetMode, Market
from poller.poll import Exchange, Target
from poller.simulator import SimulatedExchange

_START_SECONDS: Final = 5.0
_REFUSALS: Final = frozenset({HTTPStatus.IM_A_TEAPOT, HTTPStatus.TOO_MANY_REQUESTS})
_HARMLESS: Final = frozenset({Unexpected.LATE, Unexpected.EVENT})

Hide = Callable[[str], None]
"""Is told a secret that must never be printed."""

_log = structlog.stdlib.get_logger()


@asynccontextmanager
async def open_exchange(settings: Settings, *, hide: Hide) -> AsyncIterator[tuple[Exchange, tuple[Target, ...]]]:
    """Stay connected to every market that an account is polled on, for as long as the context lasts.

    It waits a few seconds for the clock to be measured and needs no success: until then the host's clock is believed.
    `hide` is told the secrets that the simulator makes.
    """
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(SimulatedExchange()) if settings.simulates else None
        rows = endpoints(settings.environment, _overrides(settings, simulator))
        targets = tuple(
            target
            for account in settings.accounts
            for target in _targets(settings, account, rows, _credentials(account, simulator, hide))
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        exchange = _exchange(session, {target.market: rows[target.market] for target in targets})
        await stack.enter_async_context(_running(exchange.links.values()))
        try:
            async with asyncio.timeout(_START_SECONDS):
                await measure_clock(exchange.clock)
        except TimeoutError:
            _log.warning("clock not measured", reason="the exchange did not tell its time yet")
        yield exchange, targets


async def measure_clock(clock: ExchangeClock) -> None:
    """Measure the exchange's clock and log what was found; a failure leaves the clock as it was."""
    try:
        measured = await clock.measure()
    except ClockUnavailableError as exc:
        _log.warning("clock not measured", reason=str(exc))
        return
    log = _log.warning if measured.host_clock_off else _log.info
    log("clock measured", offset_ms=measured.offset_ms, round_trip_ms=measured.round_trip_ms)


def _exchange(session: aiohttp.ClientSession, used: Mapping[Market, Endpoint]) -> Exchange:
    async def sample() -> Sample:
        """Ask the markets in turn: they belong to one exchange, and any of them may be down."""
        failure = ClockUnavailableError("no market is polled")
        for endpoint in used.values():
            weight.spend(TIME_WEIGHT)
            try:
                return await server_time(session, endpoint)
            except ClockUnavailableError as exc:
                failure = exc
        raise failure

    async def connect(market: Market, unexpected: Counter[Unexpected]) -> Connection:
        """Open a socket, unless the whole address has to be silent: a handshake costs weight on it, too."""
        await asyncio.sleep(exchange.silent_seconds())
        weight.spend(HANDSHAKE_WEIGHT)
        try:
            return await Connection.open(
                session, used[market].ws_url, unexpected, on_unexpected=partial(_report_frame, market)
            )
        except HandshakeError as exc:
            if exc.status in _REFUSALS:
                seconds = max(exc.retry_after_seconds or 0, DEFAULT_PACING.refused)
                exchange.quiet_until = clock.now() + timedelta(seconds=seconds)
            raise

    clock = ExchangeClock(sample)
    weight = Weight(clock.now_ms)
    links = {market: Link(partial(connect, market), on_change=partial(_report_link, market)) for market in used}
    exchange = Exchange(links=links, clock=clock, weight=weight)
    return exchange


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


def _report_frame(market: Market, kind: Unexpected, body: bytes) -> None:
    log = _log.debug if kind in _HARMLESS else _log.warning
    log(
        "unexpected frame",
        market=market.value,
        kind=kind.value,
        frame=public_message(body[:300].decode(errors="replace")),
    )


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
