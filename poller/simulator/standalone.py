"""The simulated exchange alone, for people who try their own client."""

import asyncio
from collections.abc import Callable, Mapping

from poller.simulator.keys import IssuedKey
from poller.simulator.server import SimulatedExchange

Announce = Callable[[SimulatedExchange, Mapping[str, IssuedKey]], None]


async def serve(host: str, port: int, *, announce: Announce, seed: int = 0, allow_remote: bool = False) -> None:
    """Run three accounts, one for each key type and mode, until cancelled.

    Args:
        host: Where to listen.
        port: 0 takes a free one.
        announce: Is told once, when it listens: the exchange and the key of each account label.
        seed: Of all numbers.
        allow_remote: Whether `host` may be reachable from other machines.

    Raises:
        ConfigError: It would be reachable, but may not.
        OSError: The address cannot be listened on.
    """
    exchange = SimulatedExchange(seed=seed)
    keys = {
        "hmac": exchange.add_account("hmac"),
        "rsa": exchange.add_account("rsa", key_type="rsa", hedge=True),
        "ed25519": exchange.add_account("ed25519", key_type="ed25519", multi_assets=True),
    }
    await exchange.start(host, port, allow_remote=allow_remote)
    try:
        announce(exchange, keys)
        await asyncio.Event().wait()
    finally:
        await exchange.stop()
