"""One client meets one fault: whether it recovered, after how long, and whether its error named the cause."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import pairwise

from benchmarks.faults.catalogue import FAULTS, Fault
from benchmarks.faults.clients import Client, Outcome
from benchmarks.faults.scripts import NUMBER, Scene, Terms
from poller.observation import Market
from poller.simulator import ConnectionRules, SimulatedExchange

SEED = 1
RULES = ConnectionRules(latency=0.05)

Start = Callable[[SimulatedExchange], AbstractAsyncContextManager[Client]]

_BETWEEN_POLLS_SECONDS = 0.4
_STEADY = 3
_BANNED = 418


class Right(StrEnum):
    """Whether the caller got the right error."""

    YES = "yes"
    NO = "no"
    EXACT = "exact without one"
    INEXACT = "digits lost"
    NOT_NEEDED = "no poll failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What came of one client under one fault.

    Attributes:
        recovered: It reads accounts again, on all its markets.
        blind: The longest time in seconds without a good reply since the fault's begin; None when it did not recover.
        said: The first error, or what was wrong with the balance.
        sent_while_banned: Requests and handshakes once it had time to react to the first refusal; None without a ban.
    """

    client: str
    fault: str
    recovered: bool
    blind: float | None
    right: Right
    said: str
    sent_while_banned: int | None = None


async def run_cells(
    work: Mapping[tuple[str, str], Start],
    terms: Terms,
    *,
    at_once: int,
    tell: Callable[[Cell], None] = lambda _: None,
) -> Sequence[Cell]:
    """Run what is given by (fault, client), some at once, and return the cells in its order; `tell` hears of each."""
    free = asyncio.Semaphore(at_once)

    async def run(fault: str, client: str, start: Start) -> Cell:
        async with free:
            cell = await run_cell(client, start, FAULTS[fault], terms)
        tell(cell)
        return cell

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(run(*key, start)) for key, start in work.items()]
    return [task.result() for task in running]


async def run_cell(name: str, start: Start, fault: Fault, terms: Terms) -> Cell:
    """Run one client against an exchange of its own, let the fault happen and watch until it is steady again."""
    async with SimulatedExchange(seed=SEED, rules=RULES) as exchange, start(exchange) as client:
        try:
            async with asyncio.timeout(terms.starting):
                await client.until(lambda: all(_is_steady(client, market, 0) for market in client.markets))
        except (TimeoutError, EOFError):
            said = next((outcome.error for outcome in client.outcomes if outcome.error), "nothing")
            return Cell(
                client=name, fault=fault.name, recovered=False, blind=None, right=Right.NO,
                said=f"cannot be made to work: {said}",
            )  # fmt: skip
        await asyncio.sleep(_BETWEEN_POLLS_SECONDS)
        scene = Scene(exchange=exchange, markets=client.markets, terms=terms)
        recovered = await _watch(client, scene, fault)
        return await _judged(name, client, scene, fault, recovered=recovered)


async def _watch(client: Client, scene: Scene, fault: Fault) -> bool:
    await fault.happen(scene)
    ended = time.time()
    try:
        async with asyncio.timeout(scene.terms.patience):
            await client.until(lambda: all(_is_steady(client, market, ended) for market in client.markets))
    except (TimeoutError, EOFError):
        return False
    return True


def _is_steady(client: Client, market: Market, since: float) -> bool:
    last = client.after(since, market)[-_STEADY:]
    return len(last) == _STEADY and not any(outcome.error for outcome in last)


async def _judged(name: str, client: Client, scene: Scene, fault: Fault, *, recovered: bool) -> Cell:
    good = {
        market: [outcome for outcome in client.after(scene.begun, market) if outcome.error is None]
        for market in client.markets
    }
    errors = [outcome.error for outcome in client.outcomes if outcome.error and outcome.at > scene.begun]
    said = errors[0] if errors else ""
    if errors:
        right = Right.YES if any(map(fault.says.search, errors)) else Right.NO
    elif not recovered:
        right, said = Right.NO, "the process ended" if client.has_ended else "nothing: the call did not return"
    elif fault.is_exact:
        balances = [await client.balance(outcomes[0]) for outcomes in good.values()]
        is_exact = all(map(_is_exact, balances))
        right, said = (Right.EXACT, "") if is_exact else (Right.INEXACT, f"the balance {balances[0]}")
    else:
        right = Right.NOT_NEEDED
    return Cell(
        client=name,
        fault=fault.name,
        recovered=recovered,
        blind=max(_longest_gap(scene.begun, outcomes) for outcomes in good.values()) if recovered else None,
        right=right,
        said=said,
        sent_while_banned=_sent_while_banned(scene) if fault.name == "ban" else None,
    )


def _longest_gap(begun: float, good: Sequence[Outcome]) -> float:
    return max(later - earlier for earlier, later in pairwise((begun, *(outcome.at for outcome in good))))


def _is_exact(balance: str) -> bool:
    try:
        return Decimal(balance) == Decimal(NUMBER)
    except InvalidOperation:
        return False


def _sent_while_banned(scene: Scene) -> int:
    journal = scene.exchange.journal
    seen = [(request.at_ms, request.status) for request in journal.requests]
    seen += [(handshake.at_ms, handshake.status) for handshake in journal.handshakes]
    first = min((at_ms for at_ms, status in seen if status == _BANNED), default=time.time() * 1000)
    until = (scene.begun + scene.terms.ban) * 1000
    return sum(first + scene.terms.reaction * 1000 < at_ms < until for at_ms, _ in seen)
