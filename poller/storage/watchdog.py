"""An end to waiting for a server that is frozen while its machine still acknowledges.

Neither TCP nor `statement_timeout` notices that, and cancelling the task is slow: psycopg then asks the frozen server
to cancel the statement, and waits ten seconds for that.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from psycopg import AsyncConnection as DriverConnection
from sqlalchemy.exc import DBAPIError


@asynccontextmanager
async def hang_up_after(reach: Callable[[], DriverConnection | None], seconds: float) -> AsyncIterator[None]:
    """End the connection when the context lasts longer, which raises TimeoutError from what waits in it.

    `reach` tells the connection of that moment.
    """
    expired = False

    def hang_up() -> None:
        nonlocal expired
        expired = True
        driver = reach()
        if driver is not None and not driver.closed:
            with socket.socket(fileno=os.dup(driver.fileno())) as end:
                end.shutdown(socket.SHUT_RDWR)

    timer = asyncio.get_running_loop().call_later(seconds, hang_up)
    try:
        yield
    except DBAPIError as exc:
        if expired:
            raise TimeoutError from exc
        raise
    finally:
        timer.cancel()
