"""The recorder of the daemon in the process of a test: real sockets, a real spool, a real database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from poller.daemon.exchange import Way
from poller.daemon.recorder import Recorder
from poller.daemon.reference import Reference
from poller.observation import Environment
from poller.spool import Spool
from poller.storage.store import Store
from poller.writer import Writer
from tests.support.writing import drained


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The parts that record."""

    recorder: Recorder
    spool: Spool
    store: Store
    writer: Writer


@asynccontextmanager
async def recording(way: Way, *, folder: Path, url: str) -> AsyncIterator[Recording]:
    """Record as long as the context lasts; all of it is in the database afterwards."""
    spool = await Spool.open(folder / "spool.sqlite", max_size=2**24)
    store = Store(url)
    await store.open()
    await store.register({target.account: Environment.SIMULATED for target in way.targets})
    reference = Reference(way, store=store)
    writer = Writer(spool=spool, store=store, listeners=[reference.learn])
    recorder = Recorder(way=way, reference=reference, spool=spool, writer=writer, keep_seconds=3600)
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(recorder.record(stop, environment=Environment.SIMULATED))
            try:
                yield Recording(recorder=recorder, spool=spool, store=store, writer=writer)
            finally:
                stop.set()
        await drained(writer)  # the recorder itself waits a second for that, and leaves the rest to its next run
    finally:
        await store.close()
        await spool.close()
