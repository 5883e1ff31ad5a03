"""What the daemon tells of itself, where the settings want it told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from poller import __version__
from poller.config import Settings
from poller.errors import StoreUnavailableError
from poller.normalize import Normalized
from poller.observe.health import liveness, readiness
from poller.observe.http import served
from poller.observe.metrics import Metrics
from poller.observe.page import RENEWED_SECONDS, Look, page
from poller.observe.readings import Readings
from poller.storage.overview import Overview, read_overview
from poller.storage.schema import head_revision
from poller.writer import Listener

_FRESH_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 10.0


@asynccontextmanager
async def told_over_http(
    settings: Settings,
    read: Callable[[], Readings],
    *,
    listen: Callable[[Listener], None],
    now: Callable[[], datetime],
    url: Callable[[], str],
) -> AsyncIterator[None]:
    """Tell of the daemon as long as the context lasts.

    Args:
        settings: Where, and in how much detail.
        read: Reads the daemon.
        listen: Makes a listener hear of each stored poll.
        now: Tells the time that the page shows.
        url: Tells the address of the database.
    """
    metrics = Metrics(
        read,
        release=__version__,
        schema_revision=head_revision(),
        account_labels=settings.metrics.account_labels,
    )

    def stored(understood: Normalized) -> None:
        poll = understood.snapshot.poll
        if poll.latency_ms is not None:
            metrics.answered(poll.market.value, poll.latency_ms)

    listen(stored)
    async with served(
        settings.http.address,
        answers_to=settings.http.answers_to,
        registry=metrics.registry,
        health={"/healthz": lambda: liveness(read()), "/readyz": lambda: readiness(read())},
        page=_page(read, now=now, look_up=Overviews(url).newest),
        renewed_seconds=RENEWED_SECONDS,
    ):
        yield


class Overviews:
    """Looks at the database for everybody who asks, once in a while and never twice at a time."""

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url
        self._one_at_a_time = asyncio.Lock()
        self._read_at = float("-inf")
        self._found: tuple[Overview | None, str | None] = (None, None)
        self._reading: asyncio.Future[Overview] | None = None

    async def newest(self) -> tuple[Overview | None, str | None]:
        """Return what was found at most two seconds ago, or why nothing can be."""
        loop = asyncio.get_running_loop()
        async with self._one_at_a_time:
            if loop.time() >= self._read_at + _FRESH_SECONDS:
                self._found = await self._look()
                self._read_at = loop.time()
            return self._found

    async def _look(self) -> tuple[Overview | None, str | None]:
        # A look that was given up goes on in its thread: a slow database would get more of them with every page.
        if self._reading is None:
            self._reading = asyncio.get_running_loop().run_in_executor(None, read_overview, self._url())
            self._reading.add_done_callback(_forgive)
        done, _ = await asyncio.wait({self._reading}, timeout=_LOOK_SECONDS)
        if not done:
            return None, f"it has not answered for {_LOOK_SECONDS:.0f} s"
        reading, self._reading = self._reading, None
        try:
            return reading.result(), None
        except StoreUnavailableError as exc:
            return None, str(exc)


def _forgive(reading: asyncio.Future[Overview]) -> None:
    """Look at a failure that nobody waits for any more."""
    if not reading.cancelled():
        reading.exception()


def _page(
    read: Callable[[], Readings],
    *,
    now: Callable[[], datetime],
    look_up: Callable[[], Awaitable[tuple[Overview | None, str | None]]],
) -> Callable[[bool], Awaitable[str]]:
    async def make(renews: bool) -> str:  # noqa: FBT001 - the shape of a Page
        overview, failure = await look_up()
        readings = read()
        look = Look(
            at=now(),
            release=__version__,
            readings=readings,
            reasons=readiness(readings),
            overview=overview,
            failure=failure,
            renews=renews,
        )
        # Many charts take a while, in which the loop has polls to make.
        return await asyncio.to_thread(page, look)

    return make
