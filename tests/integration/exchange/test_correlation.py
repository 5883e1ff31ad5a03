"""Replies in any order, late, twice and unasked, over a real socket: none may reach another request."""

import asyncio
import json
import random
from collections import Counter

from poller.exchange.connection import Connection
from poller.exchange.frames import Unexpected
from tests.integration.exchange.conftest import Connect, StartPeer
from tests.integration.exchange.wire_peer import Line, running

CONCURRENT = 100
ROUNDS = 60
SEED = 20261121


async def test_replies_to_a_hundred_requests_at_once_in_random_order_are_never_misfiled(
    start_peer: StartPeer, connect: Connect, unexpected: Counter[Unexpected]
) -> None:
    seeded = random.Random(SEED)  # noqa: S311 - an order that can be repeated
    said: Counter[str] = Counter()

    async def script(line: Line) -> None:
        withheld: list[dict[str, object]] = []
        for _ in range(ROUNDS):
            asked = [await line.asked() for _ in range(CONCURRENT)]
            on_time = [question for question in asked if question["params"]["patient"]]  # type: ignore[index]  # JSON
            frames = [*on_time, *seeded.sample(on_time, 5), *withheld]
            said.update(duplicate=5, late=len(withheld))
            seeded.shuffle(frames)
            for question in frames:
                await line.answer(question)
                if seeded.random() < 0.05:
                    await line.say('{"id":"nobody","status":200,"result":{"n":-1}}')
                    said["stray"] += 1
            withheld = [question for question in asked if question not in on_time]
        last = await line.asked()
        for question in withheld:
            await line.answer(question)
        said["late"] += len(withheld)
        await line.answer(last)
        await line.asked()

    async with running(await connect(await start_peer(script))) as connection:
        for number in range(ROUNDS):
            numbers = range(number * CONCURRENT, (number + 1) * CONCURRENT)
            answers = await asyncio.gather(*(_ask(connection, n, patient=n % 10 != 0) for n in numbers))
            assert answers == [n if n % 10 else None for n in numbers]
        assert await _ask(connection, -2, patient=True) == -2

    assert unexpected[Unexpected.LATE] == said["late"] == ROUNDS * CONCURRENT // 10
    assert unexpected[Unexpected.UNKNOWN] == said["duplicate"] + said["stray"]


async def _ask(connection: Connection, n: int, *, patient: bool) -> int | None:
    try:
        async with asyncio.timeout(60 if patient else 0.001):
            answer = await connection.request("account.status", {"n": n, "patient": int(patient)})
    except TimeoutError:
        return None
    answered: int = json.loads(answer.body)["result"]["n"]
    return answered
