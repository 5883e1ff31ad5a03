"""What is kept of a reply that could not be normalised or stored."""

import hashlib
from typing import Final

from poller.codec import compress, decompress
from poller.normalize.snapshot import poll_record
from poller.observation import Observation, Status, printable
from poller.records import RejectedPayload, Snapshot

WHOLE_BYTES: Final = 1024 * 1024
"""A reply up to this size is kept whole."""

HEAD_BYTES: Final = 64 * 1024
"""Of a larger one the first bytes are kept, with length and SHA-256 of the whole."""


def reject(observation: Observation, reason: str) -> Snapshot:
    """Return the `malformed` poll of an observation, with its bytes as far as they are kept, and the reason."""
    message = printable(reason)
    return Snapshot(
        environment=observation.environment,
        poll=poll_record(observation, Status.MALFORMED, error_message=message),
        rejected=_rejected(observation, message),
    )


def _rejected(observation: Observation, reason: str) -> RejectedPayload:
    codec, kept, size, digest = observation.codec, observation.body or None, None, None
    if kept is not None:
        try:
            whole = decompress(codec, kept)
        except ValueError:
            pass  # the bytes are damaged: what there is of them is kept under their codec
        else:
            size, digest = len(whole), hashlib.sha256(whole).digest()
            if size > WHOLE_BYTES:
                codec, kept = compress(observation.market, whole[:HEAD_BYTES])
    return RejectedPayload(
        environment=observation.environment,
        received_at=observation.received_at,
        reason=reason,
        codec=codec,
        body=kept,
        body_bytes=size,
        body_sha256=digest,
    )
