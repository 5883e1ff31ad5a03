"""The way into the spool: a poll that it has no room for is lost, counted, and told in SQL once there is room again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from poller.errors import SpoolFullError
from poller.observation import Entry, Market, Observation, RunStarted, Status, printable
from poller.spool import Spool

AT_ONCE: Final = 500
"""The most lost ticks that one call of `tell_lost` records: they must not take the room that polls need."""

_log = structlog.stdlib.get_logger()


@dataclass(slots=True, kw_only=True)
class _Lost:
    """The ticks of one (account, market) from the first to the last that was refused.

    One that was kept between them is told too, which changes nothing in the database.
    """

    example: Observation
    reason: str
    step: timedelta
    first: datetime
    last: datetime

    def told(self) -> Observation:
        """Return what is recorded of the first."""
        return Observation(
            environment=self.example.environment,
            account=self.example.account,
            market=self.example.market,
            time=self.first,
            status=Status.SPOOL_FULL,
            error_message=printable(f"not kept: {self.reason}"),
            instance=self.example.instance,
        )


class Intake:
    """Appends to the spool, and remembers what was refused: one stretch of ticks for each (account, market).

    Only this process remembers it.

    Attributes:
        refused: Polls that were lost because the spool or its disk was full or failing.
        refuses: Whether the last one was.
        begun: Appends that were begun.
        ended: Appends that ended, one way or the other.
    """

    def __init__(
        self, spool: Spool, *, intervals: Mapping[tuple[str, Market], int], appended: Callable[[], None]
    ) -> None:
        """Call `appended` after each entry; `intervals` are in seconds."""
        self.refused = self.begun = self.ended = 0
        self.refuses = False
        self._spool = spool
        self._intervals = intervals
        self._appended = appended
        self._lost: dict[tuple[str, Market], _Lost] = {}
        self._run: RunStarted | None = None

    async def append(self, entry: Entry) -> None:
        """Make an entry durable, or lose it loudly: polling goes on, for the room may come back."""
        self.begun += 1
        try:
            await self._spool.append(entry)
        except SpoolFullError as exc:
            self._refuse(entry, str(exc))
        else:
            self.refuses = False
            self._appended()
        finally:
            self.ended += 1

    async def tell_lost(self) -> None:
        """Record the oldest lost ticks as `spool_full`, as many as there is room for, `AT_ONCE` at most."""
        left = AT_ONCE
        try:
            if self._run:
                await self._spool.append(self._run)
                self._run = None
            for key, lost in tuple(self._lost.items()):
                while left and lost.first <= lost.last:
                    await self._spool.append(lost.told())
                    lost.first += lost.step
                    left -= 1
                if lost.first > lost.last:
                    del self._lost[key]
        except SpoolFullError:
            return  # the rest is told at another time
        finally:
            if left < AT_ONCE:
                self._appended()

    def _refuse(self, entry: Entry, reason: str) -> None:
        if not isinstance(entry, Observation):
            self._run = entry if isinstance(entry, RunStarted) else self._run
            _log.error("entry refused by the spool", reason=reason, kind=type(entry).__name__)
            return
        self.refused += 1
        self.refuses = True
        _log.error(
            "poll refused", reason=reason, account=entry.account, market=entry.market.value, time=entry.time.isoformat()
        )
        key = (entry.account, entry.market)
        if key in self._lost:
            self._lost[key].last = entry.time
        else:
            step = timedelta(seconds=self._intervals[key])
            self._lost[key] = _Lost(example=entry, reason=reason, step=step, first=entry.time, last=entry.time)
