"""Replies in every order, at length."""

import random
from collections.abc import AsyncIterator

from tests.support.interleavings import Socket
from tests.torture.terms import Figure, Terms

NAME = "late, doubled, swapped and unasked replies in a million random orders"


async def torture(chance: random.Random, terms: Terms) -> AsyncIterator[Figure]:
    """Raise when a reply reaches another account or another tick than its own, or a frame is not accounted for."""
    ticks = 20_000 if terms.short else 1_000_000
    socket = Socket(chance)
    socket.run(ticks)
    yield Figure(name="interleavings", value=ticks)
    yield Figure(name="frames", value=socket.frames)
    yield Figure(name="replies delivered", value=socket.delivered)
    yield Figure(name="frames that nobody accounts for", value=len(socket.requests), bound="<= 0")
