"""What a running daemon tells of itself over HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import product
from typing import Any

import aiohttp
import psycopg
from psycopg.sql import SQL, Identifier

from tests.acceptance.conftest import Workplace

Answer = tuple[int, Any]


async def ask(port: int, path: str, *, method: str = "GET", host: str = "127.0.0.1") -> Answer:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port}{path}", headers={"Host": host}) as response,
    ):
        return response.status, await response.text()


async def until(look: Callable[[], Awaitable[Answer]], status: int) -> dict[str, Any]:
    async with asyncio.timeout(120):
        while (answer := await look())[0] != status:  # noqa: ASYNC110 - whoever asks over HTTP is told nothing by itself
            await asyncio.sleep(0.05)
    found: dict[str, Any] = json.loads(answer[1])
    return found


def admit(server: str, database_url: str, *, connections: bool) -> None:
    """Let a database be used or not; those who use it now are sent away."""
    name = database_url.rpartition("/")[2]
    with psycopg.connect(server, autocommit=True) as administrator:
        allow = SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(Identifier(name), SQL(str(connections).lower()))
        administrator.execute(allow)
        if not connections:
            administrator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


async def test_a_recording_daemon_is_alive_and_ready_and_counts(workplace: Workplace) -> None:
    async with workplace.running("run") as program:
        port = (await program.until("http served"))["port"]
        await program.until("poll stored", market="usdm", status="ok")
        await program.until("poll stored", market="coinm", status="ok")

        assert await ask(port, "/healthz") == (200, '{"status": "pass", "reasons": []}')
        assert await until(lambda: ask(port, "/readyz"), 200) == {"status": "pass", "reasons": []}
        status, metrics = await ask(port, "/metrics")
        assert await program.stop() == 0

    assert status == 200
    assert 'poller_polls_total{market="usdm",status="ok"}' in metrics
    assert "poller_poll_latency_seconds_count" in metrics
    assert workplace.environ["BINANCE_API_KEY"] not in metrics


async def test_nothing_can_be_changed_and_no_other_name_is_served(workplace: Workplace) -> None:
    async with workplace.running("run") as program:
        port = (await program.until("http served"))["port"]

        for path, method in product(("/", "/healthz", "/readyz", "/metrics"), ("POST", "PUT", "PATCH", "DELETE")):
            assert (await ask(port, path, method=method))[0] == 405
        assert (await ask(port, "/metrics", host="history.example"))[0] == 421
        assert (await ask(port, "/metrics", host=f"localhost:{port}"))[0] == 200
        assert (await ask(port, "/other"))[0] == 404
        assert await program.stop() == 0


async def test_under_any_address_only_its_own_names_are_served(workplace: Workplace) -> None:
    workplace.configure(listen="0.0.0.0:0", names="[Poller.example]")
    async with workplace.running("run") as program:
        port = (await program.until("http served"))["port"]
        answers = {
            host: (await ask(port, "/healthz", host=host))[0]
            for host in (
                "poller:8080",
                "10.1.2.3:8080",
                "[::1]:8080",
                "poller.example",
                "evil.example",
                "127.0.0.1.evil",
            )
        }
        assert await program.stop() == 0

    assert answers == {host: 421 if "evil" in host else 200 for host in answers}


async def test_a_database_that_is_away_makes_it_unready_but_not_dead(workplace: Workplace, plain_server: str) -> None:
    async with workplace.running("run") as program:
        port = (await program.until("http served"))["port"]
        await until(lambda: ask(port, "/readyz"), 200)

        admit(plain_server, workplace.database_url, connections=False)
        unready = await until(lambda: ask(port, "/readyz"), 503)
        alive = await ask(port, "/healthz")
        admit(plain_server, workplace.database_url, connections=True)
        await until(lambda: ask(port, "/readyz"), 200)
        assert await program.stop() == 0

    assert any(reason.startswith("main usdm: the newest poll in the database is") for reason in unready["reasons"])
    assert alive[0] == 200


async def test_an_address_that_is_taken_costs_nothing_but_a_line_in_the_log(workplace: Workplace) -> None:
    async with workplace.running("run") as first:
        port = (await first.until("http served"))["port"]
        workplace.configure(listen=f"127.0.0.1:{port}", spool="other.sqlite")
        async with workplace.running("run") as second:
            refused = await second.until("http not served")
            await second.until("poll stored", status="ok")
            assert await second.stop() == 0
        assert await first.stop() == 0

    assert refused["port"] == port
