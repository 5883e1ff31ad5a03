import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from itertools import pairwise

import pytest

from poller.exchange.budget import Budget, Spent
from poller.exchange.messages import RateLimit
from poller.exchange.weight import Weight
from tests.support.budget_simulation import SHARE, simulate
from tests.support.noisy_neighbour import LIMIT
from tests.support.virtual_time import VirtualTimeLoop

NOON_MS = 1_763_726_400_000
LATER = 1e9


class Clock:
    """The exchange's time as this side has it, `off_ms` wrong; it begins at noon with the loop."""

    def __init__(self) -> None:
        self.off_ms = 0

    def now_ms(self) -> int:
        return NOON_MS + self.off_ms + int(asyncio.get_running_loop().time() * 1000 + 0.001)


def in_virtual_time(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test())

    return run


def new(*, share: float = 0.5, limit: int = 100, clock: Clock | None = None, measured: bool = True) -> Budget:
    loop = asyncio.get_running_loop()
    now_ms = (clock or Clock()).now_ms
    return Budget(Weight(now_ms, limit=limit, steady=loop.time, measured=lambda: measured), share=share)


def told(count: int, limit: int = 100) -> tuple[RateLimit]:
    return (RateLimit("REQUEST_WEIGHT", "MINUTE", 1, limit, count),)


async def until(second: float) -> None:
    await asyncio.sleep(second - asyncio.get_running_loop().time())


async def spend(budget: Budget, weight: int, *, count: int | None = None) -> None:
    spent = await budget.admit(weight, deadline=0)
    assert spent is not None
    with spent:
        spent.send()
        spent.answer(told(count) if count is not None else ())


async def served_at(asking: Awaitable[Spent | None]) -> float:
    spent = await asking
    assert spent is not None
    with spent:
        spent.send()
        spent.answer(())
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_our_share_is_never_exceeded_and_opens_anew_when_the_minute_has_surely_turned() -> None:
    budget = new()
    await until(10)
    for _ in range(5):
        await spend(budget, 10)

    assert await budget.admit(1, deadline=59) is None
    assert budget.reason == "the weight budget of this minute is used up (own 50 of 50, IP 50 of 100)"
    assert await served_at(budget.admit(50, deadline=LATER)) == pytest.approx(60.2, abs=0.01)


@in_virtual_time
async def test_weight_that_was_never_sent_is_given_back_and_the_next_in_line_gets_it() -> None:
    budget = new()
    await until(10)
    first = await budget.admit(50, deadline=LATER)
    assert first is not None
    waiting = asyncio.create_task(budget.admit(50, deadline=LATER))
    await until(12)
    assert (budget.waiting, budget.weight.used) == (1, 0)

    first.end()
    first.end()
    second = await waiting
    assert second is not None
    second.send()
    second.end()

    assert asyncio.get_running_loop().time() == 12
    assert (budget.waiting, budget.weight.used) == (0, 50)


@in_virtual_time
async def test_the_least_recently_served_come_first_and_then_who_asked_first() -> None:
    budget = new()
    await until(10)
    await spend(budget, 50)
    order: list[str] = []

    async def ask(name: str, last: float) -> None:
        await served_at(budget.admit(30, deadline=LATER, last=last))
        order.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name, last in [("late", 9.0), ("early", 3.0), ("early too", 3.0), ("never", float("-inf"))]:
            tasks.create_task(ask(name, last))

    assert order == ["never", "early", "early too", "late"]
    assert asyncio.get_running_loop().time() > 180  # one fits into each minute


@in_virtual_time
async def test_those_who_ask_at_one_moment_line_up_before_the_first_is_served() -> None:
    budget = new()
    await until(10)
    recent, starved = await asyncio.gather(budget.admit(50, deadline=20, last=9), budget.admit(50, deadline=20, last=1))

    assert recent is None
    assert starved is not None


@in_virtual_time
async def test_a_heavy_request_at_the_head_is_not_overtaken_by_light_ones_but_does_not_block_them_after_it_left() -> (
    None
):
    budget = new()
    await until(10)
    await spend(budget, 30)
    heavy = asyncio.create_task(budget.admit(40, deadline=15))
    light = asyncio.create_task(served_at(budget.admit(5, deadline=LATER)))

    assert await heavy is None
    assert await light == 15


@in_virtual_time
async def test_who_is_cancelled_leaves_the_line_and_loses_nothing() -> None:
    budget = new()
    await until(10)
    held = await budget.admit(50, deadline=LATER)
    assert held is not None
    waiting = asyncio.create_task(budget.admit(50, deadline=LATER))
    granted = asyncio.create_task(budget.admit(50, deadline=LATER))
    await until(11)
    waiting.cancel()
    await until(12)
    assert budget.waiting == 1

    held.end()
    await asyncio.sleep(0)  # the look that grants it has run, its task has not
    granted.cancel()
    await asyncio.wait([granted])

    assert granted.cancelled()
    assert budget.weight.own == 0
    assert await budget.admit(50, deadline=0) is not None


@in_virtual_time
async def test_more_than_the_whole_share_is_admitted_when_nothing_else_is() -> None:
    budget = new()
    await until(10)
    await spend(budget, 5)

    assert await budget.admit(70, deadline=59) is None
    assert await served_at(budget.admit(70, deadline=LATER)) == pytest.approx(60.2, abs=0.01)


