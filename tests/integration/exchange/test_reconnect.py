import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from poller.errors import ConnectionLostError, NotConnectedError, RequestTimeoutError
from poller.exchange.connection import Connection, HandshakeError, Limits
from poller.exchange.frames import Unexpected
from poller.exchange.pacing import Pacing
from poller.exchange.pending import Reply
from poller.exchange.reconnect import Link
from tests.integration.exchange.conftest import StartPeer
from tests.integration.exchange.wire_peer import Line, Peer, hold, serve_all, until
from tests.support.virtual_time import run_in_virtual_time

AT_ONCE = Pacing(first=0.0, longest=0.0, spacing=0.0)
PATIENCE = 30.0


def _link(session: aiohttp.ClientSession, peer: Peer, pacing: Pacing = AT_ONCE) -> Link:
    async def open_connection(unexpected: Counter[Unexpected]) -> Connection:
        return await Connection.open(session, peer.url, unexpected, limits=Limits(heartbeat_seconds=30))

    return Link(open_connection, pacing=pacing)


@asynccontextmanager
async def _up(link: Link) -> AsyncIterator[Link]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(link.run())
        try:
            yield link
        finally:
            task.cancel()
    assert task.cancelled()


async def _ask(link: Link, n: int = 0, *, within: float = PATIENCE) -> Reply:
    deadline = asyncio.get_running_loop().time() + within
    return await link.request("account.status", lambda: {"n": n}, deadline=deadline)


async def _line_that_answered(link: Link, n: int = 0) -> int:
    result = json.loads((await _ask(link, n)).body)["result"]
    assert result["n"] == n
    line: int = result["line"]
    return line


async def test_a_link_connects_at_once_and_serves(start_peer: StartPeer, session: aiohttp.ClientSession) -> None:
    peer = await start_peer(serve_all)
    link = _link(session, peer)
    before = link.connected

    async with _up(link):
        assert await _line_that_answered(link, 7) == 1

        assert (before, link.connected) == (False, True)
        assert link.connections == peer.upgrades == 1
        assert link.last_failure is None


