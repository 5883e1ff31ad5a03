"""What a frame from the exchange is, by its bytes alone: whose reply, which event, or something to be survived."""

from enum import StrEnum

import msgspec
from msgspec import Struct

from poller.exchange.messages import Envelope, RemoteError

SHUTDOWN_EVENT = "serverShutdown"
"""What the exchange says before maintenance and before a socket's 24 hours are over."""


class Unexpected(StrEnum):
    """Why a frame was delivered to no request."""

    LATE = "late"
    """The reply to a request that was given up."""
    UNKNOWN = "unknown"
    """A reply to nothing that was asked here, or the second to the same request."""
    NULL_ID = "null_id"
    """A reply that does not say to what; a revoked key is told like that."""
    EVENT = "event"
    FOREIGN = "foreign"
    """Readable, but neither a reply nor an event, such as a notice of maintenance."""
    UNDECODABLE = "undecodable"


class _Core(Struct):
    id: str | int | None = None
    status: int | None = None
    error: RemoteError | None = None


class _Event(Struct):
    e: str | None = None


class _Wrapped(_Event):
    event: _Event | None = None


_envelope = msgspec.json.Decoder(Envelope)
_core = msgspec.json.Decoder(_Core)
_wrapped = msgspec.json.Decoder(_Wrapped)


def decode_envelope(body: bytes) -> Envelope | None:
    """Return what surrounds the result, or None when `body` is not an envelope.

    An envelope whose `rateLimits` cannot be read is one without them: a change there must not cost the reply.
    """
    try:
        return _envelope.decode(body)
    except msgspec.ValidationError:
        return _decode_core(body)
    except (ValueError, RecursionError):  # not JSON in UTF-8, or nested deeper than the stack
        return None


def decode_event(body: bytes) -> str | None:
    """Return the name of the event in `body`, bare or wrapped; None when it holds none."""
    try:
        frame = _wrapped.decode(body)
    except (ValueError, RecursionError):
        return None
    return frame.event.e if frame.event is not None else frame.e


def unaddressed(envelope: Envelope, body: bytes) -> Unexpected:
    """Return the kind of a frame that names no request."""
    if decode_event(body) is not None:
        return Unexpected.EVENT
    answers = envelope.status is not None or envelope.error is not None
    return Unexpected.NULL_ID if answers else Unexpected.FOREIGN


def _decode_core(body: bytes) -> Envelope | None:
    try:
        core = _core.decode(body)
    except (ValueError, RecursionError):
        return None
    return Envelope(id=core.id, status=core.status, error=core.error)
