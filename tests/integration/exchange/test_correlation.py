"""Replies in any order, late, twice and unasked, over a real socket: none may reach another request."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass

import aiohttp

from poller.exchange.connection import Connection, Limits
from poller.exchange.frames import Unexpected
from poller.exchange.signing import Credentials, hmac_signer, signed_params
from poller.observation import Market
from poller.simulator import SimulatedExchange
from poller.simulator.envelope import Answer
from poller.simulator.faults import Delay, Drop, Duplicate, Extra, Late, Outcome
from tests.integration.exchange.conftest import Connect, StartPeer
from tests.integration.exchange.wire_peer import Line, running
from tests.support.exchange import SteppedClock
from tests.support.secrecy import confide
from tests.support.virtual_time import run_in_virtual_time

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
        async with asyncio.timeout(120 if patient else 0.001):
            answer = await connection.request("account.status", {"n": n, "patient": int(patient)})
    except TimeoutError:
        return None
    answered: int = json.loads(answer.body)["result"]["n"]
    return answered


LABELS = ("main", "hedge", "arbitrage")
TICKS = 150
DEADLINE = 8.0

STRAYS = {
    b'{"id":"nobody","status":200,"result":{}}': Unexpected.UNKNOWN,
    b'{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}': Unexpected.NULL_ID,
    b'{"event":{"e":"accountUpdate"}}': Unexpected.EVENT,
    b'{"239999":"The system is under maintenance"}': Unexpected.FOREIGN,
}


@dataclass(slots=True)
class Counted:
    """Let everything pass, and count the frames."""

    frames: int = 0

    def apply(self, outcome: Outcome, _answer: Answer | None, /) -> Outcome:
        self.frames += len(outcome.frames)
        return outcome


def test_every_account_is_given_its_own_reply_of_this_tick_or_none_by_an_exchange_that_answers_as_it_likes() -> None:
    async def main() -> None:
        said, clock = Counted(), SteppedClock(1_763_726_400)
        async with SimulatedExchange(seed=SEED, clock=clock) as exchange, aiohttp.ClientSession() as session:
            credentials = {label: _credentials(exchange, label) for label in LABELS}
            for fault in (Late(), Drop(), Duplicate(), Delay(0.5), Delay(9.0)):
                exchange.faults.next(None, fault, said, times=None, share=0.1)
            for frame in STRAYS:
                exchange.faults.next(None, Extra(frame), said, times=None, share=0.02)
            exchange.faults.next(None, said, times=None)
            unexpected: Counter[Unexpected] = Counter()
            outcomes: Counter[bool] = Counter()
            connection = await Connection.open(
                session, exchange.ws_url(Market.USDM), unexpected, limits=Limits(heartbeat_seconds=60)
            )
            async with running(connection):
                for _ in range(TICKS):
                    clock.now += 10
                    answers = await asyncio.gather(*(_poll(connection, credentials[label], clock) for label in LABELS))
                    for label, answer in zip(LABELS, answers, strict=True):
                        outcomes[answer is not None] += 1
                        assert answer in (None, exchange.result(label, Market.USDM))
                exchange.faults.clear()
                exchange.faults.next(None, said, times=None)
                await asyncio.sleep(2)  # in virtual time: what was delayed beyond its deadline comes
                assert await _poll(connection, credentials["main"], clock) is not None
                await asyncio.sleep(2)

            assert outcomes[True] + 1 + unexpected.total() == said.frames
            assert outcomes[False] > TICKS / 5
            assert min(unexpected[kind] for kind in {Unexpected.LATE, *STRAYS.values()}) > 0
            assert unexpected[Unexpected.UNDECODABLE] == 0

    run_in_virtual_time(main())


def _credentials(exchange: SimulatedExchange, label: str) -> Credentials:
    key = exchange.add_account(label)
    assert key.api_secret is not None
    confide(key.api_key, key.api_secret)
    return Credentials(api_key=key.api_key, signer=hmac_signer(key.api_secret))


async def _poll(connection: Connection, credentials: Credentials, clock: SteppedClock) -> object:
    params = signed_params(credentials, timestamp_ms=int(clock.now * 1000), recv_window_ms=5000)
    try:
        async with asyncio.timeout(DEADLINE):
            return json.loads((await connection.request("v2/account.status", params)).body)["result"]
    except TimeoutError:
        return None
