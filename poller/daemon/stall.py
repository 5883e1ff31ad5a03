"""Notices from outside that the event loop does not turn, and says where it is: nobody inside could."""

import asyncio
import faulthandler
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

_SLICES: Final = 20

_log = structlog.stdlib.get_logger()


@asynccontextmanager
async def stalls_logged(seconds: float) -> AsyncIterator[None]:
    """Log once with all stacks when the loop has not turned for `seconds`, and again when it turns."""
    ended = threading.Event()
    watching = (asyncio.get_running_loop(), threading.get_ident(), seconds, ended)
    thread = threading.Thread(target=_watch, args=watching, name="stall", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        await asyncio.to_thread(thread.join)


def _watch(loop: asyncio.AbstractEventLoop, ident: int, seconds: float, ended: threading.Event) -> None:
    while not ended.wait(seconds / _SLICES):
        turned = threading.Event()
        loop.call_soon_threadsafe(turned.set)
        # In slices: of a long wait, the whole would be over at once when a stopped process goes on.
        if any(turned.wait(seconds / _SLICES) for _ in range(_SLICES)):
            continue
        stacks = _stacks()
        _log.error("event loop stuck", seconds=seconds, place=_place(stacks, ident), stacks=stacks)
        turned.wait()
        _log.warning("event loop turned again")


def _stacks() -> str:
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        return file.read()


def _place(stacks: str, ident: int) -> str:
    """Return the innermost line of a thread."""
    _, _, own = stacks.partition(f"0x{ident:016x}")
    return own.split("\n", 2)[1].strip() if "\n" in own else "unknown"
