"""How each fault happens, as a script for the simulated exchange."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from poller.observation import Market
from poller.simulator import SimulatedExchange
from poller.simulator.faults import Freeze, Rewritten

NUMBER = "1234567890.12345678"
"""What every `walletBalance` becomes when it is a number: it has more digits than a float keeps."""

_CLOCK_SECONDS = -5.0
_POLICY_VIOLATION = 1008
_GOING_AWAY = 1001


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long things last; all in seconds.

    Attributes:
        away: For how long nobody listens.
        ban: For how long the IP is banned.
        odd: For how long replies have another form.
        notice: Between the announced end of a socket and its end.
        patience: After the end of a fault, for a client to recover.
        starting: For a client to become steady before it.
        reaction: After the first refusal of a ban, for a client to send nothing more.
    """

    away: float = 20
    ban: float = 30
    odd: float = 5
    notice: float = 8
    patience: float = 60
    starting: float = 60
    reaction: float = 0.5


@dataclass(slots=True, kw_only=True)
class Scene:
    """Where a fault happens.

    Attributes:
        begun: When it began; the host's seconds since the epoch.
    """

    exchange: SimulatedExchange
    markets: tuple[Market, ...]
    terms: Terms
    begun: float = field(default=float("inf"), init=False)

    def begin(self) -> None:
        """From now on it happens."""
        self.begun = time.time()


async def server_closes(scene: Scene) -> None:
    """Close every WebSocket."""
    scene.begin()
    await scene.exchange.hang_up(code=_POLICY_VIOLATION)


async def never_answers(scene: Scene) -> None:
    """Freeze the socket of each market with its next request."""
    scene.begin()
    for market in scene.markets:
        scene.exchange.faults.next(market, Freeze())


async def away(scene: Scene) -> None:
    """Listen no more for a while."""
    port = scene.exchange.port
    scene.begin()
    await scene.exchange.stop()
    await asyncio.sleep(scene.terms.away)
    await scene.exchange.start(port=port)


async def clock(scene: Scene) -> None:
    """Step the exchange's clock."""
    scene.begin()
    scene.exchange.clock_offset = _CLOCK_SECONDS


async def ban(scene: Scene) -> None:
    """Ban the IP for a while."""
    scene.begin()
    scene.exchange.ban(scene.terms.ban)
    await asyncio.sleep(scene.terms.ban)


async def unknown_field(scene: Scene) -> None:
    """Add a field to every object for a while."""
    await _rewritten(scene, lambda body: json.dumps(_grown(json.loads(body)), separators=(",", ":")).encode())


async def number(scene: Scene) -> None:
    """Write every wallet balance as a number for a while."""
    await _rewritten(scene, lambda body: re.sub(rb'("walletBalance":)"[^"]*"', rb"\g<1>" + NUMBER.encode(), body))


async def _rewritten(scene: Scene, rewrite: Callable[[bytes], bytes]) -> None:
    scene.begin()
    scene.exchange.faults.next(None, Rewritten(rewrite), times=None)
    await asyncio.sleep(scene.terms.odd)
    scene.exchange.faults.clear()


async def truncated(scene: Scene) -> None:
    """Cut each market's next reply in half."""
    scene.begin()
    for market in scene.markets:
        scene.exchange.faults.next(market, Rewritten(lambda body: body[: len(body) // 2]))


async def rotation(scene: Scene) -> None:
    """Announce the end of every WebSocket, and end it later."""
    old = scene.exchange.connections
    scene.begin()
    for connection in old:
        await connection.announce_shutdown()
    await asyncio.sleep(scene.terms.notice)
    for connection in old:
        if connection.is_open:
            await connection.hang_up(_GOING_AWAY)


def _grown(value: object) -> object:
    if isinstance(value, dict):
        return {**{name: _grown(item) for name, item in value.items()}, "addedLater": "1"}
    if isinstance(value, list):
        return [_grown(item) for item in value]
    return value
