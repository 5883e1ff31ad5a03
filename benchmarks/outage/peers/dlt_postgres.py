"""dlt: one pipeline, run once a second with the rows that came since; what waits for that is the caller's list."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import dlt
from dlt.pipeline.exceptions import PipelineStepFailed

from benchmarks.outage.peers import Place, Tell, Write

_SECONDS = 1.0
_ENDING_SECONDS = 30.0


class _Loader:
    """The rows that wait for the next run, and the pipeline."""

    def __init__(self, place: Place) -> None:
        self._rows: list[dict[str, int]] = []
        self._pipeline = dlt.pipeline(
            pipeline_name="outage",
            pipelines_dir=place.folder,
            destination=dlt.destinations.postgres(place.url),
            dataset_name="dlt_outage",
        )

    @property
    def has_work(self) -> bool:
        return bool(self._rows or self._pipeline.has_pending_data)

    async def write(self, number: int) -> None:
        self._rows.append({"number": number})

    def load(self) -> None:
        """Load what is pending, then what came since: a run with new rows would leave them out while some are."""
        if self._pipeline.has_pending_data:
            self._pipeline.run()
        batch = tuple(self._rows)
        if batch:
            try:
                self._pipeline.run(batch, table_name="trades", write_disposition="append")
            except PipelineStepFailed as exc:
                if exc.has_pending_data:  # the library has them on the disk
                    del self._rows[: len(batch)]
                raise
            del self._rows[: len(batch)]


@asynccontextmanager
async def open_writer(place: Place, tell: Tell) -> AsyncIterator[Write]:
    """Load for ever; an error is told, and the load is run again."""
    loader, ended = _Loader(place), asyncio.Event()

    async def load_for_ever() -> None:
        while not ended.is_set() or loader.has_work:
            try:
                await asyncio.to_thread(loader.load)
            except Exception as exc:  # noqa: BLE001 - what the library raises is what is looked for
                tell(f"{type(exc).__name__}: {exc}")
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _SECONDS)

    loading = asyncio.create_task(load_for_ever())
    yield loader.write
    ended.set()
    await asyncio.wait([loading], timeout=_ENDING_SECONDS)
