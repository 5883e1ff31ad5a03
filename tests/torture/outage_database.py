"""A database of a torture, and what is counted in it."""

import asyncio
from collections.abc import Callable
from secrets import token_hex
from typing import Final

from psycopg.sql import SQL, Identifier

from poller.storage.schema import upgrade
from tests.support.database import execute

_STEP_SECONDS: Final = 0.05


def new_torture_database(server: str) -> str:
    """Make a database with our schema and return its address."""
    name = f"torture_{token_hex(4)}"
    execute(server, SQL("CREATE DATABASE {}").format(Identifier(name)))
    url = f"{server.rpartition('/')[0]}/{name}"
    upgrade(url, lambda _: None)
    return url


def polls(url: str) -> int:
    return int(number(execute(url, "SELECT count(*) FROM poller.polls")[0][0]))


def number(value: object) -> float:
    return float(str(value))


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(_STEP_SECONDS)
