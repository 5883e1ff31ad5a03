"""A loop whose timers run faster than time, for what waits by design: backoff, watchdogs, deadlines."""

import asyncio
import selectors

SPEED = 20.0


class QuickLoop(asyncio.SelectorEventLoop):
    """Tells seconds of which a real one has 20; sockets and threads take as long as ever."""

    def __init__(self) -> None:
        super().__init__(_Selector())

    def time(self) -> float:
        return super().time() * SPEED


class _Selector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / SPEED)
