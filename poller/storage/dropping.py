"""Old rows out of the history, in whole partitions or chunks."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from poller.storage.failures import kept_by_others, without_data


async def drop_history(connection: AsyncConnection, history: str, *, keep: timedelta, now: datetime) -> int:
    """Drop what of a table is older than `keep`; return how many partitions or chunks that were.

    Raises:
        HistoryInUseError: Somebody uses the table now, or the role may not drop.
    """
    # A clock that is ahead must not drop what is young: the slower one of the two counts.
    before = func.least(func.now(), now) - keep
    with without_data(), kept_by_others():
        return int((await connection.execute(select(func.poller.drop_history(history, before)))).scalar_one())
