import asyncio
import json
from collections import Counter

import aiohttp
import pytest
from aiohttp import WSMsgType

from poller.errors import ConnectionLostError, NotConnectedError, OversizedFrameError
from poller.exchange.connection import Connection, Limits
from poller.exchange.frames import Unexpected
from tests.integration.exchange.conftest import Connect, StartPeer
from tests.integration.exchange.wire_peer import Line, deaf_peer, hold, reply, running, serve_all, until

FRAME_LIMIT = 1024 * 1024


async def test_a_reply_comes_whole_with_its_envelope_and_latency(start_peer: StartPeer, connect: Connect) -> None:
    async def script(line: Line) -> None:
        asked = await line.asked()
        assert asked["method"] == "account.status"
        limits = [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400, "count": 7}
        ]
        await line.say(json.dumps({"id": asked["id"], "status": 200, "rateLimits": limits, "result": asked["params"]}))
        await line.asked()

    async with running(await connect(await start_peer(script))) as connection:
        answer = await connection.request("account.status", {"symbol": "币安人生USDT", "n": 9223372036854775807})

    assert json.loads(answer.body)["result"] == {"symbol": "币安人生USDT", "n": 9223372036854775807}
    assert answer.envelope is not None
    assert answer.envelope.status == 200
    assert [limit.count for limit in answer.envelope.rate_limits] == [7]
    assert answer.latency_ms >= 0
    assert "USDT" not in repr(answer)


async def test_latency_is_counted_by_the_monotonic_clock(start_peer: StartPeer, connect: Connect) -> None:
    answered = asyncio.Event()

    async def script(line: Line) -> None:
        asked = await line.asked()
        await answered.wait()
        await line.answer(asked)
        await line.asked()

    loop = asyncio.get_running_loop()
    async with running(await connect(await start_peer(script))) as connection, asyncio.TaskGroup() as tasks:
        asked_at = loop.time()
        request = tasks.create_task(connection.request("account.status", {}))
        await until(lambda: connection.pending == 1)
        loop.call_later(0.05, answered.set)
        latency_ms = (await request).latency_ms
        answered_at = loop.time()

    assert latency_ms >= 49
    assert latency_ms <= (answered_at - asked_at) * 1000 + 1


async def test_every_request_has_an_id_of_its_own(start_peer: StartPeer, connect: Connect) -> None:
    ids = set()

    async def script(line: Line) -> None:
        while True:
            asked = await line.asked()
            ids.add(asked["id"])
            await line.answer(asked)

    async with running(await connect(await start_peer(script))) as connection:
        for _ in range(20):
            await connection.request("account.status", {})

    assert len(ids) == 20


async def test_a_hang_up_fails_every_pending_request_with_an_error_of_its_own(
    start_peer: StartPeer, connect: Connect
) -> None:
    async def script(line: Line) -> None:
        for _ in range(50):
            await line.asked()
        await line.ws.close(code=1008, message=b"Pong timeout")

    async with running(await connect(await start_peer(script))) as connection:
        outcomes = await asyncio.gather(
            *(connection.request("account.status", {"n": n}) for n in range(50)), return_exceptions=True
        )

        assert {type(outcome) for outcome in outcomes} == {ConnectionLostError}
        assert len({id(outcome) for outcome in outcomes}) == 50
        assert "1008 'Pong timeout'" in str(outcomes[0])
        assert connection.pending == 0
        assert connection.worn.is_set()


async def test_a_close_frame_fails_the_pending_request_before_the_closing_is_done(
    start_peer: StartPeer, connect: Connect
) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.ws.send_frame(b"", WSMsgType.CLOSE)
        await hold(line)

    connection = await connect(await start_peer(script))
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(connection.run())
        with pytest.raises(ConnectionLostError):
            await connection.request("account.status", {})

        assert not reader.done()


@pytest.mark.parametrize("end", [Line.vanish, Line.reset])
async def test_a_socket_that_ends_without_a_close_frame_fails_the_pending_request(
    end: object, start_peer: StartPeer, connect: Connect
) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        assert callable(end)
        end(line)
        await hold(line)

    async with running(await connect(await start_peer(script))) as connection:
        with pytest.raises(ConnectionLostError, match="without a close frame"):
            await connection.request("account.status", {})


