"""One daemon without its schedule and its sockets: the real spool, the real writer, the real store, the real ticks."""

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count, product
from pathlib import Path
from typing import Final
from uuid import uuid4

from poller.observation import Entry, Environment, Observation, Promise, RunStarted, RunStopped, Status
from poller.spool import Spool
from poller.storage.store import Store
from poller.ticks import Ticks
from poller.writer import Writer
from tests.support.gate import Gate
from tests.support.model.truth import Truth
from tests.support.model.words import PAIRS, Pair, key_of, produced
from tests.support.quick import SPEED
from tests.support.reading import Key

INTERVAL: Final = timedelta(seconds=10)
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
_WATCHDOG_SECONDS: Final = 20.0 * SPEED  # of this loop: real ones, as a busy database takes them
_DRAIN_SECONDS: Final = 120.0 * SPEED
_images = count(1)


class Recorder:
    """A recorder through all its runs; what it is told to keep, it tells to `truth` once that is acknowledged."""

    def __init__(self, folder: Path, url: str, gate: Gate, truth: Truth) -> None:
        self.gate = gate
        self._folder = folder
        # Closed at the end of each run; a new one would compile its statements anew.
        self._store = Store(url, watchdog_seconds=_WATCHDOG_SECONDS)
        self._truth = truth
        self._path = folder / "spool.sqlite"
        self._ticks = {pair: Ticks(INTERVAL) for pair in PAIRS}
        self._acknowledged: set[Key | str] = set()
        self._restored_over: set[Key | str] = set()
        self._has_stored = False

    async def start(self, now: datetime) -> None:
        """Begin a run, as the daemon does."""
        self.spool = await Spool.open(self._path, max_size=2**24)
        assert self.spool.recovered is None, "a crash damaged the spool"
        self._writer = Writer(spool=self.spool, store=self._store)
        self._instance = uuid4().hex
        self._has_stored = False
        promises = tuple(Promise(account=account, market=market, interval_seconds=10) for account, market in PAIRS)
        await self.keep(
            RunStarted(
                instance=self._instance,
                recorder=self.spool.recorder,
                release="1",
                environment=Environment.SIMULATED,
                started_at=now,
                promises=promises,
            )
        )
        last = await self.spool.last_ticks()
        for pair, ticks in self._ticks.items():
            ticks.last = last.get(pair, ticks.last)
            ticks.restart(now)
        self._writing = asyncio.get_running_loop().create_task(self._writer.run())

    def clock_stepped(self, now: datetime) -> None:
        """Forget the ticks that never were."""
        for ticks in self._ticks.values():
            ticks.reset(now)

    async def tick(self, now: datetime, pair: Pair, *outcomes: str | Status) -> None:
        """Keep what the newest due tick produced, one after the other; those that were missed are skipped ones."""
        due = self._ticks[pair].due(now)
        for time in due[:-1]:
            await self.keep(produced(Status.SKIPPED, pair, time, instance=self._instance))
        for time, outcome in product(due[-1:], outcomes):
            await self.keep(produced(outcome, pair, time, instance=self._instance))

    def another(self, key: Key, outcome: str | Status) -> Observation:
        """Return another observation of a tick."""
        time, account, market = key
        return produced(outcome, (account, market), time, instance=self._instance)

    async def stop(self, now: datetime) -> None:
        """End the run in good order, whatever waits in the spool."""
        await self.keep(RunStopped(instance=self._instance, stopped_at=now, reason="signal"))
        await self.end()

    async def crash(self, now: datetime, under_way: Sequence[tuple[Pair, str | Status]], turns: int) -> None:
        """End the run as `kill -9` does, with polls on their way into the spool and the writer at work.

        What a killed process leaves of its spool is what was written so far: a copy made between two of its commits.
        """
        for _ in range(turns):
            await asyncio.sleep(0)
        appending = []
        for pair, outcome in under_way:
            for time in self._ticks[pair].due(now):
                observation = produced(outcome, pair, time, instance=self._instance)
                self._truth.possible[key_of(observation)].append(observation)
                appending.append(asyncio.create_task(self.spool.append(observation)))
        await asyncio.sleep(0)
        image = self._folder / f"{next(_images)}"
        await self.spool._submit(shutil.copytree, self._path.parent, image, _only_files)
        await asyncio.gather(*appending)
        await self.end()
        self._path = image / self._path.name

    def database_restored(self) -> None:
        """Remember what may be gone until it is offered again: at the next connection, unless this run had none."""
        if self._has_stored:
            self._restored_over |= self._acknowledged
        else:
            self._excuse(self._acknowledged)

    async def drain(self, answers: int | None = None) -> None:
        """Wait until the writer has nothing left; after so many `answers` its connection is reset, once."""
        self.gate.answers_left = answers
        self._writer.wake()
        async with asyncio.timeout(_DRAIN_SECONDS):
            await self._writer.drained.wait()
        self.gate.answers_left = None
        assert (self.spool.depth, self.spool.damaged) == (0, 0)
        self._has_stored = True
        self._restored_over.clear()

    async def offer_everything(self) -> None:
        """Store anew what was ever acknowledged."""
        await self.spool.offer_again(_BEGINNING)
        await self.drain()

    async def keep(self, entry: Entry) -> None:
        """Keep an entry, such as another observation of any tick, and tell the truth of it."""
        await self.spool.append(entry)
        match entry:
            case Observation():
                self._truth.acknowledged[key_of(entry)].append(entry)
                self._acknowledged.add(key_of(entry))
            case RunStarted():
                self._truth.runs[entry.instance] = entry
                self._acknowledged.add(entry.instance)
            case RunStopped():
                self._truth.stops.add(entry.instance)
            case _:
                pass
        self._writer.wake()

    async def end(self) -> None:
        """Let go of everything, without a word."""
        # A process that ends takes its sockets with it, and does not wait for a frozen server first.
        with self.gate.shut():
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
            await self._store.close()
        await self.spool.close()
        self._excuse(self._restored_over)
        self._restored_over.clear()

    def _excuse(self, gone: set[Key | str]) -> None:
        self._truth.excused |= {one for one in gone if not isinstance(one, str)}
        self._truth.excused_runs |= {one for one in gone if isinstance(one, str)}


def _only_files(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_dir()]
