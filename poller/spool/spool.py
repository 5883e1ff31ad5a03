"""The asynchronous face of the spool: every call runs on the spool's own thread, so that no fsync stops the loop."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

from poller.errors import ConfigError, PollerError, SpoolFullError
from poller.observation import Entry, Market
from poller.spool.database import DamagedFileError
from poller.spool.file import STEP_ROWS, Record, SpoolFile
from poller.spool.lock import Lock
from poller.spool.notes import NoteValue
from poller.spool.rescue import Recovery, open_file
from poller.spool.row import Pending, encode, micros, tick_of

_GROUP: Final = 256
_Result = TypeVar("_Result")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True, eq=False)
class _Ticket:
    """An append that was asked for, and its id once it is kept."""

    record: Record
    id: int | None = None


class Spool:
    """A durable queue of entries with one owner, made by `open`.

    A call that was made is carried out even if whoever awaits it is cancelled. A closed spool raises RuntimeError.
    The properties are plain figures as of the last call: they may be read at any time, without waiting.
    """

    def __init__(self, path: Path, *, max_size: int, now: Callable[[], datetime], thread: ThreadPoolExecutor) -> None:
        self._now = now
        self._thread = thread
        self._tickets: deque[_Ticket] = deque()
        self._closing: Future[None] | None = None
        self._damaged = False
        self._open_file = partial(open_file, path, max_size=max_size, now=now)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = Lock.take(path, now=now())
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            self._file, self._recovered = self._open_file()
        except OSError as error:
            self._lock.release()
            raise _unusable(path, error) from error
        except (PollerError, ValueError):
            self._lock.release()
            raise

    @classmethod
    async def open(cls, path: Path, *, max_size: int, now: Callable[[], datetime] = _utc_now) -> Self:
        """Own the spool at `path`, made with its directory when there is none; its file stays below `max_size` bytes.

        Raises:
            SpoolLockedError: Another process owns it, which the message names.
            ConfigError: The file cannot be used: its rights, another program's database, a newer release's spool.
            SpoolFullError: There is no room to make or rescue it, or somebody holds it.
        """
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        opening = thread.submit(cls, path, max_size=max_size, now=now, thread=thread)
        try:
            return await asyncio.shield(asyncio.wrap_future(opening))
        except (PollerError, ValueError):
            thread.shutdown(wait=False)
            raise

    @property
    def recorder(self) -> str:
        """The identity that the spool got when it was made, which outlives every restart."""
        return self._file.recorder

    @property
    def depth(self) -> int:
        """How many entries are not stored."""
        return self._file.depth

    @property
    def bytes(self) -> int:
        """The size of what is in use; the file keeps the space that it once took, for the next outage."""
        return self._file.size_bytes

    @property
    def oldest_at(self) -> datetime | None:
        """When the oldest entry that is not stored was appended; None when all are."""
        return self._file.oldest_at

    @property
    def damaged(self) -> int:
        """How many rows lie aside because they could not be read."""
        return self._file.damaged

    @property
    def recovered(self) -> Recovery | None:
        """What was last done about a damaged file; None when it was whole at the start and since."""
        return self._recovered

    async def append(self, entry: Entry) -> int:
        """Keep an entry and return its id once it is on the disk: from then on no crash loses it.

        Appends that wait for the disk at the same time share one commit. One that is cancelled may still be kept.

        Raises:
            SpoolFullError: It was not kept: the spool or its disk is full or failing.
            ValueError: A text in it is not Unicode.
            OverflowError: An integer in it has more than 64 bits.
        """
        ticket = _Ticket(Record(encode(entry), tick_of(entry)))
        self._refuse_when_closed()
        self._tickets.append(ticket)
        return await self._submit(self._append, ticket)

    async def oldest(self, limit: int) -> Sequence[Pending]:
        """Return the oldest entries that are not stored, in the order of their appends; none only when there are none.

        There are at most `limit`, and fewer when they are large. Rows that cannot be read are set aside and counted.

        Raises:
            SpoolFullError: The file cannot be read now.
        """
        return await self._submit(self._use, lambda file: file.oldest(limit))

    async def done(self, ids: Iterable[int]) -> None:
        """Mark entries as stored, in one commit.

        Raises:
            SpoolFullError: None is marked; they are offered once more.
        """
        marked = tuple(ids)
        await self._submit(self._use, lambda file: file.done(marked))

    async def last_stored_at(self) -> datetime | None:
        """Return when an entry was marked as stored last; None when none of those that are left is.

        Raises:
            SpoolFullError: The file cannot be read now.
        """
        return await self._submit(self._use, lambda file: file.last_stored_at())

    async def offer_again(self, since: datetime) -> int:
        """Mark what was stored since then as not stored and return how many entries that are.

        Raises:
            SpoolFullError: Some may be marked already.
        """
        return sum([marked async for marked in self.offering_again(since)])

    async def offering_again(self, since: datetime) -> AsyncIterator[int]:
        """Do the same in steps of `STEP_ROWS`, the first stored first: each yields how many it has marked.

        Raises:
            SpoolFullError: Some may be marked already.
        """
        until = micros(self._now()) + 1
        last, first = -1, micros(since)
        while marked := await self._submit(self._use, partial(_offer_again, since=first, until=until, after=last)):
            last, first = marked[-1]
            yield len(marked)

    async def purge(self, stored_before: datetime) -> int:
        """Remove what was stored before then and return how many entries that were; last ticks stay.

        Raises:
            SpoolFullError: Some may be removed already.
        """
        return await self._in_steps(lambda file: file.purge(micros(stored_before)))

    async def last_ticks(self) -> Mapping[tuple[str, Market], datetime]:
        """Return the last tick of every (account, market) that was ever appended.

        Raises:
            SpoolFullError: The file cannot be read now.
        """
        return await self._submit(self._use, lambda file: file.last_ticks())

    async def remember(self, name: str, value: NoteValue | None) -> None:
        """Keep a note, in the place of an earlier one of this name, until it is forgotten with None.

        A spool that is full for entries still has room for notes.

        Raises:
            SpoolFullError: It was not kept: the disk is full or failing, or the last room of the spool is used up.
            ValueError: Name and value together have more than 1024 bytes, or the name is not Unicode.
        """
        await self._submit(self._use, lambda file: file.remember(name, value))

    async def notes(self) -> Mapping[str, NoteValue]:
        """Return all notes by their names, without those that cannot be read.

        Raises:
            SpoolFullError: The file cannot be read now.
        """
        return await self._submit(self._use, lambda file: file.notes())

    async def close(self) -> None:
        """Finish the calls that were made, write the log back and let another process own the spool."""
        if self._closing is None:
            self._closing = self._thread.submit(self._close)
            self._thread.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(self._closing))

    async def _in_steps(self, step: Callable[[SpoolFile], int]) -> int:
        total = 0
        while count := await self._submit(self._use, step):
            total += count
            if count < STEP_ROWS:
                break
        return total

    async def _submit(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        self._refuse_when_closed()
        return await asyncio.shield(asyncio.wrap_future(self._thread.submit(call, *arguments)))

    def _refuse_when_closed(self) -> None:
        if self._closing is not None:
            raise RuntimeError("the spool is closed")

    def _append(self, ticket: _Ticket) -> int:
        """Keep a ticket, and with it those that wait behind it; runs on the thread, once for each ticket."""
        if ticket.id is None:
            group = [ticket]
            while self._tickets and len(group) < _GROUP:
                if (other := self._tickets.popleft()) is not ticket:
                    group.append(other)
            try:
                self._keep(group)
            except SpoolFullError:
                if len(group) == 1:
                    raise
                self._keep([ticket])  # the others have their own turn
        assert ticket.id is not None
        return ticket.id

    def _keep(self, group: Sequence[_Ticket]) -> None:
        records = [ticket.record for ticket in group]
        for ticket, row_id in zip(group, self._use(lambda file: file.append(records)), strict=True):
            ticket.id = row_id

    def _use(self, call: Callable[[SpoolFile], _Result]) -> _Result:
        """Run a call on the file, once more on a rescued one if the file turns out to be damaged."""
        try:
            if not self._damaged:
                return call(self._file)
        except DamagedFileError:
            self._damaged = True
            self._file.close()
        try:
            self._reopen()
            return call(self._file)
        except (OSError, DamagedFileError, ConfigError) as error:
            raise SpoolFullError(f"the spool is damaged and cannot be rescued now: {error}") from error

    def _reopen(self) -> None:
        last_id = self._file.last_id
        self._file, self._recovered = self._open_file()
        self._file.last_id = max(last_id, self._file.last_id)  # ids of lost rows may still be reported as done
        self._damaged = False

    def _close(self) -> None:
        self._file.close()
        self._lock.release()


def _offer_again(file: SpoolFile, *, since: int, until: int, after: int) -> Sequence[tuple[int, int]]:
    return file.offer_again(since, until, after)


def _unusable(path: Path, error: OSError) -> ConfigError:
    return ConfigError([f"spool.path: {path} cannot be used: {error.strerror}"])
