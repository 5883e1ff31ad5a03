"""A database that is put back to an earlier state under those who use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import LiteralString

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from tests.support.database import close_to_others


class EarlierState:
    """A copy of the database at `url`, made while nobody was connected to it."""

    def __init__(self, server: str, url: str) -> None:
        self._server = server
        self._url = url
        self._name = url.rpartition("/")[2]
        self.copy = f"test_{token_hex(8)}"
        self.lost = f"test_{token_hex(8)}"
        self._run("CREATE DATABASE {} TEMPLATE {}", self.copy, self._name)

    def restore(self) -> None:
        """Put the copy in the place of the database, whoever uses it."""
        close_to_others(self._server, self._url)
        self._run("ALTER DATABASE {} RENAME TO {}", self._name, self.lost)
        self._run("ALTER DATABASE {} RENAME TO {}", self.copy, self._name)

    def forget(self) -> None:
        """Drop what is left over."""
        for name in (self.copy, self.lost):
            self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _run(self, statement: LiteralString, *names: str) -> None:
        command: Composed = SQL(statement).format(*map(Identifier, names))
        with psycopg.connect(self._server, autocommit=True) as administrator:
            administrator.execute(command)


@contextmanager
def earlier_state(server: str, url: str) -> Iterator[EarlierState]:
    """Keep the present state of a database as long as the context lasts."""
    state = EarlierState(server, url)
    try:
        yield state
    finally:
        state.forget()
