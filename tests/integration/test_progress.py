"""A recorder whose spool or writer is wedged for real, and others that are slow, refused or without a database."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from dataclasses import replace as with_changes
from pathlib import Path

import pytest

from poller.daemon.progress import Progress, duties_of
from poller.observation import Market
from poller.simulator import SimulatedExchange
from poller.storage.store import Store
from poller.writer import Writer
from tests.support.recording import Recording, recording
from tests.support.way import journey_to, target


@dataclass(slots=True)
class Watch:
    """Looks at a recorder by a clock of its own, each second of it in no time.

    So what is on its way at that moment stands still: look right after the condition that it is not.
    """

    recording: Recording
    progress: Progress
    now: list[float]

    @property
    def appending(self) -> bool:
        return self.recording.recorder.intake.begun > self.recording.recorder.intake.ended

    @property
    def idle(self) -> bool:
        return not self.appending and self.recording.spool.depth == 0

    def look(self, seconds: int) -> str | None:
        stuck = None
        for _ in range(seconds):
            self.now[0] += 1
            stuck = self.progress.stuck()
        return stuck


@asynccontextmanager
async def watched(exchange: SimulatedExchange, folder: Path, url: str) -> AsyncIterator[Watch]:
    async with journey_to(exchange) as journey:
        every_second = with_changes(target(exchange, Market.USDM), interval_seconds=1)
        await journey.exchange.clock.measure()
        async with recording(journey.way(every_second), folder=folder, url=url) as parts:
            now = [0.0]
            duties = duties_of(parts.recorder, targets=[every_second], spool=parts.spool, writer=parts.writer)
            await until(lambda: parts.writer.entries > 1 and parts.recorder.is_recording)
            yield Watch(parts, Progress(tuple(duties), steady=lambda: now[0]), now)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - plain counters announce nothing
            await asyncio.sleep(0.02)


async def test_a_recorder_that_goes_on_is_not_stuck(
    exchange: SimulatedExchange, tmp_path: Path, plain_database_url: str
) -> None:
    async with watched(exchange, tmp_path, plain_database_url) as watch:
        for _ in range(3):
            await until(lambda: watch.idle)
            polled = watch.recording.recorder.polled.total()
            assert watch.look(80) is None
            await until(lambda polled=polled: watch.recording.recorder.polled.total() > polled)  # type: ignore[misc]  # mypy sees no default of a lambda


async def test_a_disk_that_never_answers_is_a_stuck_spool(
    exchange: SimulatedExchange, tmp_path: Path, plain_database_url: str
) -> None:
    async with watched(exchange, tmp_path, plain_database_url) as watch:
        parts, thawed = watch.recording, threading.Event()
        frozen = parts.spool._thread.submit(thawed.wait)
        await until(lambda: frozen.running() and watch.appending)

        assert watch.look(21) is None
        assert watch.look(100) == "spool: no progress for 120 s"

        thawed.set()
        await until(lambda: watch.idle)  # the writer may have had work all the while
        assert watch.look(1) is None


async def test_a_writer_that_neither_stores_nor_retries_is_stuck(
    exchange: SimulatedExchange, tmp_path: Path, plain_database_url: str
) -> None:
    async with watched(exchange, tmp_path, plain_database_url) as watch:
        parts = watch.recording
        async with parts.store._one_at_a_time:
            await until(lambda: parts.spool.depth > 1 and not watch.appending)
            polled, stuck = parts.recorder.polled.total(), watch.look(62)
            await until(lambda: parts.recorder.polled.total() > polled)

        assert stuck == "writer: no progress for 61 s"
        await until(lambda: watch.idle)
        assert watch.look(1) is None


async def test_a_poll_that_never_ends_is_stuck_although_its_ticks_are_recorded(
    exchange: SimulatedExchange, tmp_path: Path, plain_database_url: str
) -> None:
    async with watched(exchange, tmp_path, plain_database_url) as watch:
        series, appended = watch.recording.recorder.schedule._series[0], watch.recording.recorder.intake.ended
        series._polling = True
        await until(lambda: watch.recording.recorder.intake.ended > appended + 2 and watch.idle)

        assert watch.look(93) == "polls of main usdm: no progress for 92 s"
        series._polling = False


@pytest.mark.parametrize("answers", [False, True], ids=["frozen", "hangs up"])
async def test_a_database_that_cannot_store_is_retried_and_not_stuck(
    exchange: SimulatedExchange, tmp_path: Path, plain_database_url: str, *, answers: bool
) -> None:
    async with (
        watched(exchange, tmp_path, plain_database_url) as watch,
        sick_database(answers=answers) as url,
        watch.recording.store._one_at_a_time,
        asyncio.TaskGroup() as tasks,
    ):
        store = Store(url, watchdog_seconds=0.1)
        writer = Writer(spool=watch.recording.spool, store=store)
        duties = duties_of(watch.recording.recorder, targets=(), spool=watch.recording.spool, writer=writer)
        watch.progress = Progress(tuple(duties), steady=lambda: watch.now[0])
        writing = tasks.create_task(writer.run())
        await until(lambda: watch.recording.spool.depth > 0)
        for retries in range(1, 3):
            await until(lambda retries=retries: writer.retries > retries and not watch.appending)  # type: ignore[misc]  # mypy cannot infer a default
            assert watch.look(59) is None
        writing.cancel()
        await store.close()


@asynccontextmanager
async def sick_database(*, answers: bool) -> AsyncIterator[str]:
    """Have the address of a server that hangs up, or accepts and says nothing."""
    serving: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(writer)
        if not answers:
            await reader.read()
        writer.close()
        serving.remove(writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"postgresql://poller@127.0.0.1:{server.sockets[0].getsockname()[1]}/poller"
        for writer in serving:
            writer.close()
        await until(lambda: not serving)
