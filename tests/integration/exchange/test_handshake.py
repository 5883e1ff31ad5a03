import asyncio
import errno
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from poller.exchange.connection import Connection, HandshakeError, Limits
from tests.integration.exchange.conftest import StartPeer
from tests.integration.exchange.wire_peer import serve_all
from tests.support.tls import tls_contexts

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _failure(session: aiohttp.ClientSession, url: str, *, connect_seconds: float = 10.0) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        await Connection.open(session, url, Counter(), limits=Limits(connect_seconds=connect_seconds))
    assert "127.0.0.1" not in str(caught.value)
    assert "://" not in str(caught.value)
    assert caught.value.__cause__ is not None
    return caught.value


@asynccontextmanager
async def _server(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("status", "headers", "retry_after"),
    [
        (403, {}, None),
        (418, {"Retry-After": "120"}, 120),
        (429, {"Retry-After": "17"}, 17),
        (429, {}, None),
        (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        (451, {}, None),
        (503, {}, None),
        (200, {}, None),
    ],
)
async def test_an_answer_other_than_the_upgrade_tells_its_status_and_how_long_to_stay_away(
    status: int,
    headers: dict[str, str],
    retry_after: int | None,
    start_peer: StartPeer,
    session: aiohttp.ClientSession,
) -> None:
    page = "<html><body>Request could not be satisfied</body></html>"
    peer = await start_peer(serve_all)
    peer.refusal = lambda: web.Response(status=status, headers=headers, text=page, content_type="text/html")

    failure = await _failure(session, peer.url)

    assert failure.status == status
    assert failure.retry_after_seconds == retry_after
    assert str(failure) == f"the exchange answered the handshake with HTTP {status}"


async def test_a_refused_connection_tells_so(start_peer: StartPeer, session: aiohttp.ClientSession) -> None:
    peer = await start_peer(serve_all)
    await peer.stop()

    failure = await _failure(session, peer.url)

    assert str(failure) == f"the exchange could not be reached: {errno.errorcode[errno.ECONNREFUSED]}"
    assert failure.status is None


async def test_a_name_that_cannot_be_resolved_tells_so() -> None:
    class Nowhere(AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
            raise OSError(None, f"no address for {host}:{port}, family {family}")

        async def close(self) -> None:
            pass

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Nowhere())) as session:
        failure = await _failure(session, "ws://exchange.invalid/ws-fapi/v1")

    assert str(failure) == "the name of the exchange could not be resolved"


async def test_a_server_that_says_nothing_is_given_up(session: aiohttp.ClientSession) -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with _server(silent) as port:
        failure = await _failure(session, f"ws://127.0.0.1:{port}/", connect_seconds=0.05)

    assert str(failure) == "the exchange did not answer in time"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"", "the exchange hung up before it answered"),
        (b"\x16\x03\x01 what?\r\n\r\n", "an unexpected ClientResponseError"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "the exchange answered the handshake with HTTP 101"),
    ],
)
async def test_a_server_that_speaks_another_protocol_is_refused(
    words: bytes, reason: str, session: aiohttp.ClientSession
) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(words)
        await writer.drain()

    async with _server(babble) as port:
        assert str(await _failure(session, f"ws://127.0.0.1:{port}/")) == reason


async def test_a_certificate_that_is_not_trusted_is_refused(
    session: aiohttp.ClientSession, server_context: ssl.SSLContext
) -> None:
    async def hear(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with _server(hear, server_context) as port:
        failure = await _failure(session, f"wss://127.0.0.1:{port}/")

    assert str(failure) == "the certificate of the exchange is not trusted"


async def test_a_peer_without_tls_tells_so(session: aiohttp.ClientSession) -> None:
    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with _server(plain) as port:
        failure = await _failure(session, f"wss://127.0.0.1:{port}/")

    assert str(failure) == "TLS failed"


@pytest.fixture
def server_context(tmp_path: Path) -> ssl.SSLContext:
    server, _ = tls_contexts(tmp_path)
    return server