async def test_a_lost_socket_fails_what_is_pending_and_is_replaced(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    async def script(line: Line) -> None:
        if line.number == 1:
            await line.asked()
            line.reset()
        await serve_all(line)

    async with _up(_link(session, await start_peer(script))) as link:
        with pytest.raises(ConnectionLostError):
            await _ask(link)

        assert await _line_that_answered(link) == 2
        assert link.connections == 2
        assert link.last_failure == "the connection ended without a close frame"


async def test_a_request_that_finds_the_socket_ended_goes_to_the_next_one(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    async with _up(_link(session, await start_peer(serve_all))) as link:
        await _ask(link)
        assert link._current is not None
        link._current._ws._writer.transport.close()

        assert await _line_that_answered(link) == 2


async def test_a_good_reply_lets_the_delays_begin_anew(start_peer: StartPeer, session: aiohttp.ClientSession) -> None:
    async def script(line: Line) -> None:
        await line.answer(await line.asked())
        await line.asked()
        line.vanish()

    async with _up(_link(session, await start_peer(script), Pacing(first=0.001, longest=1e9, spacing=0.0))) as link:
        for _ in range(40):
            await _ask(link)
            with pytest.raises(ConnectionLostError):
                await _ask(link)


async def test_params_that_cannot_be_built_fail_their_request_alone(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    def build_params() -> dict[str, str | int]:
        raise ZeroDivisionError

    async with _up(_link(session, await start_peer(serve_all))) as link:
        with pytest.raises(ZeroDivisionError):
            await link.request("account.status", build_params, deadline=asyncio.get_running_loop().time() + PATIENCE)

        assert await _line_that_answered(link) == 1


async def test_a_request_waits_for_the_connection_and_signs_when_it_is_there(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    peer = await start_peer(serve_all)
    await peer.stop()
    connected_when_signed: list[bool] = []

    async with _up(_link(session, peer)) as link, asyncio.TaskGroup() as tasks:

        def build_params() -> dict[str, str | int]:
            connected_when_signed.append(link.connected)
            return {"n": 1}

        deadline = asyncio.get_running_loop().time() + PATIENCE
        request = tasks.create_task(link.request("account.status", build_params, deadline=deadline))
        await until(lambda: link.last_failure is not None)
        assert connected_when_signed == []
        await peer.start()
        assert json.loads((await request).body)["result"]["n"] == 1

    assert connected_when_signed == [True]


async def test_without_a_connection_until_the_deadline_nothing_is_signed_or_sent(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    peer = await start_peer(serve_all)
    await peer.stop()
    signed: list[int] = []

    def build_params() -> dict[str, str | int]:
        signed.append(1)
        return {}

    async with _up(_link(session, peer)) as link:
        await until(lambda: link.last_failure is not None)
        with pytest.raises(NotConnectedError, match="not connected: the exchange could not be reached: ECONNREFUSED"):
            await link.request("account.status", build_params, deadline=asyncio.get_running_loop().time() + 0.05)

    assert signed == []


async def test_a_link_that_was_never_started_says_that_it_is_not_connected(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(NotConnectedError, match="not yet"):
        await _ask(_link(session, await start_peer(serve_all)), within=0.01)


async def test_an_exchange_that_restarts_on_the_same_port_is_found_again(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    peer = await start_peer(serve_all)
    async with _up(_link(session, peer, Pacing(first=0.001, longest=0.01, spacing=0.0))) as link:
        for _ in range(3):
            await _ask(link)
            await peer.stop()
            await until(lambda: not link.connected)
            with pytest.raises(NotConnectedError):
                await _ask(link, within=0.05)
            await peer.start()

        assert await _line_that_answered(link) == 4


async def test_no_reply_before_the_deadline_is_a_timeout_and_the_late_one_is_counted(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    async def script(line: Line) -> None:
        late, asked = await line.asked(), await line.asked()
        await line.answer(late)
        await line.answer(asked)
        await line.asked()

    async with _up(_link(session, await start_peer(script))) as link:
        await until(lambda: link.connected)
        with pytest.raises(RequestTimeoutError):
            await _ask(link, 1, within=0.05)
        assert await _line_that_answered(link, 2) == 1

        assert link.unexpected == {Unexpected.LATE: 1}


async def test_a_socket_that_answers_pings_but_no_requests_is_replaced_and_still_awaited(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    answering = asyncio.Event()

    async def script(line: Line) -> None:
        if line.number == 1:
            await line.asked()
            patient = await line.asked()
            await answering.wait()
            await line.answer(patient)
        await serve_all(line)

    pacing = Pacing(first=0.0, longest=0.0, spacing=0.0, silence=0.05)
    async with _up(_link(session, await start_peer(script), pacing)) as link, asyncio.TaskGroup() as tasks:
        await until(lambda: link.connected)
        given_up = asyncio.gather(_ask(link, within=0.06), return_exceptions=True)
        await asyncio.sleep(0)
        patient = tasks.create_task(_line_that_answered(link, 2))
        assert isinstance((await given_up)[0], RequestTimeoutError)
        await until(lambda: link.connections == 2)

        assert await _line_that_answered(link, 3) == 2
        assert not patient.done()
        answering.set()
        assert await patient == 1
        assert link.last_failure is None


def test_a_request_that_waits_while_others_are_answered_puts_no_socket_in_doubt() -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await serve_all(line)

    async def main() -> None:
        peer = Peer(script)
        await peer.start()
        pacing = Pacing(first=0.0, longest=0.0, spacing=0.0, silence=5)
        async with aiohttp.ClientSession() as session, _up(_link(session, peer, pacing)) as link:
            await until(lambda: link.connected)
            slow = asyncio.gather(_ask(link, within=6), return_exceptions=True)
            await asyncio.sleep(0)
            while not slow.done():
                assert await _line_that_answered(link) == 1
                await asyncio.wait({slow}, timeout=0.5)
            assert isinstance(slow.result()[0], RequestTimeoutError)

            assert await _line_that_answered(link) == 1
            assert peer.upgrades == 1
        await peer.stop()

    run_in_virtual_time(main())


async def test_a_socket_whose_end_is_announced_is_replaced_before_and_still_answers(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    replaced = asyncio.Event()
    closed = asyncio.Event()

    async def script(line: Line) -> None:
        if line.number == 1:
            asked = await line.asked()
            await line.say('{"e":"serverShutdown"}')
            await replaced.wait()
            await line.answer(asked)
            assert (await line.ws.receive()).type is WSMsgType.CLOSE
            closed.set()
        await serve_all(line)

    async with _up(_link(session, await start_peer(script))) as link, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(_line_that_answered(link, 1))
        await until(lambda: link.connections == 2)
        assert not first.done()
        assert await _line_that_answered(link, 2) == 2
        replaced.set()

        assert await first == 1
        await closed.wait()
        assert link.last_failure is None


async def test_an_old_socket_is_replaced_by_plan(start_peer: StartPeer, session: aiohttp.ClientSession) -> None:
    peer = await start_peer(serve_all)
    async with _up(_link(session, peer, Pacing(first=0.0, spacing=0.0, max_age=0.01))) as link:
        while link.connections < 5:
            await _ask(link)

        assert link.last_failure is None


async def test_a_refusal_is_tried_again_without_an_end(start_peer: StartPeer, session: aiohttp.ClientSession) -> None:
    peer = await start_peer(serve_all)
    peer.refusal = lambda: web.Response(status=403, text="<html>", content_type="text/html")
    async with _up(_link(session, peer)) as link:
        await until(lambda: peer.upgrades >= 50)
        assert link.last_status == 403
        peer.refusal = None

        assert await _line_that_answered(link) == peer.upgrades
        assert link.last_status is None


async def test_changes_are_told(start_peer: StartPeer, session: aiohttp.ClientSession) -> None:
    async def script(line: Line) -> None:
        if line.number == 2:
            await line.asked()
            await line.ws.close(code=1001)
        await serve_all(line)

    peer = await start_peer(script)
    peer.refusal = lambda: web.Response(status=503)
    told: list[str | None] = []

    async def open_connection(unexpected: Counter[Unexpected]) -> Connection:
        try:
            return await Connection.open(session, peer.url, unexpected)
        finally:
            peer.refusal = None

    link = Link(open_connection, pacing=AT_ONCE, on_change=told.append)
    async with _up(link):
        with pytest.raises(ConnectionLostError):
            await _ask(link)
        await _ask(link)

    assert told == [
        "the exchange answered the handshake with HTTP 503",
        None,
        "the exchange closed the connection: code 1001",
        None,
    ]


async def test_hanging_up_on_every_greeting_is_not_answered_by_a_storm_of_handshakes(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    async def script(line: Line) -> None:
        line.vanish()

    peer = await start_peer(script)
    async with _up(_link(session, peer, Pacing(first=0.0, longest=0.0, spacing=3600.0))) as link:
        await until(lambda: link.last_failure is not None)
        with pytest.raises(NotConnectedError):
            await _ask(link, within=0.1)

    assert peer.upgrades == 1


async def test_ending_the_link_fails_what_is_pending_and_closes(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    asked = asyncio.Event()
    closes: list[WSMsgType] = []

    async def script(line: Line) -> None:
        await line.asked()
        asked.set()
        closes.append((await line.ws.receive()).type)

    async with _up(_link(session, await start_peer(script))) as link:
        request = asyncio.gather(_ask(link), return_exceptions=True)
        await asked.wait()
    (outcome,) = await request

    await until(lambda: bool(closes))

    assert isinstance(outcome, ConnectionLostError)
    assert not link.connected
    assert closes == [WSMsgType.CLOSE]


async def test_ending_the_link_while_it_connects_leaves_nothing(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    peer = await start_peer(serve_all)
    for turns in range(40):
        async with _up(_link(session, peer)):
            for _ in range(turns):
                await asyncio.sleep(0)


async def test_a_fault_that_is_no_fault_of_the_network_is_not_hidden() -> None:
    async def broken(_unexpected: Counter[Unexpected]) -> Connection:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        await Link(broken).run()

    assert caught.group_contains(ZeroDivisionError)


async def test_a_handshake_that_hangs_does_not_outlive_the_link() -> None:
    started = asyncio.Event()

    async def hang(_unexpected: Counter[Unexpected]) -> Connection:
        started.set()
        await asyncio.Event().wait()
        raise HandshakeError("never")

    async with _up(Link(hang)):
        await started.wait()


async def test_a_peer_that_stops_reading_does_not_hold_up_the_end(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    async with _up(_link(session, await start_peer(hold))) as link:
        await until(lambda: link.connected)
        with pytest.raises(RequestTimeoutError):
            await _ask(link, within=0.05)
