"""How each library is asked for the account, as its own documentation says.

These modules run in the peers' environment, which has no `poller`: they know the libraries and nothing of us.
"""

import importlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

Account = tuple[object, str | None]
"""The wallet balance of the first asset as the library gives it, or the error that its return value is instead."""

Ask = Callable[[], Awaitable[Account]]
"""Asks once for the account; raises what the library raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the simulated exchange is, and the key that it issued."""

    market: str
    ws_url: str
    rest_url: str
    api_key: str
    api_secret: str


Open = Callable[[Place], AbstractAsyncContextManager[Ask]]


def find(module: str) -> Open:
    """Return how the client of a library is opened; only that library is imported."""
    opener: Open = importlib.import_module(f"{__name__}.{module}").open_client
    return opener
