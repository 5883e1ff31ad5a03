"""What every answer of the exchange means for the tick."""

from datetime import UTC, datetime

import pytest

from poller.errors import (
    ConnectionLostError,
    NotConnectedError,
    OversizedFrameError,
    RequestTimeoutError,
    TransientError,
)
from poller.exchange.messages import Envelope, ErrorData, RemoteError
from poller.exchange.verdict import judge, judge_failure, public_message, quiet_until
from poller.observation import Status

NOW = datetime(2026, 11, 21, 12, 0, 10, tzinfo=UTC)


def refusal(status: int, code: int, msg: str = "") -> Envelope:
    return Envelope(id="1", status=status, error=RemoteError(code=code, msg=msg))


def test_a_reply_with_status_200_is_left_to_the_normaliser() -> None:
    assert judge(Envelope(id="1", status=200)).status is None
    assert judge(None).status is None


@pytest.mark.parametrize(
    ("status", "code", "expected", "retry"),
    [
        (429, -1003, Status.RATE_LIMITED, False),
        (418, -1003, Status.BANNED, False),
        (429, -9999, Status.RATE_LIMITED, False),
        (400, -1021, Status.CLOCK_SKEW, True),
        (400, -1022, Status.UNAUTHORIZED, False),
        (401, -2014, Status.UNAUTHORIZED, False),
        (401, -2015, Status.UNAUTHORIZED, False),
        (401, -7777, Status.UNAUTHORIZED, False),
        (400, -4109, Status.UNAUTHORIZED, False),
        (400, -1109, Status.EXCHANGE_ERROR, True),
        (400, -1000, Status.EXCHANGE_ERROR, True),
        (408, -1007, Status.EXCHANGE_ERROR, True),
        (503, -1008, Status.EXCHANGE_ERROR, True),
        (503, -1016, Status.EXCHANGE_ERROR, False),
        (500, -7777, Status.EXCHANGE_ERROR, True),
        (400, -1102, Status.REJECTED, False),
        (403, 0, Status.REJECTED, False),
        (400, -5000, Status.REJECTED, False),
    ],
)
def test_a_refusal_becomes_a_status_and_a_decision_to_retry(
    status: int, code: int, expected: Status, *, retry: bool
) -> None:
    verdict = judge(refusal(status, code))

    assert (verdict.status, verdict.retry) == (expected, retry)


def test_only_limits_and_bans_silence_the_whole_address() -> None:
    assert judge(refusal(429, -1003)).pauses
    assert judge(refusal(418, -1003)).pauses
    assert not judge(refusal(503, -1008)).pauses


def test_a_clock_that_is_off_is_measured_before_the_retry() -> None:
    assert judge(refusal(400, -1021)).resync
    assert not judge(refusal(503, -1008)).resync


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (NotConnectedError("x"), Status.DISCONNECTED, False),
        (ConnectionLostError("x"), Status.DISCONNECTED, True),
        (OversizedFrameError("x"), Status.MALFORMED, False),
        (RequestTimeoutError("x"), Status.TIMEOUT, False),
    ],
)
def test_the_lack_of_a_reply_becomes_a_status(error: TransientError, status: Status, *, retry: bool) -> None:
    verdict = judge_failure(error)

    assert (verdict.status, verdict.retry) == (status, retry)


@pytest.mark.parametrize(
    ("error", "until"),
    [
        (RemoteError(-1003, "…banned until 1795262469840. Please…"), "2026-11-21T12:01:09.840"),
        (RemoteError(-1003, "slow down", ErrorData(retry_after=1795262430000)), "2026-11-21T12:00:30.000"),
        (RemoteError(-1003, "slow down", ErrorData(retry_after=1)), "2026-11-21T12:00:10.000"),
        (RemoteError(-1003, "slow down"), "2026-11-21T12:01:00.000"),
        (None, "2026-11-21T12:01:00.000"),
    ],
)
def test_silence_lasts_as_long_as_the_exchange_says(error: RemoteError | None, until: str) -> None:
    assert quiet_until(error, NOW).isoformat(timespec="milliseconds") == f"{until}+00:00"


def test_a_stored_message_holds_no_address_key_or_control_character() -> None:
    text = "IP(203.0.113.7) and 2001:db8:0:1::7, IP(***.***.***.***)\nkey SECRETKEY banned until 1615183669840"

    message = public_message(text, "SECRETKEY")

    assert message == "IP(***) and ***, IP(***)\N{REPLACEMENT CHARACTER}key *** banned until 1615183669840"
