"""The daemon: everything started in order, run together, ended in order."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Final

import structlog

from poller.config import Settings
from poller.daemon.bans import noted_ban_seconds, noting_bans
from poller.daemon.database import Database, kept_upgraded, open_database
from poller.daemon.exchange import Hide, open_exchange
from poller.daemon.http import told_over_http
from poller.daemon.keys import TradingWarnings, compare_keys, read_only_accounts
from poller.daemon.progress import Progress, duties_of
from poller.daemon.readings import reading
from poller.daemon.recorder import Recorder
from poller.daemon.reference import Reference
from poller.daemon.retention import Retention
from poller.daemon.rollups import refreshing_rollups
from poller.daemon.spool import open_spool
from poller.daemon.stall import stalls_logged
from poller.daemon.systemd import Systemd
from poller.daemon.watch import stall_seconds, watched
from poller.errors import StoreUnavailableError
from poller.storage.embedded import EmbeddedPostgres
from poller.storage.store import Store
from poller.writer import Writer

_EMBEDDED_SECONDS: Final = 2.0
_ENDING_SECONDS: Final = 4.0
"""From the first signal to the end of the process, whatever does not answer: the polls in flight have 2 s of it, the
drain of the spool another second."""

_log = structlog.stdlib.get_logger()


async def run(settings: Settings, *, migrate: bool, hide: Hide, announce: Callable[[Database], None]) -> None:
    """Record until SIGTERM or Ctrl-C; a second one ends the process at once.

    Args:
        settings: What to record.
        migrate: Whether to bring the schema to this release first; the embedded database's always is.
        hide: Told every secret that must never be printed.
        announce: Told once, when recording is about to begin.

    Raises:
        SpoolLockedError: Another process records into this spool.
        EmbeddedDatabaseError: The embedded database cannot be started.
        EnvironmentMismatchError: An account label belongs to another environment in this database.
    """
    systemd = Systemd.of(os.environ)
    with _stopped_by_signals() as stop:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(stalls_logged(stall_seconds(systemd)))
            spool = await stack.enter_async_context(open_spool(settings))
            database = await stack.enter_async_context(open_database(settings, hide=hide))
            if migrate or database.embedded:
                await stack.enter_async_context(kept_upgraded(database))
            store = Store(database.url)
            stack.push_async_callback(store.close)
            await refuse_foreign_labels(store, settings)
            banned_seconds = await noted_ban_seconds(spool)
            hear = await stack.enter_async_context(noting_bans(spool))
            way = await stack.enter_async_context(
                open_exchange(settings, hide=hide, on_hold=hear, banned_seconds=banned_seconds)
            )
            if not settings.simulates:  # the simulator makes new keys at each start
                await compare_keys(spool, way.targets)
            reference, warn = Reference(way, store=store), TradingWarnings(read_only_accounts(settings))
            writer = Writer(spool=spool, store=store, listeners=(reference.learn, warn))
            recorder = Recorder(
                way=way, reference=reference, spool=spool, writer=writer, keep_seconds=settings.spool.keep_seconds
            )
            Retention(store, settings.database.retention.limits(), now=way.exchange.clock.now).register(
                recorder.schedule
            )
            await _keep_house(stack, recorder, database, store)
            announce(database)
            progress = Progress(tuple(duties_of(recorder, targets=way.targets, spool=spool, writer=writer)))
            read = reading(way=way, recorder=recorder, spool=spool, writer=writer, progress=progress)
            await stack.enter_async_context(
                told_over_http(settings, read, listen=writer.listen, now=way.exchange.clock.now, url=lambda: store.url)
            )
            await stack.enter_async_context(watched(progress, systemd, recorder=recorder, stop=stop))
            await recorder.record(stop, environment=settings.environment)
    _log.info("stopped", spooled=spool.depth)


async def refuse_foreign_labels(store: Store, settings: Settings) -> None:
    """Register the accounts, unless the database cannot be asked now: recording does not wait for it.

    Raises:
        EnvironmentMismatchError: An account label belongs to another environment.
    """
    try:
        await store.open()
        await store.register({account.name: settings.environment for account in settings.accounts})
        _log.info("database connected", tier=store.tier)
    except StoreUnavailableError as exc:
        _log.error("database unavailable", reason=str(exc), meanwhile="polls are spooled")


async def _keep_house(stack: AsyncExitStack, recorder: Recorder, database: Database, store: Store) -> None:
    rollups = await stack.enter_async_context(refreshing_rollups(database.url, recorder.schedule))
    if database.embedded:
        _keep_running(recorder, database.embedded, (store, rollups))


def _keep_running(recorder: Recorder, embedded: EmbeddedPostgres, stores: Sequence[Store]) -> None:
    url = embedded.url

    async def ensure() -> None:
        nonlocal url
        current = await asyncio.to_thread(embedded.ensure_running)
        if current != url:
            _log.warning("embedded database moved", reason="another program has taken its port")
            for store in stores:
                await store.move(current)
            url = current

    recorder.schedule.housekeeping(_EMBEDDED_SECONDS, ensure, key="embedded database")


@contextmanager
def _stopped_by_signals() -> Iterator[asyncio.Event]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def handle(number: int) -> None:
        if stop.is_set():
            # The spool holds what was acknowledged, and the kernel frees the locks.
            os._exit(128 + number)
        _log.info("stopping", signal=signal.Signals(number).name)
        stop.set()
        limit = threading.Timer(_ENDING_SECONDS, _leave)
        limit.daemon = True  # an end that comes first must not wait for it
        limit.start()

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, handle, number)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _leave() -> None:
    # A frozen server, a slow disk and a migration in a thread are each waited for elsewhere, some after the loop's end,
    # and their limits add up. What was acknowledged is in the spool: a thread, which waits for none of them, leaves.
    _log.warning("stopped without closing everything", waited_s=_ENDING_SECONDS)
    os._exit(0)