async def test_a_peer_that_answers_no_ping_has_ended(
    start_peer: StartPeer, session: aiohttp.ClientSession, unexpected: Counter[Unexpected]
) -> None:
    peer = await start_peer(hold)
    connection = await Connection.open(session, peer.url, unexpected, limits=Limits(heartbeat_seconds=0.05))
    async with running(connection):
        with pytest.raises(ConnectionLostError, match="did not answer a ping"):
            await connection.request("account.status", {})


async def test_a_ping_is_answered_with_its_payload_while_nothing_is_asked(
    start_peer: StartPeer, connect: Connect
) -> None:
    pongs: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(line: Line) -> None:
        line.ws._autoping = False
        await line.ws.ping(b"1702620814781")
        message = await line.ws.receive()
        assert message.type is WSMsgType.PONG
        await pongs.put(message.data)
        await hold(line)

    async with running(await connect(await start_peer(script))):
        assert await pongs.get() == b"1702620814781"


async def test_no_compression_is_offered(start_peer: StartPeer, connect: Connect) -> None:
    peer = await start_peer(serve_all)

    async with running(await connect(peer)):
        assert "Sec-WebSocket-Extensions" not in peer.headers[0]


async def test_a_reply_of_five_mebibytes_is_read_by_default(
    start_peer: StartPeer, session: aiohttp.ClientSession, unexpected: Counter[Unexpected]
) -> None:
    async def script(line: Line) -> None:
        await line.answer(await line.asked(), padding="x" * 5 * 1024 * 1024)
        await line.asked()

    peer = await start_peer(script)
    async with running(await Connection.open(session, peer.url, unexpected)) as connection:
        assert len((await connection.request("account.status", {})).body) > 5 * 1024 * 1024


async def _oversize(line: Line, *, after: int) -> None:
    for _ in range(after):
        await line.asked()
    await line.say(b"x" * FRAME_LIMIT)
    await hold(line)


async def _limited(session: aiohttp.ClientSession, url: str) -> Connection:
    return await Connection.open(session, url, Counter(), limits=Limits(max_frame_bytes=FRAME_LIMIT))


