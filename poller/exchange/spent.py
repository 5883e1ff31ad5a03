"""Weight of one request, from the moment there is room for it until its answer."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from poller.exchange.messages import RateLimit
from poller.exchange.weight import Weight


class Spent:
    """Weight set aside for one request; as a context manager it ends with the context."""

    def __init__(self, pool: Weight, weight: int, look: Callable[[], None]) -> None:
        """Set `weight` of the pool aside; `look` is called when there may be room again."""
        self._pool = pool
        self._weight = weight
        self._look = look
        self._sent: float | None = None
        self._over = False
        pool.set_aside(weight)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def send(self) -> None:
        """Count the weight as going out now; once, also if the request has to go out a second time.

        Raises:
            RuntimeError: It has ended.
        """
        if self._over:
            raise RuntimeError("weight that has ended cannot be sent")
        if self._sent is None:
            self._pool.give_back(self._weight)
            self._sent = self._pool.send(self._weight)
        else:
            self._sent = self._pool.send(0)

    def answer(self, rate_limits: Iterable[RateLimit]) -> None:
        """Take in what its reply tells of the pool."""
        if self._sent is not None:
            self._finish(counted=self._pool.answer(rate_limits, sent=self._sent))

    def told(self, used: int) -> None:
        """Take in the count that its REST reply tells in the header X-MBX-USED-WEIGHT-1M."""
        if self._sent is not None:
            self._finish(counted=self._pool.tell(used, sent=self._sent))

    def end(self) -> None:
        """Give back the weight if it was never sent, and expect no answer any more."""
        if not self._over:
            self._finish(counted=False)

    def _finish(self, *, counted: bool) -> None:
        if not self._over:
            self._over = True
            if self._sent is None:
                self._pool.give_back(self._weight)
            else:
                self._pool.over(self._weight, counted=counted)
        self._look()
