"""One poll of every account, outside of any schedule."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex
from typing import Final

from poller.config import Settings
from poller.daemon.bans import noted_ban_seconds, noting_bans
from poller.daemon.database import open_database, upgrade_schema
from poller.daemon.exchange import Hide, open_exchange
from poller.daemon.keys import compare_keys
from poller.daemon.reference import Reference
from poller.daemon.run import refuse_foreign_labels
from poller.daemon.spool import open_spool
from poller.entries import understand
from poller.exchange.asking import Exchange
from poller.observation import Observation
from poller.poll import MAX_DEADLINE_SECONDS, Target, poll
from poller.records import Snapshot
from poller.storage.store import Store
from poller.ticks import aligned
from poller.writer import Writer

STORE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `once` saw.

    Attributes:
        snapshots: One for each (account, market).
        stored: Whether the database has them; if not, the spool does.
    """

    snapshots: Sequence[Snapshot]
    stored: bool


async def once(settings: Settings, *, hide: Hide) -> Outcome:
    """Poll every account once and store it.

    Raises:
        SpoolLockedError: A daemon records into this spool.
        SpoolFullError: The spool takes nothing.
        EmbeddedDatabaseError: The embedded database cannot be started.
        EnvironmentMismatchError: An account label belongs to another environment in this database.
    """
    async with AsyncExitStack() as stack:
        spool = await stack.enter_async_context(open_spool(settings))
        database = await stack.enter_async_context(open_database(settings, hide=hide))
        if database.embedded:
            await upgrade_schema(database)
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
        reference = Reference(way, store=store)
        await reference.refresh(spool.append)
        observations = await poll_all(way.exchange, [reference.informed(target) for target in way.targets])
        for observation in observations:
            await spool.append(observation)
        writer = Writer(spool=spool, store=store)
        stored = await _stored(writer)
    return Outcome(snapshots=[understand(observation).snapshot for observation in observations], stored=stored)


async def poll_all(exchange: Exchange, targets: Sequence[Target]) -> Sequence[Observation]:
    """Poll all targets at the instant of their schedule that passed last, at the same time."""
    instance = token_hex(6)
    now = exchange.clock.now()
    deadline = asyncio.get_running_loop().time() + MAX_DEADLINE_SECONDS
    return await asyncio.gather(
        *(
            poll(
                target,
                aligned(now, timedelta(seconds=target.interval_seconds)),
                exchange=exchange,
                deadline=deadline,
                instance=instance,
            )
            for target in targets
        )
    )


async def _stored(writer: Writer) -> bool:
    writing = asyncio.create_task(writer.run())
    try:
        async with asyncio.timeout(STORE_SECONDS):
            await writer.drained.wait()
    except TimeoutError:
        return False
    else:
        return True
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
