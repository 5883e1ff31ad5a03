"""Drains the spool into the store, oldest first: the same path in health and after an outage of any length."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import structlog

from poller.backlog import GROUP, leading
from poller.entries import save_entry, understand
from poller.errors import (
    EnvironmentMismatchError,
    SpoolFullError,
    StoreUnavailableError,
    UnstorableError,
)
from poller.normalize import Normalized
from poller.observation import Entry, Market, Observation, Status
from poller.spool import Pending, Spool
from poller.storage.store import Saved, Store

BATCH: Final = 512
OFFER_AGAIN: Final = timedelta(minutes=10)
"""Entries stored up to so long before the last one are offered anew at each connect: a database that failed over or was
restored may have lost them, however long that took and whether this process lived through it or not."""

MOST_PLACES: Final = 1000
"""Places of drift that are counted one by one; all others count as one."""

_PARTITIONS_SECONDS: Final = 3600.0
_FIRST_BACKOFF_SECONDS: Final = 0.5
_MAX_BACKOFF_SECONDS: Final = 3.0

_log = structlog.stdlib.get_logger()

Listener = Callable[[Normalized], None]
_Understood = tuple[Pending, Normalized | None]


class Writer:
    """Stores what the spool holds, for ever.

    Polls that wait are stored several in one transaction, each with all its rows or none; the spool is told after the
    commit. A fault of one entry's data ends that entry as `malformed`; a fault of the database is retried without an
    end. The listeners are told each poll that was new to the database, with what is to be said of its reply; a fault of
    theirs costs no more than a line in the log.

    Attributes:
        drift: How many stored replies differed from their documents, by place.
        drained: Set while the spool holds nothing that is not stored.
        entries: How many entries it is done with: stored, or refused by the database for ever.
        newest: The newest tick of each (account, market) whose poll the database was seen to hold.
        polls: How many polls were new to the database, by account, market and status.
        retries: How often it was told to wait; each is a line in the log.
    """

    def __init__(self, *, spool: Spool, store: Store, listeners: Sequence[Listener] = ()) -> None:
        self._spool = spool
        self._store = store
        self._listeners = list(listeners)
        self._work = asyncio.Event()
        self._offer_since: datetime | None = None
        self.drift: Counter[str] = Counter()
        self._partitions_due = float("-inf")
        self._most = 1
        self.drained = asyncio.Event()
        self.entries = 0
        self.newest: dict[tuple[str, Market], datetime] = {}
        self.polls: Counter[tuple[str, Market, Status]] = Counter()
        self.retries = 0

    def listen(self, listener: Listener) -> None:
        """Tell one more listener from now on."""
        self._listeners.append(listener)

    def wake(self) -> None:
        """Tell that the spool holds something new."""
        self.drained.clear()
        self._work.set()

    async def run(self) -> None:
        """Drain the spool whenever it holds something, until cancelled."""
        failures = 0
        is_known = False
        while True:
            self._work.clear()
            try:
                if not (is_known and self._store.is_open):
                    await self._connect()
                    is_known = True
                await self._drain()
                await self._offer_again()
                await self._prepare()
            except (StoreUnavailableError, SpoolFullError) as exc:
                reason = str(exc)
            except Exception as exc:  # noqa: BLE001 - without a writer, no poll would ever reach the database
                _log.exception("storing failed unexpectedly")
                reason = f"internal error: {type(exc).__name__}"
            else:
                failures = 0
                if not self._work.is_set():
                    self.drained.set()
                await self._work.wait()
                continue
            self._most = 1
            await self._pause(failures, reason)
            failures += 1

    async def _pause(self, failures: int, reason: str) -> None:
        ceiling = min(_MAX_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** min(failures, 10))
        delay = random.uniform(0, ceiling)  # noqa: S311 - spreads retries, guards nothing
        self.retries += 1
        _log.warning("not storing", reason=reason, spooled=self._spool.depth, retry_in_s=round(delay, 1))
        await asyncio.sleep(delay)

    async def _connect(self) -> None:
        if not self._store.is_open:
            await self._store.open()
            _log.info("database connected", tier=self._store.tier, spooled=self._spool.depth)
        if self._offer_since is None and (last := await self._spool.last_stored_at()):
            # Until all is stored this stays: what is offered counts as stored no more, so that each reconnect would
            # otherwise reach back further.
            self._offer_since = last - OFFER_AGAIN

    async def _offer_again(self) -> None:
        """Store once more what a database that is not the one of before may have lost."""
        if self._offer_since is None:
            return
        # What waits is stored first, and between the steps what came meanwhile: ten minutes of many accounts take long.
        async for _ in self._spool.offering_again(self._offer_since):
            await self._drain()
        self._offer_since = None

    async def _prepare(self) -> None:
        """Keep partitions ahead of the clock; whatever keeps it from that must not keep it from storing."""
        now = asyncio.get_running_loop().time()
        if now >= self._partitions_due:
            self._partitions_due = now + _PARTITIONS_SECONDS
            try:
                await self._store.ensure_partitions()
            except StoreUnavailableError as exc:
                _log.error("partitions not made ahead", reason=str(exc), retry_in_s=_PARTITIONS_SECONDS)

    async def _drain(self) -> None:
        while pending := await self._spool.oldest(BATCH):
            await self._store.recognise()
            group = await self._understand(leading(pending, self._most))
            while group:
                pending = pending[len(group) :]
                # The next ones are understood while the database works on these.
                following = self._understand(leading(pending, self._most))
                _, group = await asyncio.gather(self._save_group(group), following)

    async def _understand(self, pending: Sequence[Pending]) -> Sequence[_Understood]:
        group = []
        for item in pending:
            group.append((item, understand(item.entry) if isinstance(item.entry, Observation) else None))
            await asyncio.sleep(0)  # the polls of this loop come first
        return group

    async def _save_group(self, group: Sequence[_Understood]) -> None:
        """Store a group in one transaction, or one by one where that is refused."""
        outcomes: Sequence[Saved] = [Saved.REFUSED] * len(group)
        if len(group) > 1:
            with suppress(UnstorableError, EnvironmentMismatchError):
                outcomes = await self._store.save_all([poll.snapshot for _, poll in group if poll])
        for (item, poll), outcome in zip(group, outcomes, strict=True):
            if poll and outcome is not Saved.REFUSED:
                self._settle(poll, outcome)
            else:
                await self._save(item.entry, poll)
        self.entries += len(group)
        await self._spool.done(item.id for item, _ in group)
        # A server that cannot do much at a time still gets each poll; one that can soon gets many.
        self._most = min(2 * self._most, GROUP)

    async def _save(self, entry: Entry, poll: Normalized | None) -> None:
        try:
            understood, saved = await save_entry(self._store, entry, poll)
        except (UnstorableError, EnvironmentMismatchError) as exc:
            # Not even its rejection can be stored. It stays in the spool as long as stored ones do.
            _log.error("entry refused by the database", reason=str(exc), kind=type(entry).__name__)
        else:
            if understood and saved:
                self._settle(understood, saved)

    def _settle(self, understood: Normalized, saved: Saved) -> None:
        self._report(understood, saved)
        poll = understood.snapshot.poll
        key = poll.account, poll.market
        self.newest[key] = max(poll.time, self.newest.get(key, poll.time))
        if saved is not Saved.EXISTING:
            self.polls[*key, poll.status] += 1
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
        if saved is not Saved.EXISTING:
            self._count_drift(understood.drift, log)
        facts = {"time": poll.time.isoformat(), "status": poll.status.value, "latency_ms": poll.latency_ms}
        if saved is Saved.EXISTING:
            log.debug("poll already stored", **facts)
        elif poll.status is Status.OK:
            log.info("poll stored", **facts, assets=len(snapshot.assets), positions=len(snapshot.positions))
        else:
            log.warning("poll stored", **facts, error=poll.error_message)

    def _count_drift(self, places: Iterable[str], log: structlog.stdlib.BoundLogger) -> None:
        for place in places:
            if place not in self.drift and len(self.drift) >= MOST_PLACES:
                place = "elsewhere"  # noqa: PLW2901 - replies with ever new names must not fill the memory
            if place not in self.drift:
                log.warning("reply drifted from its documents", place=place)
            self.drift[place] += 1