@in_virtual_time
async def test_a_request_without_an_answer_at_the_turn_counts_in_both_minutes() -> None:
    budget = new()
    await until(59.9)
    slow = await budget.admit(50, deadline=LATER)
    assert slow is not None
    slow.send()
    await until(61)
    assert await budget.admit(5, deadline=61) is None

    slow.answer(told(50))
    assert await served_at(budget.admit(5, deadline=LATER)) == pytest.approx(120.2, abs=0.01)


@in_virtual_time
async def test_what_is_set_aside_in_one_minute_and_sent_in_the_next_counts_there() -> None:
    budget = new()
    await until(59)
    spent = await budget.admit(50, deadline=LATER)
    assert spent is not None
    await until(70)
    assert await budget.admit(5, deadline=70) is None
    spent.send()
    spent.answer(told(50))

    assert budget.weight.used == 50
    assert await budget.admit(5, deadline=119) is None


@in_virtual_time
async def test_what_others_use_counts_and_some_room_is_left_to_them() -> None:
    budget = new()
    await until(10)
    await spend(budget, 5, count=85)
    await spend(budget, 5, count=90)

    assert (budget.weight.used, budget.weight.others) == (90, 80)
    await spend(budget, 5, count=95)
    assert await budget.admit(1, deadline=59) is None
    assert budget.reason == "the weight budget of this minute is used up (own 15 of 50, IP 95 of 100)"


@in_virtual_time
async def test_no_room_is_left_to_others_where_none_are_seen() -> None:
    budget = new(share=1.0)
    await until(10)
    for count in range(20, 101, 20):
        await spend(budget, 20, count=count)

    assert budget.weight.used == 100


@in_virtual_time
async def test_a_lower_limit_holds_from_the_moment_it_is_told_and_an_absurd_one_never() -> None:
    budget = new()
    await until(10)
    for limit in (0, -1):
        spent = await budget.admit(10, deadline=0)
        assert spent is not None
        with spent:
            spent.send()
            spent.answer(told(10, limit))
    assert budget.weight.limit == 100

    spent = await budget.admit(10, deadline=0)
    assert spent is not None
    with spent:
        spent.send()
        spent.answer(told(30, 50))
    assert budget.weight.limit == 50
    assert await budget.admit(1, deadline=11) is None


@in_virtual_time
async def test_after_silence_one_goes_ahead_where_others_have_been_seen() -> None:
    budget = new()
    await until(10)
    await spend(budget, 5, count=20)
    await until(20)
    asking = [asyncio.create_task(budget.admit(5, deadline=25)) for _ in range(4)]
    await until(20.1)
    assert [task.done() for task in asking] == [True, False, False, False]

    first = await asking[0]
    assert first is not None
    first.send()
    first.told(100)  # the pool is full by now: the others are not sent to be refused
    assert [await task for task in asking[1:]] == [None] * 3


@in_virtual_time
async def test_a_clock_that_is_corrected_gives_no_second_budget() -> None:
    for hours, seconds in [(0, 3), (0, -3), (1, 20), (-1, -20), (0, 45)]:
        clock = Clock()
        budget = new(clock=clock)
        begin = asyncio.get_running_loop().time() // 60 * 60 + 60
        await until(begin + 30)
        for _ in range(5):
            await spend(budget, 10)
        clock.off_ms = hours * 3_600_000 + seconds * 1000

        turn = begin + 30 + 60 - (30 + seconds) % 60
        assert await served_at(budget.admit(10, deadline=LATER)) == pytest.approx(turn + 0.2, abs=0.01)


@in_virtual_time
async def test_a_correction_of_the_clock_is_noticed_by_who_waits() -> None:
    clock = Clock()
    budget = new(clock=clock)
    await until(10)
    await spend(budget, 50)
    waiting = asyncio.create_task(served_at(budget.admit(5, deadline=LATER)))
    await until(20)
    clock.off_ms = 3_600_000 + 38_000

    assert 22 < await waiting < 24


@in_virtual_time
async def test_while_the_clock_was_never_measured_any_sixty_seconds_count_as_a_minute() -> None:
    budget = new(measured=False)
    times = [await served_at(budget.admit(50, deadline=LATER)) for _ in range(4)]

    assert all(60 < after - before < 62 for before, after in pairwise(times))


@in_virtual_time
async def test_weight_that_has_ended_is_not_sent() -> None:
    budget = new()
    spent = await budget.admit(5, deadline=0)
    assert spent is not None
    spent.end()

    with pytest.raises(RuntimeError, match="ended"):
        spent.send()


def test_the_share_holds_in_ten_thousand_minutes_with_a_noisy_neighbour() -> None:
    simulation = simulate(seed=1, minutes=10_000, accounts=4)
    pool, counts = simulation.pool, simulation.counts()

    assert pool.worst_own <= SHARE * LIMIT
    assert pool.worst_own > 0.95 * SHARE * LIMIT  # it was wanted and used
    assert pool.filled > 3000
    assert pool.refused < pool.filled
    assert counts["sent"] > 120_000
    assert counts["paused"] > 10_000
    assert simulation.starvation() <= 2
