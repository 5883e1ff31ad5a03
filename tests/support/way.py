"""Our way to the simulated exchange, as the daemon builds it, with a clock that tests can move."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import aiohttp

from poller.daemon.exchange import Way
from poller.daemon.wire import Wire
from poller.exchange.asking import Exchange
from poller.exchange.clock import steady_seconds
from poller.exchange.endpoints import Endpoint, Override, endpoints
from poller.exchange.holds import Hold
from poller.exchange.pacing import Pacing
from poller.exchange.reconnect import Link
from poller.exchange.signing import Credentials, hmac_signer
from poller.observation import AssetMode, AssetModeSource, Environment, Market, Observation
from poller.poll import Target, poll
from poller.simulator import SimulatedExchange
from tests.support.exchange import METHODS

QUICK = Pacing(first=0.01, longest=0.05, spacing=0.0)


@dataclass(slots=True, kw_only=True)
class Journey:
    """A way to one simulated exchange.

    Attributes:
        held: The holds that were reported.
    """

    simulator: SimulatedExchange
    held: list[Hold] = field(default_factory=list)
    steady_clock: Callable[[], float] = steady_seconds
    _ahead: float = 0.0

    exchange: Exchange = field(init=False)
    wire: Wire = field(init=False)
    session: aiohttp.ClientSession = field(init=False)
    endpoints: Mapping[Market, Endpoint] = field(init=False)

    def way(self, *targets: Target) -> Way:
        return Way(
            exchange=self.exchange, targets=targets, wire=self.wire, session=self.session, endpoints=self.endpoints
        )

    def steady(self) -> float:
        return self.steady_clock() + self._ahead

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the exchange and for the steady clock of this host, but not for the loop."""
        self._ahead += seconds
        self.simulator.clock_offset += seconds

    async def connected(self) -> None:
        """Return when both markets are connected."""
        while not all(link.connected for link in self.exchange.links.values()):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)

    async def poll(self, label: str = "main", market: Market = Market.USDM, *, seconds: float = 60.0) -> Observation:
        deadline = asyncio.get_running_loop().time() + seconds
        whom = target(self.simulator, market, label)
        return await poll(whom, self.exchange.clock.now(), exchange=self.exchange, deadline=deadline, instance="run-1")


@asynccontextmanager
async def journey_to(
    simulator: SimulatedExchange,
    *,
    share: float = 1.0,
    pacing: Pacing = QUICK,
    proxy: str | None = None,
    steady: Callable[[], float] = steady_seconds,
) -> AsyncIterator[Journey]:
    journey = Journey(simulator=simulator, steady_clock=steady)
    overrides = {
        market: Override(ws_url=simulator.ws_url(market), rest_url=simulator.rest_url(market)) for market in Market
    }
    rows = endpoints(Environment.SIMULATED, overrides)
    async with aiohttp.ClientSession(proxy=proxy) as session, asyncio.TaskGroup() as tasks:
        journey.session, journey.endpoints = session, rows
        journey.wire = wire = Wire(session, rows, share=share, on_hold=journey.held.append, steady=journey.steady)
        links = {market: Link(partial(wire.connect, market), pacing=pacing) for market in rows}
        journey.exchange = Exchange(links=links, clock=wire.clock, budget=wire.budget, holds=wire.holds)
        running = [tasks.create_task(link.run()) for link in links.values()]
        yield journey
        for task in running:
            task.cancel()


def target(
    simulator: SimulatedExchange,
    market: Market = Market.USDM,
    label: str = "main",
    *,
    asset_mode: AssetMode | None = None,
) -> Target:
    key = simulator.key(label)
    assert key.api_secret is not None
    return Target(
        environment=Environment.SIMULATED,
        account=label,
        market=market,
        method=METHODS[market],
        weight=5,
        interval_seconds=10,
        credentials=Credentials(key.api_key, hmac_signer(key.api_secret)),
        asset_mode=asset_mode,
        asset_mode_source=AssetModeSource.CONFIG if asset_mode else None,
    )
