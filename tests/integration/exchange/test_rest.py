import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from poller.errors import RestRefusedError, RestUnavailableError
from poller.exchange.clock import ExchangeClock, Sample
from poller.exchange.endpoints import Endpoint
from poller.exchange.rest import server_time
from poller.observation import Market

NOW_MS = 1_763_726_400_123


class Rest:
    """A REST interface that answers the question for the time as it is told."""

    def __init__(self) -> None:
        self.answer: web.StreamResponse | None = None
        self.silent = False
        self.asked: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path_qs}")
        if self.silent:
            await asyncio.Event().wait()
        return self.answer or web.json_response({"serverTime": NOW_MS})


@pytest.fixture
def rest() -> Rest:
    return Rest()


@pytest.fixture
async def endpoint(rest: Rest) -> AsyncIterator[Endpoint]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", rest.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    yield Endpoint(
        market=Market.USDM,
        method="v2/account.status",
        weight=5,
        ws_url="ws://127.0.0.1/",
        rest_url=f"http://127.0.0.1:{port}",
        time_path="/fapi/v1/time",
    )
    await runner.cleanup()


async def test_the_time_is_told_between_two_readings_of_the_steady_clock(
    rest: Rest, endpoint: Endpoint, session: aiohttp.ClientSession
) -> None:
    readings = iter([100.0, 100.5])
    sample = (await server_time(session, endpoint, steady=lambda: next(readings))).value

    assert (sample.before, sample.after, sample.server_ms) == (100.0, 100.5, NOW_MS)
    assert sample.round_trip == 0.5
    assert rest.asked == ["GET /fapi/v1/time"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda: web.Response(status=500), "HTTP 500"),
        (lambda: web.Response(status=429, headers={"Retry-After": "1"}), "HTTP 429"),
        (lambda: web.Response(status=302, headers={"Location": "/elsewhere"}), "HTTP 302"),
        (lambda: web.Response(text="<html>"), "cannot be decoded"),
        (lambda: web.Response(body=b"\xff"), "cannot be decoded"),
        (lambda: web.Response(text="[" * 60_000), "cannot be decoded"),
        (lambda: web.Response(text="[" * 100_000), "longer than 65536 bytes"),
        (lambda: web.json_response({}), "cannot be decoded"),
        (lambda: web.json_response({"serverTime": str(NOW_MS)}), "cannot be decoded"),
        (lambda: web.json_response({"serverTime": 0}), "0 is none"),
        (lambda: web.json_response({"serverTime": NOW_MS // 1000}), "is none"),
        (lambda: web.json_response({"serverTime": 10**18}), "is none"),
    ],
)
async def test_an_answer_that_is_no_time_is_refused(
    answer: object, reason: str, rest: Rest, endpoint: Endpoint, session: aiohttp.ClientSession
) -> None:
    assert callable(answer)
    rest.answer = answer()

    with pytest.raises((RestUnavailableError, RestRefusedError), match=reason):
        await server_time(session, endpoint)
    assert len(rest.asked) == 1


async def test_an_answer_that_does_not_come_is_given_up(
    rest: Rest, endpoint: Endpoint, session: aiohttp.ClientSession
) -> None:
    rest.silent = True

    with pytest.raises(RestUnavailableError, match="did not answer in time"):
        await server_time(session, endpoint, timeout_seconds=0.05)


async def test_an_interface_that_cannot_be_reached_tells_no_address(session: aiohttp.ClientSession) -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    nowhere = Endpoint(
        market=Market.COINM,
        method="account.status",
        weight=5,
        ws_url="ws://127.0.0.1/",
        rest_url=f"http://127.0.0.1:{port}",
        time_path="/dapi/v1/time",
    )

    with pytest.raises(RestUnavailableError) as caught:
        await server_time(session, nowhere)
    assert str(caught.value) == "time: the exchange could not be reached: ECONNREFUSED"


async def test_a_clock_is_measured_over_rest(rest: Rest, endpoint: Endpoint, session: aiohttp.ClientSession) -> None:
    def steady() -> float:
        return 100.0

    async def sample() -> Sample:
        return (await server_time(session, endpoint, steady=steady)).value

    clock = ExchangeClock(sample, steady=steady, wall=lambda: NOW_MS / 1000 - 60)

    assert (await clock.measure()).offset_ms == 60_000
    assert clock.now_ms() == NOW_MS
    assert len(rest.asked) == 5
