"""Which request a frame reaches, for any order of asking, answering, repeating and giving up."""

import asyncio
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poller.errors import ConnectionLostError, OversizedFrameError
from poller.exchange.frames import Unexpected
from poller.exchange.pending import PendingRequests, Reply

REQUESTS = 8

Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "answer", "answer", "break", "give up", "turn"]), st.integers(0, REQUESTS - 1)),
    max_size=60,
)


class Model:
    """Asks and answers as it is told, and knows what must have come of it."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.unexpected: Counter[Unexpected] = Counter()
        self.requests = PendingRequests(self.unexpected)
        self.ids: dict[int, str] = {}
        self.waiting: dict[int, asyncio.Task[Reply | ConnectionLostError]] = {}
        self.frames = 0
        self._tasks = tasks

    async def step(self, action: str, n: int) -> None:
        if action == "ask" and n not in self.ids:
            self.waiting[n] = self._tasks.create_task(self._wait(n))
            await asyncio.sleep(0)
        elif action in {"answer", "break"} and n in self.ids:
            self.frames += 1
            end = "}" if action == "answer" else ""
            self.requests.receive(f'{{"id":"{self.ids[n]}","status":200,"result":{n}{end}'.encode())
        elif action == "give up" and n in self.waiting:
            self.waiting[n].cancel()
        elif action == "turn":
            await asyncio.sleep(0)

    async def _wait(self, n: int) -> Reply | ConnectionLostError:
        with self.requests.expect() as pending:
            self.ids[n] = pending.id
            return await pending.outcome


@settings(max_examples=1000, deadline=None)
@given(STEPS)
async def test_a_frame_reaches_the_request_that_it_answers_or_none(steps: list[Step]) -> None:
    async with asyncio.TaskGroup() as tasks:
        model = Model(tasks)
        for action, n in steps:
            await model.step(action, n)
        for _ in range(2):
            await asyncio.sleep(0)
        model.requests.fail("the end")
    delivered = 0
    for n, task in model.waiting.items():
        outcome = None if task.cancelled() else task.result()
        if isinstance(outcome, Reply):
            delivered += 1
            assert outcome.body.startswith(f'{{"id":"{model.ids[n]}"'.encode())
            assert (outcome.envelope is None) == (not outcome.body.endswith(b"}"))

    assert delivered + model.unexpected.total() == model.frames
    assert len(model.requests) == 0


async def test_a_reply_that_comes_in_the_turn_of_its_deadline_is_late() -> None:
    unexpected: Counter[Unexpected] = Counter()
    requests = PendingRequests(unexpected)
    ids: list[str] = []

    async def wait() -> None:
        with requests.expect() as pending:
            ids.append(pending.id)
            await pending.outcome

    for answer_first in (True, False):
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(wait())
            await asyncio.sleep(0)
            if not answer_first:
                task.cancel()
            requests.receive(json.dumps({"id": ids[-1]}).encode())
            task.cancel()

    assert unexpected == {Unexpected.LATE: 2}
    assert len(requests) == 0


@pytest.mark.parametrize(
    ("waiting", "given_up", "error"),
    [(1, 0, OversizedFrameError), (2, 0, ConnectionLostError), (1, 1, ConnectionLostError)],
)
async def test_an_oversized_frame_is_blamed_only_on_the_one_that_it_must_belong_to(
    waiting: int, given_up: int, error: type[ConnectionLostError]
) -> None:
    requests = PendingRequests(Counter())

    async def wait() -> Reply | ConnectionLostError:
        with requests.expect() as pending:
            return await pending.outcome

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wait()) for _ in range(waiting + given_up)]
        await asyncio.sleep(0)
        for task in tasks[waiting:]:
            task.cancel()
        await asyncio.sleep(0)
        requests.fail("above the limit", oversized=True)

    assert [type(task.result()) for task in tasks[:waiting]] == [error] * waiting
