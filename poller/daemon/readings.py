"""The plain counters of the parts, gathered when somebody looks."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from poller.daemon.exchange import Way
from poller.daemon.progress import Progress
from poller.daemon.recorder import Recorder
from poller.observe.readings import Readings, Series
from poller.spool import Spool
from poller.writer import Writer


def reading(
    *, way: Way, recorder: Recorder, spool: Spool, writer: Writer, progress: Progress
) -> Callable[[], Readings]:
    """Return what reads a daemon that begins to record now."""
    began = way.exchange.clock.now()

    def read() -> Readings:
        exchange = way.exchange
        weight, clock = exchange.budget.weight, exchange.clock
        oldest = spool.oldest_at
        return Readings(
            series=tuple(_series(way, writer, began)),
            polls={(account, market.value, status.value): n for (account, market, status), n in writer.polls.items()},
            polls_refused=recorder.intake.refused,
            spool_refuses=recorder.intake.refuses,
            spool_entries=spool.depth,
            spool_bytes=spool.bytes,
            spool_oldest_seconds=max((datetime.now(UTC) - oldest).total_seconds(), 0.0) if oldest else 0.0,
            spool_damaged=spool.damaged,
            retries=writer.retries,
            drift=writer.drift.total(),
            connections={market.value: link.connections for market, link in exchange.links.items()},
            connected={market.value: link.connected for market, link in exchange.links.items()},
            weight_used=weight.used,
            weight_limit=weight.limit,
            weight_allowed=exchange.budget.allowed,
            silent_seconds=exchange.holds.silent_seconds(),
            clock_offset_seconds=None if clock.offset_ms is None else clock.offset_ms / 1000,
            host_clock_off=clock.host_clock_off,
            stuck=progress.found,
        )

    return read


def _series(way: Way, writer: Writer, began: datetime) -> Iterator[Series]:
    now = way.exchange.clock.now()
    for target in way.targets:
        newest = writer.newest.get((target.account, target.market))
        yield Series(
            account=target.account,
            market=target.market.value,
            interval_seconds=target.interval_seconds,
            age_seconds=max((now - (newest or began)).total_seconds(), 0.0),
            has_stored=newest is not None,
            refused=way.exchange.holds.refuses(target.account, target.market),
        )
