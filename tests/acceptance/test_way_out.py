"""The program on a host whose only way out is a proxy."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poller.simulator import SimulatedExchange
from tests.acceptance.conftest import Workplace
from tests.support.proxy import Proxy, proxy, relay
from tests.support.secrecy import confide
from tests.support.tls import tls_contexts

NAME = "exchange.invalid"
PASSWORD = "open:Sesame"  # a colon and a slash must be written as %3A and %2F
CONFIG = """
exchange:
  environment: simulated
  proxy: ${{PROXY}}
  markets:
    usdm: {{ws_url: "wss://{name}/ws-fapi/v1", rest_url: "https://{name}"}}
    coinm: {{ws_url: "wss://{name}/ws-dapi/v1", rest_url: "https://{name}"}}
accounts:
  - {{name: main, interval: 1s, api_key: "${{BINANCE_API_KEY}}", api_secret: "${{BINANCE_API_SECRET}}"}}
spool: {{path: spool.sqlite}}
log: {{format: json, level: debug}}
"""


@pytest.fixture(name="way_out")
async def _way_out(exchange: SimulatedExchange, workplace: Workplace, tmp_path: Path) -> AsyncIterator[Proxy]:
    """The exchange under a name that only the proxy knows, with a certificate that only the program trusts."""
    server, _ = tls_contexts(tmp_path, NAME)

    async def front(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await relay(reader, writer, *await asyncio.open_connection("127.0.0.1", exchange.port))

    front_server = await asyncio.start_server(front, "127.0.0.1", 0, ssl=server)
    confide(PASSWORD, "open%3ASesame")
    async with front_server, proxy({NAME: front_server.sockets[0].getsockname()[1]}) as made:
        made.credentials = f"desk:{PASSWORD}"
        (workplace.directory / "config.yaml").write_text(CONFIG.format(name=NAME), encoding="utf-8")
        workplace.environ |= {
            "PROXY": f"http://desk:open%3ASesame@127.0.0.1:{made.port}",
            "SSL_CERT_FILE": str(tmp_path / "server.pem"),
        }
        yield made


async def test_everything_goes_through_the_proxy(workplace: Workplace, way_out: Proxy) -> None:
    async with workplace.running("run") as program:
        await program.until("poll stored", count=4, status="ok")
        assert await program.stop() == 0

    assert set(way_out.asked) == {f"CONNECT {NAME}:443"}
    assert len(way_out.tunnels) >= 3
    assert {event["event"] for event in program.events} >= {"clock measured", "contracts refreshed"}


async def test_a_proxy_that_refuses_is_named_without_its_password(workplace: Workplace, way_out: Proxy) -> None:
    way_out.credentials = "desk:another"
    async with workplace.running("run") as program:
        refused = await program.until("not connected")
        lost = await program.until("poll stored", status="disconnected")
        assert await program.stop() == 0

    assert refused["reason"] == "the proxy refused the user or the password: HTTP 407"
    assert refused["reason"] in lost["error"]
    assert way_out.tunnels == []
    assert "Sesame" not in program.output
