"""Drains the spool into the store, oldest first: the same path in health and after an outage of any length."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from poller.errors import (
    EnvironmentMismatchError,
    MalformedReplyError,
    SpoolFullError,
    StoreUnavailableError,
    UnstorableError,
)
from poller.normalize import Normalized, normalize, reject
from poller.observation import Entry, ModesMeasured, Observation, RunStarted, RunStopped, Status
from poller.spool import Pending, Spool
from poller.storage.store import Saved, Store

BATCH: Final = 200
OFFER_AGAIN: Final = timedelta(minutes=10)
"""How far back entries are offered anew after each reconnect: a database that failed over may have lost them."""

_PARTITIONS_SECONDS: Final = 3600.0
_FIRST_BACKOFF_SECONDS: Final = 0.5
_MAX_BACKOFF_SECONDS: Final = 15.0

_log = structlog.stdlib.get_logger()

Listener = Callable[[Normalized], None]


class Writer:
    """Stores what the spool holds, for ever.

    A fault of one entry's data ends that entry as `malformed`; a fault of the database is retried without an end. The
    listeners are told each poll that was new to the database, with what is to be said of its reply; a fault of theirs
    costs no more than a line in the log.
    """

    def __init__(self, *, spool: Spool, store: Store, listeners: Sequence[Listener] = ()) -> None:
        self._spool = spool
        self._store = store
        self._listeners = listeners
        self._work = asyncio.Event()
        self._drift_seen: set[str] = set()
        self._partitions_due = float("-inf")
        self.drained = asyncio.Event()

    def wake(self) -> None:
        """Tell that the spool holds something new."""
        self.drained.clear()
        self._work.set()

    async def run(self) -> None:
        """Drain the spool whenever it holds something, until cancelled."""
        failures = 0
        was_connected = self._store.is_open
        while True:
            self._work.clear()
            try:
                if not self._store.is_open:
                    await self._connect(again=was_connected)
                    was_connected = True
                await self._drain()
                await self._prepare()
            except (StoreUnavailableError, SpoolFullError) as exc:
                ceiling = min(_MAX_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** min(failures, 10))
                delay = random.uniform(0, ceiling)  # noqa: S311 - spreads retries, guards nothing
                failures += 1
                _log.warning("not storing", reason=str(exc), spooled=self._spool.depth, retry_in_s=round(delay, 1))
                await asyncio.sleep(delay)
                continue
            failures = 0
            if not self._work.is_set():
                self.drained.set()
            await self._work.wait()

    async def _connect(self, *, again: bool) -> None:
        await self._store.open()
        _log.info("database connected", tier=self._store.tier, spooled=self._spool.depth)
        if again:
            await self._spool.offer_again(datetime.now(UTC) - OFFER_AGAIN)

    async def _prepare(self) -> None:
        """Keep partitions ahead of the clock; a role that may not must not be kept from storing, so it comes second."""
        now = asyncio.get_running_loop().time()
        if now >= self._partitions_due:
            self._partitions_due = now + _PARTITIONS_SECONDS
            await self._store.ensure_partitions()

    async def _drain(self) -> None:
        while pending := await self._spool.oldest(BATCH):
            await self._save_all(pending)

    async def _save_all(self, pending: Sequence[Pending]) -> None:
        saved: list[int] = []
        try:
            for item in pending:
                await self._save(item.entry)
                saved.append(item.id)
        finally:
            if saved:
                await self._spool.done(saved)

    async def _save(self, entry: Entry) -> None:
        try:
            match entry:
                case RunStarted():
                    await self._store.save_run_started(entry)
                case RunStopped():
                    await self._store.save_run_stopped(entry)
                case ModesMeasured():
                    await self._store.save_modes(entry)
                case Observation():
                    await self._save_observation(entry)
        except (UnstorableError, EnvironmentMismatchError) as exc:
            # Not even its rejection can be stored. It stays in the spool as long as stored ones do.
            _log.error("entry refused by the database", reason=str(exc), kind=type(entry).__name__)

    async def _save_observation(self, observation: Observation) -> None:
        understood = understand(observation)
        try:
            saved = await self._store.save(understood.snapshot)
        except (UnstorableError, EnvironmentMismatchError) as exc:
            understood = replace(understood, snapshot=reject(observation, str(exc)))
            saved = await self._store.save(understood.snapshot)
        self._report(understood, saved)
        if saved is not Saved.EXISTING:
            self._tell(understood)

    def _tell(self, understood: Normalized) -> None:
        poll = understood.snapshot.poll
        for listener in self._listeners:
            try:
                listener(understood)
            except Exception:  # noqa: BLE001 - a listener's fault must not keep what was stored from being marked so
                _log.exception("listener failed", account=poll.account, market=poll.market.value)

    def _report(self, understood: Normalized, saved: Saved) -> None:
        snapshot, poll = understood.snapshot, understood.snapshot.poll
        log = _log.bind(account=poll.account, market=poll.market.value)
        for place in understood.drift:
            if place not in self._drift_seen:
                self._drift_seen.add(place)
                log.warning("reply drifted from its documents", place=place)
        facts = {"time": poll.time.isoformat(), "status": poll.status.value, "latency_ms": poll.latency_ms}
        if saved is Saved.EXISTING:
            log.debug("poll already stored", **facts)
        elif poll.status is Status.OK:
            log.info("poll stored", **facts, assets=len(snapshot.assets), positions=len(snapshot.positions))
        else:
            log.warning("poll stored", **facts, error=poll.error_message)


def understand(observation: Observation) -> Normalized:
    """Normalise an observation, or reject it with the reason: whatever is in it, there are rows to store."""
    try:
        return normalize(observation)
    except MalformedReplyError as exc:
        return Normalized(snapshot=reject(observation, str(exc)))
    except Exception as exc:  # noqa: BLE001 - whatever one reply breaks, what is behind it in the queue must be stored
        _log.exception("normalising failed unexpectedly", account=observation.account, market=observation.market.value)
        return Normalized(snapshot=reject(observation, f"internal error: {type(exc).__name__}: {exc}"))
