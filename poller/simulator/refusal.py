"""What the exchange says when it does not serve a request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """One of the documented errors.

    Attributes:
        status: As in HTTP.
        retry_after_ms: Since the epoch, for what time alone can heal.
    """

    status: int
    code: int
    msg: str
    retry_after_ms: int | None = None


class RefusedError(Exception):
    """A request that is not served, and why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.status} {refusal.code}")
        self.refusal = refusal


def refuse(status: int, code: int, msg: str, retry_after_ms: int | None = None) -> RefusedError:
    """Build the error to raise."""
    return RefusedError(Refusal(status, code, msg, retry_after_ms))
