"""What the daemon tells of itself, where the settings want it told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from poller import __version__
from poller.config import Settings
from poller.normalize import Normalized
from poller.observe.health import liveness, readiness
from poller.observe.http import served
from poller.observe.metrics import Metrics
from poller.observe.readings import Readings
from poller.storage.schema import head_revision
from poller.writer import Listener


@asynccontextmanager
async def told_over_http(
    settings: Settings, read: Callable[[], Readings], *, listen: Callable[[Listener], None]
) -> AsyncIterator[None]:
    """Tell what `read` returns as long as the context lasts; `listen` makes a listener hear of each stored poll."""
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
        local_only=settings.http.local_only,
        registry=metrics.registry,
        health={"/healthz": lambda: liveness(read()), "/readyz": lambda: readiness(read())},
    ):
        yield
