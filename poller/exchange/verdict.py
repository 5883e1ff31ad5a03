"""What a reply, or its absence, asks for: pure, from (status, code, failure).

The codes are those of the exchange's error tables; a code that is not listed follows its HTTP-style status.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from poller.errors import NotConnectedError, OversizedFrameError, RequestTimeoutError, TransientError
from poller.exchange.connection import HandshakeError
from poller.exchange.frames import decode_envelope
from poller.exchange.messages import Envelope, RemoteError
from poller.observation import Status, printable

_MAINTENANCE: Final = b'"239999"'
"""The key of the notice with which the exchange begins a maintenance."""

_ADDRESS: Final = re.compile(
    r"(?:\d{1,3}|\*{3})(?:\.(?:\d{1,3}|\*{3})){3}|(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}", re.IGNORECASE
)


class Action(StrEnum):
    """What must be done, from the mildest to the gravest."""

    NOTHING = "nothing"
    RETRY = "retry"
    """Ask again within the tick."""
    RESYNC = "resync"
    """Measure the clock, then ask again, once."""
    BACK_OFF = "back_off"
    """Leave the market alone for a while that grows."""
    REFUSE = "refuse"
    """Ask for this account only rarely; the others go on."""
    ALERT = "alert"
    """The same, and tell a person: nothing but another release or configuration helps."""
    PAUSE = "pause"
    """Send nothing from this address until the exchange's count begins anew."""
    BAN = "ban"
    """Send nothing at all from this address, reconnects included, until the ban is over."""


_OF_ADDRESS: Final = frozenset({Action.PAUSE, Action.BAN})


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the tick stands after one attempt.

    Attributes:
        status: None when the reply holds an account to be normalised.
        action: What must be done.
        lasting: What must be done instead when the last attempt of a tick still ends so.
    """

    status: Status | None
    action: Action = Action.NOTHING
    lasting: Action = Action.NOTHING

    @property
    def retry(self) -> bool:
        """Whether another attempt within the tick may help."""
        return self.action in {Action.RETRY, Action.RESYNC}

    @property
    def resync(self) -> bool:
        """Whether the clock has to be measured before it."""
        return self.action is Action.RESYNC

    @property
    def consequence(self) -> "Verdict":
        """What must be done when the tick has ended so, although each attempt might have passed."""
        return Verdict(self.status, self.lasting if self.retry else self.action)

    @property
    def pauses(self) -> bool:
        """Whether the whole address has to be quiet."""
        return self.action in _OF_ADDRESS


_ACCEPTED: Final = Verdict(None)
_PASSING: Final = Verdict(Status.EXCHANGE_ERROR, Action.RETRY)
_BUSY: Final = Verdict(Status.EXCHANGE_ERROR, Action.RETRY, lasting=Action.BACK_OFF)
_DOWN: Final = Verdict(Status.EXCHANGE_ERROR, Action.BACK_OFF)
_UNAUTHORIZED: Final = Verdict(Status.UNAUTHORIZED, Action.REFUSE)
_REJECTED: Final = Verdict(Status.REJECTED, Action.ALERT)
_LIMITED: Final = Verdict(Status.RATE_LIMITED, Action.PAUSE)
_BANNED: Final = Verdict(Status.BANNED, Action.BAN)

_BY_CODE: Final[Mapping[int, Verdict]] = {
    -1003: _LIMITED,
    -1008: _BUSY,
    -1016: _DOWN,  # shutting down for maintenance: this tick will not see its end
    -1021: Verdict(Status.CLOCK_SKEW, Action.RESYNC),
    # Told of good accounts, too, while the exchange moves them between its systems.
    -1109: Verdict(Status.EXCHANGE_ERROR, Action.RETRY, lasting=Action.REFUSE),
    **dict.fromkeys((-1002, -1011, -1022, -1099, -2014, -2015, -2017, -4056, -4109), _UNAUTHORIZED),
    **dict.fromkeys((-1000, -1001, -1006, -1007), _PASSING),
    **dict.fromkeys((*range(-1106, -1099), -5000), _REJECTED),
}
_BY_STATUS: Final[Mapping[int, Verdict]] = {
    HTTPStatus.UNAUTHORIZED: _UNAUTHORIZED,
    HTTPStatus.FORBIDDEN: _DOWN,  # the firewall in front of the exchange
    HTTPStatus.REQUEST_TIMEOUT: _PASSING,
}
_BY_GRAVE_STATUS: Final[Mapping[int, Verdict]] = {
    HTTPStatus.IM_A_TEAPOT: _BANNED,
    HTTPStatus.TOO_MANY_REQUESTS: _LIMITED,
}


def assess(*, status: int | None = None, code: int | None = None, failure: TransientError | None = None) -> Verdict:
    """Tell what must be done about one attempt.

    Args:
        status: HTTP's, or the one in HTTP's style of an envelope; None when there is neither.
        code: The exchange's error code; None when there is none.
        failure: Why there is no reply; None when there is one.
    """
    if status is not None and status in _BY_GRAVE_STATUS:
        return _BY_GRAVE_STATUS[status]
    if code is not None and code in _BY_CODE:
        return _BY_CODE[code]
    if failure is not None and status in {HTTPStatus.OK, None}:
        return _of_failure(failure)
    if code is None and status in {HTTPStatus.OK, None}:
        return _ACCEPTED
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _PASSING
    return _BY_STATUS.get(status or 0, _REJECTED)


def judge(outcome: Envelope | TransientError | None) -> Verdict:
    """Assess what came of a request: the envelope of its reply, or why there is none.

    A reply whose envelope cannot be read (None) is left to the normaliser, which keeps it.
    """
    match outcome:
        case None:
            return _ACCEPTED
        case Envelope():
            return assess(status=outcome.status, code=outcome.error.code if outcome.error else None)
        case HandshakeError():
            return assess(status=outcome.status, failure=outcome)
        case _:
            return assess(failure=outcome)


def overheard(body: bytes) -> tuple[Verdict, RemoteError | None]:
    """Assess a frame that answers no live request, with the error in it: only what concerns the address or the market.

    Whose key a frame without an id refuses cannot be known; the next reply to that account tells it.
    """
    envelope = decode_envelope(body)
    if envelope is None:
        return _ACCEPTED, None
    if envelope.status is None and envelope.error is None:
        return (_DOWN if _MAINTENANCE in body else _ACCEPTED), None
    verdict = judge(envelope)
    return (verdict if verdict.pauses or verdict is _DOWN else _ACCEPTED), envelope.error


def public_message(text: str, *secrets: str) -> str:
    """Make the exchange's or a library's words fit to be stored: without addresses, keys or control characters."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return printable(_ADDRESS.sub("***", text))


def _of_failure(failure: TransientError) -> Verdict:
    match failure:
        case OversizedFrameError():
            return Verdict(Status.MALFORMED)
        case RequestTimeoutError():
            return Verdict(Status.TIMEOUT)
        case NotConnectedError():
            return Verdict(Status.DISCONNECTED)
        case _:
            return Verdict(Status.DISCONNECTED, Action.RETRY)
