"""What surrounds every WebSocket reply."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from poller.simulator.refusal import Refusal
from poller.simulator.requests import Id

Limits = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply that can still be changed into another one to the same request.

    Attributes:
        label: The account that asked, when it is proven.
        limits: None leaves `rateLimits` out.
        content: `result` or `error`.
    """

    id: Id
    label: str | None
    limits: Limits | None
    server_ms: int
    status: int = 200
    content: Mapping[str, object] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The frame's bytes."""
        limits = {} if self.limits is None else {"rateLimits": self.limits}
        return encode({"id": self.id, "status": self.status, **self.content, **limits})

    def with_result(self, result: object) -> "Answer":
        """Serve the request with `result`."""
        return replace(self, status=200, content={"result": result})

    def with_refusal(self, refusal: Refusal) -> "Answer":
        """Refuse the request."""
        return replace(self, status=refusal.status, content={"error": error(refusal, self.server_ms)})


def error(refusal: Refusal, server_ms: int) -> dict[str, object]:
    """Return the exchange's word on a request that it does not serve."""
    plain: dict[str, object] = {"code": refusal.code, "msg": refusal.msg}
    if refusal.retry_after_ms is None:
        return plain
    return plain | {"data": {"serverTime": server_ms, "retryAfter": refusal.retry_after_ms}}


def encode(document: Mapping[str, object]) -> bytes:
    """Write JSON as the exchange does: without spaces, and not escaped where UTF-8 will do."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
