"""Everything that can go wrong between a request and its reply, as data.

A script is a few faults that are applied in order to what would be sent: `Delay(1), Duplicate()`. The socket carries
out the outcome and knows no single fault.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from poller.simulator.envelope import Answer
from poller.simulator.refusal import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the socket has to do.

    Attributes:
        delay: Seconds to wait first.
        frames: To be sent in order.
        is_late: They are sent after the next request's reply instead.
        ending: How the connection ends after the frames; None keeps it.
        http: Answers a handshake or a REST request instead of us.
    """

    delay: float = 0
    frames: tuple[bytes, ...] = ()
    is_late: bool = False
    ending: "HangUp | Reset | Freeze | None" = None
    http: "HttpReply | None" = None


class Fault(Protocol):
    """One thing that goes wrong."""

    def apply(self, outcome: Outcome, answer: Answer | None, /) -> Outcome:
        """Return what happens instead of `outcome`; `answer` is what a request deserves."""
        ...


@dataclass(frozen=True, slots=True)
class Raw:
    """Reply with these bytes, UTF-8 or not; `<id>` in them becomes the request's id as JSON."""

    body: bytes

    def apply(self, outcome: Outcome, answer: Answer | None, /) -> Outcome:
        """Replace all frames."""
        request_id = json.dumps(answer.id if answer else None).encode()
        return replace(outcome, frames=(self.body.replace(b"<id>", request_id),))


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Reply with what a function makes of the true reply's bytes."""

    rewrite: Callable[[bytes], bytes]

    def apply(self, outcome: Outcome, _answer: Answer | None, /) -> Outcome:
        """Rewrite each frame."""
        return replace(outcome, frames=tuple(map(self.rewrite, outcome.frames)))


@dataclass(frozen=True, slots=True)
class Result:
    """Reply with status 200 and this result."""

    result: object

    def apply(self, outcome: Outcome, answer: Answer | None, /) -> Outcome:
        """Replace all frames."""
        return replace(outcome, frames=(answer.with_result(self.result).body,) if answer else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReply:
    """Reply with an error envelope; `has_id` False sends `"id": null`."""

    status: int
    code: int
    msg: str = ""
    retry_after_ms: int | None = None
    has_id: bool = True

    def apply(self, outcome: Outcome, answer: Answer | None, /) -> Outcome:
        """Replace all frames."""
        if answer is None:
            return outcome
        addressed = answer if self.has_id else replace(answer, id=None)
        refusal = Refusal(self.status, self.code, self.msg, self.retry_after_ms)
        return replace(outcome, frames=(addressed.with_refusal(refusal).body,))


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait some seconds before anything else happens; other requests are served meanwhile."""

    seconds: float

    def apply(self, outcome: Outcome, _answer: Answer | None, /) -> Outcome:
        """Wait longer."""
        return replace(outcome, delay=outcome.delay + self.seconds)


@dataclass(frozen=True, slots=True)
class Drop:
    """Never reply."""

    def apply(self, outcome: Outcome, _answer: Answer | None, /) -> Outcome:
        """Remove all frames."""
        return replace(outcome, frames=())


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Reply twice."""

    def apply(self, outcome: Outcome, _answer: Answer | None, /) -> Outcome:
        """Double the frames."""
        return replace(outcome, frames=outcome.frames * 2)


@dataclass(frozen=True, slots=True)
class Late:
    """Reply only after the next request on the same connection was replied to."""

    def apply(self, outcome: Outcome, _answer: Answer | None, /) -> Outcome:
        """Hold the frames back."""
        return replace(outcome, is_late=True)


@dataclass(frozen=True, slots=True)
class Extra:
    """Send another frame, such as an event, before the reply."""

    frame: bytes

    def apply(self, outcome: Outcome, _answer: Answer | None, /) -> Outcome:
        """Put a frame in front."""
        return replace(outcome, frames=(self.frame, *outcome.frames))


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """Close the WebSocket in good order, instead of the reply or after it."""

    code: int = 1008
    reason: bytes = b""
    after_reply: bool = False

    def apply(self, outcome: Outcome, _answer: Answer | None, /) -> Outcome:
        """End the connection."""
        return replace(outcome, ending=self, frames=outcome.frames if self.after_reply else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """Reset the TCP connection, instead of the reply or after it."""

    after_reply: bool = False

    def apply(self, outcome: Outcome, _answer: Answer | None, /) -> Outcome:
        """End the connection."""
        return replace(outcome, ending=self, frames=outcome.frames if self.after_reply else ())


@dataclass(frozen=True, slots=True)
class Freeze:
    """Keep the socket, but never again answer anything on it, pings and a close included."""

    def apply(self, outcome: Outcome, _answer: Answer | None, /) -> Outcome:
        """End the connection for one side only."""
        return replace(outcome, ending=self, frames=())


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """Answer a handshake or a REST request with this."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def apply(self, outcome: Outcome, _answer: Answer | None, /) -> Outcome:
        """Take over the answer."""
        return replace(outcome, http=self)
