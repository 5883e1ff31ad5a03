"""The way out through a proxy: a tunnel for both interfaces, no other way, and errors that name the proxy."""

import asyncio
import ssl
import traceback
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from poller.errors import RestUnavailableError
from poller.exchange.connection import Connection, HandshakeError
from poller.exchange.endpoints import Endpoint
from poller.exchange.rest import server_time
from poller.observation import Market
from poller.simulator import SimulatedExchange
from tests.integration.exchange.wire_peer import running
from tests.support.proxy import Proxy, proxy, relay
from tests.support.tls import tls_contexts

NAME = "exchange.invalid"
REST_NAME = "rest.exchange.invalid"
USER, PASSWORD = "desk", "open:Sesame@1"
QUOTED = "open%3ASesame%401"

ENDPOINT = Endpoint(
    market=Market.USDM,
    method="v2/account.status",
    weight=5,
    ws_url=f"wss://{NAME}/ws-fapi/v1",
    rest_url=f"https://{REST_NAME}",
    time_path="/fapi/v1/time",
)


class Nowhere(AbstractResolver):
    """Knows no name: who gets anywhere was led there by the proxy."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        raise OSError(None, f"no address for {host}:{port}, family {family}")

    async def close(self) -> None:
        pass


@dataclass(slots=True)
class Way:
    """A proxy, the exchange behind it, and a client's trust in the exchange's certificate."""

    proxy: Proxy
    client: ssl.SSLContext
    exchange: SimulatedExchange

    @asynccontextmanager
    async def session(
        self, userinfo: str = "", *, host: str = "127.0.0.1", trusting: bool = True
    ) -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.TCPConnector(ssl=self.client if trusting else True, resolver=Nowhere())
        async with aiohttp.ClientSession(
            connector=connector, proxy=f"http://{userinfo}{host}:{self.proxy.port}"
        ) as session:
            yield session


@pytest.fixture
async def way(tmp_path: Path) -> AsyncIterator[Way]:
    server, client = tls_contexts(tmp_path, NAME, REST_NAME)

    async def front(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await relay(reader, writer, *await asyncio.open_connection("127.0.0.1", exchange.port))

    async with SimulatedExchange() as exchange:
        front_server = await asyncio.start_server(front, "127.0.0.1", 0, ssl=server)
        port: int = front_server.sockets[0].getsockname()[1]
        async with front_server, proxy({NAME: port, REST_NAME: port}) as made:
            yield Way(made, client, exchange)


async def _reasons(session: aiohttp.ClientSession) -> tuple[str, str]:
    """Return why neither interface can be reached."""
    with pytest.raises(HandshakeError) as handshake:
        await Connection.open(session, ENDPOINT.ws_url, Counter())
    with pytest.raises(RestUnavailableError) as clock:
        await server_time(session, ENDPOINT, timeout_seconds=60)
    assert handshake.value.status is None
    printed = [line for caught in (handshake, clock) for line in traceback.format_exception(caught.value)]
    assert not any(secret in line for line in printed for secret in (PASSWORD, QUOTED))
    return str(handshake.value), str(clock.value).removeprefix("time: ")


@pytest.mark.parametrize("userinfo", ["", f"{USER}:{QUOTED}@"])
async def test_both_interfaces_are_reached_through_the_proxy_and_by_no_other_way(userinfo: str, way: Way) -> None:
    way.proxy.credentials = f"{USER}:{PASSWORD}" if userinfo else None

    async with way.session(userinfo) as session:
        sample = (await server_time(session, ENDPOINT, timeout_seconds=60)).value
        async with running(await Connection.open(session, ENDPOINT.ws_url, Counter())) as connection:
            reply = await connection.request("v2/account.status", {})

    assert abs(sample.server_ms - way.exchange.server_ms()) < 60_000
    assert reply.envelope is not None
    assert reply.envelope.error is not None
    assert way.proxy.tunnels == [REST_NAME, NAME]
    assert way.proxy.asked == [f"CONNECT {REST_NAME}:443", f"CONNECT {NAME}:443"]
    assert way.exchange.journal.handshake_count[Market.USDM] == 1


@pytest.mark.parametrize("userinfo", ["", f"{USER}:wrong@", f"{USER}:{QUOTED}@"])
async def test_a_proxy_that_wants_another_password_is_named_and_the_password_is_not(userinfo: str, way: Way) -> None:
    way.proxy.credentials = f"{USER}:another"

    async with way.session(userinfo) as session:
        assert set(await _reasons(session)) == {"the proxy refused the user or the password: HTTP 407"}

    assert way.proxy.tunnels == []


async def test_a_proxy_that_finds_no_way_to_the_exchange_tells_its_status(way: Way) -> None:
    way.proxy.ports.clear()

    async with way.session(f"{USER}:{QUOTED}@") as session:
        assert set(await _reasons(session)) == {"the proxy answered with HTTP 502"}


async def test_a_proxy_that_is_down_is_named_and_not_gone_around(way: Way) -> None:
    async with proxy({}) as down:
        way.proxy.port = down.port

    async with way.session(f"{USER}:{QUOTED}@") as session:
        assert set(await _reasons(session)) == {"the proxy could not be reached: ECONNREFUSED"}

    assert way.exchange.journal.handshake_count.total() == 0


async def test_a_proxy_whose_name_leads_nowhere_is_named(way: Way) -> None:
    async with way.session(f"{USER}:{QUOTED}@", host="proxy.invalid") as session:
        assert set(await _reasons(session)) == {"the name of the proxy could not be resolved"}


async def test_a_certificate_that_is_not_trusted_is_refused_in_a_tunnel_too(way: Way) -> None:
    async with way.session(f"{USER}:{QUOTED}@", trusting=False) as session:
        assert set(await _reasons(session)) == {"the certificate of the exchange is not trusted"}


async def test_an_address_without_tls_gets_no_tunnel(way: Way) -> None:
    async with way.session() as session:
        with pytest.raises(HandshakeError, match="HTTP 405"):
            await Connection.open(session, f"ws://{NAME}/ws-fapi/v1", Counter())

    assert way.proxy.asked == [f"GET ws://{NAME}/ws-fapi/v1"]
