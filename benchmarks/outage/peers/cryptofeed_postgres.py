"""cryptofeed: its PostgreSQL backend for trades, called as its feeds call it; the queue is the library's."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from cryptofeed.backends.postgres import TradePostgres
from cryptofeed.defines import BUY
from cryptofeed.types import Trade

from benchmarks.outage.peers import Place, Tell, Write

_ENDING_SECONDS = 10.0


@asynccontextmanager
async def open_writer(place: Place, _tell: Tell) -> AsyncIterator[Write]:
    """Start one backend, and stop it as its feed handler does."""
    backend = TradePostgres(
        host=place.host, port=place.port, user=place.user, pw=place.password, db=place.database, table="trades"
    )

    async def write(number: int) -> None:
        now = time.time()
        trade = Trade("exchange", "BTC-USDT", BUY, Decimal(1), Decimal(1), now, id=str(number))
        await backend(trade, now)

    async with asyncio.TaskGroup() as tasks:
        if hasattr(backend, "start_writer"):  # since 3.0
            backend.start_writer(tasks, "trades")
        else:
            backend.start(asyncio.get_running_loop())
        yield write
        await backend.stop()
        await asyncio.wait([backend.worker], timeout=_ENDING_SECONDS)
