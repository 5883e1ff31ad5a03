"""Days of a link in virtual time: sockets that end by plan, by announcement and without a word miss no tick."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from poller.errors import ConnectionLostError
from poller.exchange.connection import Connection, Limits
from poller.exchange.frames import Unexpected
from poller.exchange.pacing import Pacing
from poller.exchange.reconnect import Link
from poller.observation import Market
from poller.simulator import SimulatedExchange
from poller.simulator.connection import Connection as Served
from poller.simulator.connection import ConnectionRules
from poller.simulator.faults import Delay, Fault, Freeze, HangUp, HttpReply, Reset, Result
from poller.simulator.scripts import Stage
from tests.support.virtual_time import run_in_virtual_time

EPOCH = 1_763_726_400
HOUR = 3600.0
DEADLINE = 8.0
"""Of a tick every 10 s."""

QUIET = Limits(heartbeat_seconds=60)
"""Nobody vanishes for days: pings would be most of the work."""


class Line:
    """A link to the simulated exchange, and what became of it.

    Attributes:
        changes: When the link told what, None for connected.
    """

    def __init__(self, exchange: SimulatedExchange, link: Link, changes: list[tuple[float, str | None]]) -> None:
        self.exchange = exchange
        self.link = link
        self.changes = changes
        self.served_by_a_replaced_socket = 0

    @property
    def failures(self) -> list[str]:
        return [failure for _, failure in self.changes if failure is not None]

    async def ask(self, n: int = 0, *, within: float = DEADLINE) -> None:
        """Ask as a poll does: what is lost with its socket is asked again until the deadline."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            connections = self.link.connections
            try:
                reply = await self.link.request("v2/account.status", lambda: {"n": n}, deadline=deadline)
            except ConnectionLostError:
                continue
            assert json.loads(reply.body)["status"] == 200
            self.served_by_a_replaced_socket += self.link.connections > connections
            return


@asynccontextmanager
async def _line(
    *faults: Fault, pacing: Pacing | None = None, limits: Limits = QUIET, rules: ConnectionRules | None = None
) -> AsyncIterator[Line]:
    """Stay connected to an exchange that answers everybody, so far as `faults` let it."""
    loop = asyncio.get_running_loop()
    changes: list[tuple[float, str | None]] = []

    async def open_connection(unexpected: Counter[Unexpected]) -> Connection:
        return await Connection.open(session, exchange.ws_url(Market.USDM), unexpected, limits=limits)

    async with (
        SimulatedExchange(clock=lambda: EPOCH + loop.time(), rules=rules) as exchange,
        aiohttp.ClientSession() as session,
        asyncio.TaskGroup() as tasks,
    ):
        exchange.faults.next(None, Result({}), *faults, times=None)
        link = Link(
            open_connection,
            pacing=pacing or Pacing(),
            on_change=lambda failure: changes.append((loop.time(), failure)),
        )
        running = tasks.create_task(link.run())
        yield Line(exchange, link, changes)
        running.cancel()


