"""How each library is given rows, as its own documentation says.

These modules run in the peers' environment, which has no `poller`: they know the libraries and nothing of us.
"""

import importlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

Write = Callable[[int], Awaitable[None]]
"""Hands one row over, known by its number."""

Tell = Callable[[str], None]
"""Notes an error that the library told its caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the database is, and a directory that outlives the process."""

    host: str
    port: int
    user: str
    password: str
    database: str
    folder: str

    @property
    def url(self) -> str:
        """The address of the database."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"


Open = Callable[[Place, Tell], AbstractAsyncContextManager[Write]]
"""Leaving the context ends the writer in good order: it has written what it could."""


def find(module: str) -> Open:
    """Return how the writer of a library is opened; only that library is imported."""
    opener: Open = importlib.import_module(f"{__name__}.{module}").open_writer
    return opener
