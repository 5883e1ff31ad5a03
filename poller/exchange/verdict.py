"""What a reply, or its absence, means for the tick: pure, from (status, code, exception).

The codes are those of the exchange's error tables; a code that is not listed follows its HTTP-style status.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

from poller.errors import NotConnectedError, OversizedFrameError, RequestTimeoutError, TransientError
from poller.exchange.messages import Envelope, RemoteError
from poller.observation import Status, printable

_BANNED_UNTIL: Final = re.compile(r"banned until (\d{13})")
_ADDRESS: Final = re.compile(
    r"(?:\d{1,3}|\*{3})(?:\.(?:\d{1,3}|\*{3})){3}|(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the tick stands after one attempt.

    Attributes:
        status: None when the reply holds an account to be normalised.
        retry: Whether another attempt within the tick may help.
        resync: Whether the clock has to be measured before it.
        pauses: Whether the whole IP has to be quiet, see `quiet_until`.
    """

    status: Status | None
    retry: bool = False
    resync: bool = False
    pauses: bool = False


_UNAUTHORIZED: Final = Verdict(Status.UNAUTHORIZED)
_PASSING: Final = Verdict(Status.EXCHANGE_ERROR, retry=True)
_BY_CODE: Final[Mapping[int, Verdict]] = {
    -1003: Verdict(Status.RATE_LIMITED, pauses=True),
    -1016: Verdict(Status.EXCHANGE_ERROR),  # shutting down for maintenance: this tick will not see its end
    -1021: Verdict(Status.CLOCK_SKEW, retry=True, resync=True),
    **dict.fromkeys((-1002, -1011, -1022, -1099, -2014, -2015, -2017, -4056, -4109), _UNAUTHORIZED),
    **dict.fromkeys((-1000, -1001, -1006, -1007, -1008, -1109), _PASSING),
}
_BY_STATUS: Final[Mapping[int, Verdict]] = {
    HTTPStatus.UNAUTHORIZED: _UNAUTHORIZED,
    HTTPStatus.REQUEST_TIMEOUT: _PASSING,
    HTTPStatus.TOO_MANY_REQUESTS: Verdict(Status.RATE_LIMITED, pauses=True),
}


def judge(envelope: Envelope | None) -> Verdict:
    """Tell what a reply means; one whose envelope cannot be read is left to the normaliser, which keeps it."""
    if envelope is None or envelope.status in (HTTPStatus.OK, None):
        return Verdict(None)
    status, code = envelope.status, envelope.error.code if envelope.error else 0
    if status == HTTPStatus.IM_A_TEAPOT:
        return Verdict(Status.BANNED, pauses=True)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _BY_CODE.get(code, _PASSING)
    return _BY_CODE.get(code) or _BY_STATUS.get(status, Verdict(Status.REJECTED))


def judge_failure(error: TransientError) -> Verdict:
    """Tell what the lack of a reply means."""
    match error:
        case OversizedFrameError():
            return Verdict(Status.MALFORMED)
        case RequestTimeoutError():
            return Verdict(Status.TIMEOUT)
        case NotConnectedError():
            return Verdict(Status.DISCONNECTED)
        case _:
            return Verdict(Status.DISCONNECTED, retry=True)


def quiet_until(error: RemoteError | None, now: datetime) -> datetime:
    """Tell until when nothing may be sent from this IP: as the exchange says, else until the next minute begins."""
    named = _BANNED_UNTIL.search(error.msg) if error else None
    if error and error.data and error.data.retry_after:
        milliseconds = error.data.retry_after
    elif named:
        milliseconds = int(named[1])
    else:
        return now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return max(now, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds))


def public_message(text: str, *secrets: str) -> str:
    """Make the exchange's or a library's words fit to be stored: without addresses, keys or control characters."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return printable(_ADDRESS.sub("***", text))
