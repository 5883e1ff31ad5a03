"""A hundred thousand ticks of several accounts, whose replies come late, twice, swapped, unasked or broken."""

import random

from poller.exchange.frames import Unexpected
from tests.support.interleavings import Socket

TICKS = 100_000
SEED = 20261121


async def test_no_reply_ever_reaches_another_account_or_another_tick_and_every_frame_is_accounted_for() -> None:
    socket = Socket(random.Random(SEED))  # noqa: S311 - an order that can be repeated
    socket.run(TICKS)

    assert socket.delivered > TICKS
    assert min(socket.unexpected[kind] for kind in Unexpected) > TICKS / 100
