import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from poller.exchange.connection import Connection, Limits
from poller.exchange.frames import Unexpected
from tests.integration.exchange.wire_peer import Peer, Script, open_descriptors

StartPeer = Callable[[Script], Awaitable[Peer]]
Connect = Callable[[Peer], Awaitable[Connection]]


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    tasks, descriptors = asyncio.all_tasks(), open_descriptors()
    yield
    for _ in range(100):  # transports close some turns after the one that was told to
        if asyncio.all_tasks() <= tasks | {asyncio.current_task()} and open_descriptors() <= descriptors:
            break
        await asyncio.sleep(0)
    assert asyncio.all_tasks() <= tasks | {asyncio.current_task()}
    assert open_descriptors() <= descriptors


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def start_peer() -> AsyncIterator[StartPeer]:
    peers: list[Peer] = []

    async def start(script: Script) -> Peer:
        peer = Peer(script)
        peers.append(peer)
        await peer.start()
        return peer

    yield start
    for peer in peers:
        await peer.stop()


@pytest.fixture
def unexpected() -> Counter[Unexpected]:
    return Counter()


@pytest.fixture
def connect(session: aiohttp.ClientSession, unexpected: Counter[Unexpected]) -> Connect:
    async def connect(peer: Peer) -> Connection:
        return await Connection.open(session, peer.url, unexpected, limits=Limits(heartbeat_seconds=30))

    return connect
