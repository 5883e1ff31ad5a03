"""The state machine of `tests.support.model` at length."""

import asyncio
import random
from collections.abc import AsyncIterator

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from psycopg.sql import SQL, Identifier

from poller.storage.schema import upgrade
from tests.support.database import execute, new_database
from tests.support.heard import heard
from tests.support.model.machine import Machine
from tests.torture.terms import Figure, Terms

NAME = "every order of polls, crashes, outages, restores and two writers"


async def torture(chance: random.Random, terms: Terms) -> AsyncIterator[Figure]:
    """Raise what was found, with the steps that lead to it."""
    examples, steps = (15, 25) if terms.short else (400, 50)
    figures: dict[str, int] = {}
    size = settings(max_examples=examples, stateful_step_count=steps)
    with heard():
        await asyncio.to_thread(_run, terms, chance.getrandbits(64), size, figures)
    yield Figure(name="examples", value=figures["examples"], bound=f">= {examples}")
    for name, number in figures.items():
        if name != "examples":
            yield Figure(name=name, value=number)
    yield Figure(name="acknowledged ticks lost, doubled or mixed", value=0, bound="<= 0")


def _run(terms: Terms, number: int, size: settings, told: dict[str, int]) -> None:
    with new_database(terms.server, extension=False) as made:
        upgrade(made, lambda _: None)
        # What this database loses, it loses by a restore: that its commits reach the disk is not in question here.
        execute(made, SQL("ALTER DATABASE {} SET synchronous_commit = off").format(Identifier(made.rpartition("/")[2])))

        @seed(number)
        class Tortured(Machine):
            url = made
            folder = terms.folder
            figures = told

        run_state_machine_as_test(
            Tortured,
            settings=settings(
                size,
                deadline=None,
                database=None,
                print_blob=True,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            ),
        )