async def _tick(ask: Callable[[], Awaitable[None]], every: float, count: int) -> None:
    """Ask `count` times, whether or not the answer before is there."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for n in range(count):
            await asyncio.sleep(start + n * every - loop.time())
            tasks.create_task(_awaited(ask()))


async def _awaited(answer: Awaitable[None]) -> None:
    await answer


def test_for_three_days_sockets_are_replaced_before_the_exchange_ends_them_and_no_tick_is_missed() -> None:
    async def main() -> None:
        # A reply takes longer than the next tick: at every moment, that of a replacement too, one is pending.
        async with _line(Delay(9.8)) as line:
            await _tick(lambda: line.ask(within=10.0), every=9.5, count=int(72 * HOUR / 9.5))

            assert line.failures == []
            assert line.exchange.journal.handshake_count[Market.USDM] == line.link.connections == 4
            ages = [later - earlier for (earlier, _), (later, _) in zip(line.changes, line.changes[1:], strict=False)]
            assert all(21 * HOUR < age < 23.1 * HOUR for age in ages)
            assert len(set(ages)) == 3
            assert line.served_by_a_replaced_socket >= 3
            assert line.link.unexpected.total() == 0

    run_in_virtual_time(main())


def test_the_exchange_ends_a_socket_that_is_not_replaced_after_a_day() -> None:
    async def main() -> None:
        async with _line(pacing=Pacing(max_age=48 * HOUR)) as line:
            await _tick(line.ask, every=600, count=6 * 25)

            assert line.failures == ["the exchange closed the connection: code 1001"]
            assert [round(at / HOUR, 2) for at, _ in line.changes] == [0.0, 24.0, 24.0]

    run_in_virtual_time(main())


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_socket_is_replaced_before_the_end_that_its_exchange_announces_and_no_tick_is_missed(wrapped: bool) -> None:  # noqa: FBT001 - an example
    async def retire(served: Served) -> None:
        await served.announce_shutdown(wrapped=wrapped)
        await asyncio.sleep(15)
        await served.hang_up(1001)

    async def main() -> None:
        async with _line(Delay(8.0)) as line, asyncio.TaskGroup() as tasks:
            ticks = tasks.create_task(_tick(lambda: line.ask(within=8.5), every=7.5, count=480))
            for _ in range(5):
                await asyncio.sleep(10 * 60)
                (served,) = line.exchange.connections
                tasks.create_task(retire(served))
            await ticks

            assert line.failures == []
            assert line.link.connections == 6
            assert line.served_by_a_replaced_socket >= 5
            assert line.link.unexpected == {Unexpected.EVENT: 5}

    run_in_virtual_time(main())


def test_a_peer_that_is_gone_without_a_word_is_found_out_with_time_left_for_another_attempt() -> None:
    async def main() -> None:
        async with _line(limits=Limits()) as line:
            for death in range(1, 31):
                await asyncio.sleep(300)
                line.exchange.faults.clear()
                line.exchange.faults.next(None, Freeze())
                line.exchange.faults.next(None, Result({}), times=None)
                await line.ask()
                assert line.link.connections == death + 1
            assert set(line.failures) == {"the exchange did not answer a ping"}

    run_in_virtual_time(main())


def test_a_peer_that_is_gone_between_two_ticks_is_found_out_before_the_next() -> None:
    async def main() -> None:
        async with _line(limits=Limits()) as line:
            await line.ask()
            await asyncio.sleep(20)
            (served,) = line.exchange.connections
            served._is_frozen = True
            gone_at = asyncio.get_running_loop().time()
            await asyncio.sleep(10)

            assert line.failures == ["the exchange did not answer a ping"]
            assert line.changes[1][0] - gone_at <= 6
            await line.ask(within=1)

    run_in_virtual_time(main())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (HangUp(code=1008, reason=b"Pong timeout"), "the exchange closed the connection: code 1008 'Pong timeout'"),
        (HangUp(code=1001), "the exchange closed the connection: code 1001"),
        (Reset(), "the connection ended without a close frame"),
        (Reset(after_reply=True), "the connection ended without a close frame"),
    ],
)
def test_a_socket_that_ends_is_replaced_within_the_tick(fault: Fault, reason: str) -> None:
    async def main() -> None:
        async with _line() as line:
            for _ in range(20):
                await asyncio.sleep(300)
                line.exchange.faults.clear()
                line.exchange.faults.next(None, Result({}), fault)
                line.exchange.faults.next(None, Result({}), times=None)
                await line.ask()
            await asyncio.sleep(10)
            assert line.failures == [reason] * 20

    run_in_virtual_time(main())


HTML = b"<html><head><title>403 Forbidden</title></head><body>CloudFront</body></html>"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (HttpReply(status=503), "the exchange answered the handshake with HTTP 503"),
        (
            HttpReply(status=403, body=HTML, content_type="text/html"),
            "the exchange answered the handshake with HTTP 403",
        ),
        (HttpReply(status=451), "the exchange answered the handshake with HTTP 451"),
        (Reset(), "the exchange could not be reached: ECONNRESET"),
        (Delay(1e9), "the exchange did not answer in time"),
    ],
)
def test_handshakes_that_fail_are_repeated_at_a_slow_pace_and_the_first_that_can_is_used(
    fault: Fault, reason: str
) -> None:
    async def main() -> None:
        async with _line() as line:
            await line.ask()
            line.exchange.faults.next(None, fault, stage=Stage.HANDSHAKE, times=None)
            await line.exchange.hang_up()
            await asyncio.sleep(HOUR)
            tried = len(line.failures) - 1
            line.exchange.faults.clear()
            line.exchange.faults.next(None, Result({}), times=None)
            # One more may be under way, for 10 s at most, and the pause after it is no longer either.
            await line.ask(within=20.1)

            assert line.failures[0] == "the exchange closed the connection: code 1001"
            assert set(line.failures[1:]) == {reason}
            assert 180 <= tried <= 720

    run_in_virtual_time(main())