async def test_a_frame_above_the_limit_is_blamed_on_the_only_pending_request(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    peer = await start_peer(lambda line: _oversize(line, after=1))
    async with running(await _limited(session, peer.url)) as connection:
        with pytest.raises(OversizedFrameError):
            await connection.request("account.status", {})


async def test_a_frame_above_the_limit_is_blamed_on_nobody_when_two_can_be_meant(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    peer = await start_peer(lambda line: _oversize(line, after=2))
    async with running(await _limited(session, peer.url)) as connection:
        outcomes = await asyncio.gather(
            *(connection.request("account.status", {}) for _ in range(2)), return_exceptions=True
        )

    assert [type(outcome) for outcome in outcomes] == [ConnectionLostError] * 2
    assert "exceeds limit" in str(outcomes[0])


async def test_a_frame_above_the_limit_may_be_the_late_reply_to_a_request_that_was_given_up(
    start_peer: StartPeer, session: aiohttp.ClientSession
) -> None:
    peer = await start_peer(lambda line: _oversize(line, after=2))
    async with running(await _limited(session, peer.url)) as connection:
        with pytest.raises(TimeoutError):
            await _within(0.01, connection)
        with pytest.raises(ConnectionLostError) as caught:
            await connection.request("account.status", {})

    assert not isinstance(caught.value, OversizedFrameError)


async def test_a_reply_that_is_not_utf8_arrives_byte_for_byte_and_the_socket_lives_on(
    start_peer: StartPeer, connect: Connect
) -> None:
    async def script(line: Line) -> None:
        asked = await line.asked()
        await line.say(b'{"id":"%b","status":200,"result":"\xff\xfe"}' % str(asked["id"]).encode())
        await serve_all(line)

    async with running(await connect(await start_peer(script))) as connection:
        first = await connection.request("account.status", {})
        second = await connection.request("account.status", {"n": 2})

    assert first.body.endswith(b'"result":"\xff\xfe"}')
    assert json.loads(second.body)["result"]["n"] == 2


@pytest.mark.parametrize(
    "broken",
    [
        '{"id":"%s","status":200,"result":{"assets":[{"asset":"USD',
        '{"id":"%s","status":200,"result":{"totalWalletBalance":NaN}}',
        '{"id":"%s","status":200,"result":' + "[" * 200_000 + "]" * 200_000 + "}",
        '["%s"]',
        '{"id":"%s","status":"two hundred"}',
        '<html id="%s">',
    ],
    ids=["truncated", "NaN", "nested", "array", "mistyped", "html"],
)
async def test_a_frame_that_cannot_be_decoded_goes_to_the_request_it_names(
    broken: str, start_peer: StartPeer, connect: Connect
) -> None:
    async def script(line: Line) -> None:
        asked, other = await line.asked(), await line.asked()
        await line.say(broken % asked["id"])
        await line.answer(other)
        await serve_all(line)

    async with running(await connect(await start_peer(script))) as connection:
        first, second = await asyncio.gather(
            connection.request("account.status", {"n": 1}), connection.request("account.status", {"n": 2})
        )

        assert first.envelope is None
        assert first.body.startswith(broken.partition("%s")[0].encode())
        assert json.loads(second.body)["result"]["n"] == 2
        assert json.loads((await connection.request("account.status", {"n": 3})).body)["result"]["n"] == 3


async def test_a_frame_that_cannot_be_decoded_and_names_two_requests_goes_to_neither(
    start_peer: StartPeer, connect: Connect, unexpected: Counter[Unexpected]
) -> None:
    async def script(line: Line) -> None:
        asked, other = await line.asked(), await line.asked()
        await line.say(f"[{asked['id']} {other['id']}")
        await line.answer(other)
        await line.answer(asked)
        await line.asked()

    async with running(await connect(await start_peer(script))) as connection:
        answers = await asyncio.gather(*(connection.request("account.status", {"n": n}) for n in range(2)))

    assert [json.loads(answer.body)["result"]["n"] for answer in answers] == [0, 1]
    assert unexpected == {Unexpected.UNDECODABLE: 1}


async def test_frames_that_answer_nothing_are_counted_by_kind_and_survived(
    start_peer: StartPeer, session: aiohttp.ClientSession, unexpected: Counter[Unexpected]
) -> None:
    stray = [
        (Unexpected.UNKNOWN, '{"id":"nobody","status":200,"result":{}}'),
        (Unexpected.UNKNOWN, '{"id":7,"status":200,"result":{}}'),
        (Unexpected.NULL_ID, '{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}'),
        (Unexpected.NULL_ID, '{"error":{"code":3,"msg":"Invalid JSON"}}'),
        (Unexpected.EVENT, '{"e":"accountUpdate"}'),
        (Unexpected.EVENT, '{"event":{"e":"accountUpdate"}}'),
        (Unexpected.FOREIGN, '{"239999":"The system is under maintenance"}'),
        (Unexpected.FOREIGN, "{}"),
        (Unexpected.UNDECODABLE, "[]"),
        (Unexpected.UNDECODABLE, ""),
        (Unexpected.UNDECODABLE, "\x00"),
    ]

    async def script(line: Line) -> None:
        asked = await line.asked()
        for _, text in stray:
            await line.say(text)
        await line.answer(asked)
        await line.asked()

    shown: list[tuple[Unexpected, bytes]] = []
    connection = await Connection.open(
        session,
        (await start_peer(script)).url,
        unexpected,
        on_unexpected=lambda kind, body: shown.append((kind, body)),
    )
    async with running(connection):
        assert (await connection.request("account.status", {})).envelope is not None

        assert not connection.worn.is_set()
    assert shown == [(kind, text.encode()) for kind, text in stray]
    assert unexpected == Counter(kind for kind, _ in stray)


async def test_a_reply_in_a_binary_frame_is_a_reply(start_peer: StartPeer, connect: Connect) -> None:
    async def script(line: Line) -> None:
        await line.ws.send_bytes(reply(await line.asked()).encode())
        await line.asked()

    async with running(await connect(await start_peer(script))) as connection:
        assert (await connection.request("account.status", {})).envelope is not None


async def test_a_late_reply_is_counted_and_never_given_to_another_request(
    start_peer: StartPeer, connect: Connect, unexpected: Counter[Unexpected]
) -> None:
    async def script(line: Line) -> None:
        late, asked = await line.asked(), await line.asked()
        await line.answer(late)
        await line.answer(asked)
        await line.answer(late)
        await serve_all(line)

    async with running(await connect(await start_peer(script))) as connection:
        with pytest.raises(TimeoutError):
            await _within(0.01, connection)
        for n in (2, 3):
            answer = await connection.request("account.status", {"n": n})
            assert json.loads(answer.body)["result"]["n"] == n

    assert unexpected == {Unexpected.LATE: 1, Unexpected.UNKNOWN: 1}


async def test_a_duplicate_reply_is_unknown(
    start_peer: StartPeer, connect: Connect, unexpected: Counter[Unexpected]
) -> None:
    async def script(line: Line) -> None:
        asked = await line.asked()
        await line.answer(asked)
        await line.answer(asked)
        await serve_all(line)

    async with running(await connect(await start_peer(script))) as connection:
        for n in (1, 2):
            answer = await connection.request("account.status", {"n": n})
            assert json.loads(answer.body)["result"]["n"] == n

    assert unexpected == {Unexpected.UNKNOWN: 1}


@pytest.mark.parametrize(
    "event", ['{"e":"serverShutdown","E":1}', '{"subscriptionId":0,"event":{"e":"serverShutdown"}}']
)
async def test_an_announced_shutdown_asks_for_another_socket_and_serves_until_then(
    event: str, start_peer: StartPeer, connect: Connect
) -> None:
    async def script(line: Line) -> None:
        await line.say(event)
        await serve_all(line)

    async with running(await connect(await start_peer(script))) as connection:
        await connection.worn.wait()

        assert connection.is_open
        assert (await connection.request("account.status", {})).envelope is not None


async def test_a_request_after_the_end_is_not_sent(start_peer: StartPeer, connect: Connect) -> None:
    connection = await connect(await start_peer(serve_all))
    async with running(connection):
        await connection.close()
        with pytest.raises(NotConnectedError, match="closed by this side"):
            await connection.request("account.status", {})

    assert connection.pending == 0


async def test_an_end_that_the_reader_has_not_seen_is_noticed_when_sending(
    start_peer: StartPeer, connect: Connect
) -> None:
    connection = await connect(await start_peer(hold))
    connection._ws._writer.transport.close()

    with pytest.raises(NotConnectedError):
        await connection.request("account.status", {})

    assert not connection.is_open
    await connection.close()


async def test_closing_fails_what_is_pending_and_may_be_done_twice_at_once(
    start_peer: StartPeer, connect: Connect
) -> None:
    async with running(await connect(await start_peer(serve_all))) as connection:
        request = asyncio.gather(connection.request("account.status", {"n": 1}), return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.gather(connection.close(), connection.close())
        (outcome,) = await request

    assert isinstance(outcome, ConnectionLostError)


async def test_a_cancelled_reader_fails_what_is_pending_and_closes(start_peer: StartPeer, connect: Connect) -> None:
    connection = await connect(await start_peer(serve_all))
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(connection.run())
        request = asyncio.gather(connection.request("account.status", {}), return_exceptions=True)
        await asyncio.sleep(0)
        reader.cancel()
        (outcome,) = await request

    assert isinstance(outcome, ConnectionLostError)
    assert connection._ws.closed


async def test_a_close_that_is_cancelled_releases_the_socket_all_the_same(
    start_peer: StartPeer, connect: Connect
) -> None:
    connection = await connect(await start_peer(serve_all))
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(connection.run())
        await asyncio.sleep(0)
        closing = tasks.create_task(connection.close())
        await asyncio.sleep(0)
        reader.cancel()
        closing.cancel()

    assert connection._ws.closed
    assert connection._ws._response.connection is None


async def test_a_second_close_waits_for_the_first(start_peer: StartPeer, connect: Connect) -> None:
    async with running(await connect(await start_peer(hold))) as connection, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(connection.close())
        await asyncio.sleep(0)
        await connection.close()

        assert first.done()
        assert connection._ws.closed


async def test_closing_ends_although_the_peer_reads_nothing_and_the_pipe_is_full(
    session: aiohttp.ClientSession, unexpected: Counter[Unexpected]
) -> None:
    async with deaf_peer() as peer, running(await Connection.open(session, peer.url, unexpected)) as connection:
        with pytest.raises(TimeoutError):
            await _within(0.1, connection, padding="x" * 30_000_000)
        async with asyncio.timeout(120):
            await connection.close()
            await until(lambda: connection._socket.fileno() == -1)


async def test_closing_ends_although_the_peer_goes_on_talking(start_peer: StartPeer, connect: Connect) -> None:
    async def script(line: Line) -> None:
        while True:
            await line.say("{}")
            await asyncio.sleep(0.05)

    connection = await connect(await start_peer(script))
    async with running(connection), asyncio.timeout(120):
        await connection.close()


async def test_a_socket_that_ends_in_the_middle_of_sending_has_lost_the_request(
    session: aiohttp.ClientSession, unexpected: Counter[Unexpected]
) -> None:
    async with deaf_peer() as peer, running(await Connection.open(session, peer.url, unexpected)) as connection:
        request = asyncio.gather(
            connection.request("account.status", {"padding": "x" * 30_000_000}), return_exceptions=True
        )
        await until(lambda: connection.pending == 1)
        peer.reset()
        (outcome,) = await request

    assert isinstance(outcome, ConnectionLostError)
    assert "while sending" in str(outcome)


async def test_draining_waits_for_the_pending_requests_then_closes(start_peer: StartPeer, connect: Connect) -> None:
    draining = asyncio.Event()

    async def script(line: Line) -> None:
        asked = await line.asked()
        await draining.wait()
        await line.answer(asked)
        await line.asked()

    async with running(await connect(await start_peer(script))) as connection, asyncio.TaskGroup() as tasks:
        request = tasks.create_task(connection.request("account.status", {"n": 5}))
        await until(lambda: connection.pending == 1)
        asyncio.get_running_loop().call_later(0.01, draining.set)
        await connection.drain(10)

        assert json.loads((await request).body)["result"]["n"] == 5
        assert connection.end_reason == "replaced by another connection"


async def test_draining_ends_when_a_request_stays_unanswered(start_peer: StartPeer, connect: Connect) -> None:
    async with running(await connect(await start_peer(hold))) as connection:
        request = asyncio.gather(connection.request("account.status", {}), return_exceptions=True)
        await asyncio.sleep(0)
        await connection.drain(0.01)
        (outcome,) = await request

    assert isinstance(outcome, ConnectionLostError)


async def test_a_silence_lasts_from_the_first_unanswered_request_until_a_frame_and_not_a_pong(
    start_peer: StartPeer, connect: Connect
) -> None:
    answering = asyncio.Event()

    async def script(line: Line) -> None:
        while not answering.is_set():
            await line.asked()
            await line.ws.pong()
        await serve_all(line)

    loop = asyncio.get_running_loop()
    async with running(await connect(await start_peer(script))) as connection:
        assert connection.silence == 0
        began = loop.time()
        first = asyncio.gather(*(_within(0.03, connection) for _ in range(4)), return_exceptions=True)
        await until(lambda: connection.pending > 0)
        sent = loop.time()
        await first
        for _ in range(2):
            await asyncio.gather(*(_within(0.03, connection) for _ in range(4)), return_exceptions=True)
        shortest = loop.time() - sent
        assert 0.06 <= shortest <= connection.silence <= loop.time() - began
        answering.set()
        await asyncio.gather(_within(0.01, connection), return_exceptions=True)
        await connection.request("account.status", {})
        assert connection.silence == 0


async def _within(seconds: float, connection: Connection, **params: str | int) -> None:
    async with asyncio.timeout(seconds):
        await connection.request("account.status", params)
