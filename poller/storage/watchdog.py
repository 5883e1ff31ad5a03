"""An end to waiting for a server that is frozen while its machine still acknowledges.

Neither TCP nor `statement_timeout` notices that, and cancelling the task is slow: psycopg then asks the frozen server
to cancel the statement, and waits ten seconds for that.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection as DriverConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection


@asynccontextmanager
async def hang_up_after(connection: AsyncConnection, seconds: float) -> AsyncIterator[None]:
    """End the connection when the context lasts longer, which raises TimeoutError from what waits in it."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, DriverConnection)
    expired = False

    def hang_up() -> None:
        nonlocal expired
        expired = True
        if not driver.closed:
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
