"""Which entries of a backlog are stored together. Pure."""

from collections.abc import Sequence
from typing import Final

from poller.observation import Observation
from poller.spool import Pending

GROUP: Final = 64
"""The most polls that one transaction stores: more of them save next to nothing, and are refused with the one."""

_BYTES: Final = 64 * 1024  # compressed: a handful of the largest replies that there are, and 64 usual ones


def leading(pending: Sequence[Pending], most: int) -> Sequence[Pending]:
    """Return the first entry with the polls behind it that one transaction may store: `most` polls of different ticks.

    Entries of other kinds stay alone. There are fewer when their replies are large, for all are unpacked at a time.
    """
    ticks = set()
    size = 0
    for count, item in enumerate(pending):
        entry = item.entry
        if not isinstance(entry, Observation):
            return pending[: count or 1]
        tick = (entry.time, entry.account, entry.market)
        size += len(entry.body)
        if count and (count >= most or tick in ticks or size > _BYTES):
            return pending[:count]
        ticks.add(tick)
    return pending
