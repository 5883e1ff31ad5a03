"""What every answer of the exchange asks for."""

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.errors import (
    ClockUnavailableError,
    ConnectionLostError,
    NotConnectedError,
    OversizedFrameError,
    RequestTimeoutError,
    TransientError,
)
from poller.exchange.connection import HandshakeError
from poller.exchange.messages import Envelope, RemoteError
from poller.exchange.verdict import Action, Verdict, assess, judge, overheard, public_message
from poller.observation import Status


def refusal(status: int, code: int, msg: str = "") -> Envelope:
    return Envelope(id="1", status=status, error=RemoteError(code=code, msg=msg))


def test_a_reply_with_status_200_is_left_to_the_normaliser() -> None:
    assert judge(Envelope(id="1", status=200)) == Verdict(None)
    assert judge(None) == Verdict(None)


def test_an_error_without_a_status_is_no_account() -> None:
    assert judge(Envelope(id="1", error=RemoteError(code=-2015))).status is Status.UNAUTHORIZED
    assert judge(Envelope(id="1", status=200, error=RemoteError(code=3))).status is Status.REJECTED


@pytest.mark.parametrize(
    ("status", "code", "expected", "action", "lasting"),
    [
        (429, -1003, Status.RATE_LIMITED, Action.PAUSE, Action.NOTHING),
        (418, -1003, Status.BANNED, Action.BAN, Action.NOTHING),
        (400, -1003, Status.RATE_LIMITED, Action.PAUSE, Action.NOTHING),
        (429, -9999, Status.RATE_LIMITED, Action.PAUSE, Action.NOTHING),
        (418, None, Status.BANNED, Action.BAN, Action.NOTHING),
        (400, -1021, Status.CLOCK_SKEW, Action.RESYNC, Action.NOTHING),
        (400, -1022, Status.UNAUTHORIZED, Action.REFUSE, Action.NOTHING),
        (401, -2014, Status.UNAUTHORIZED, Action.REFUSE, Action.NOTHING),
        (401, -2015, Status.UNAUTHORIZED, Action.REFUSE, Action.NOTHING),
        (401, -1002, Status.UNAUTHORIZED, Action.REFUSE, Action.NOTHING),
        (400, -1011, Status.UNAUTHORIZED, Action.REFUSE, Action.NOTHING),
        (400, -1099, Status.UNAUTHORIZED, Action.REFUSE, Action.NOTHING),
        (400, -2017, Status.UNAUTHORIZED, Action.REFUSE, Action.NOTHING),
        (400, -4056, Status.UNAUTHORIZED, Action.REFUSE, Action.NOTHING),
        (400, -4109, Status.UNAUTHORIZED, Action.REFUSE, Action.NOTHING),
        (401, -7777, Status.UNAUTHORIZED, Action.REFUSE, Action.NOTHING),
        (400, -1109, Status.EXCHANGE_ERROR, Action.RETRY, Action.REFUSE),
        (400, -1000, Status.EXCHANGE_ERROR, Action.RETRY, Action.NOTHING),
        (401, -1001, Status.EXCHANGE_ERROR, Action.RETRY, Action.NOTHING),
        (400, -1006, Status.EXCHANGE_ERROR, Action.RETRY, Action.NOTHING),
        (408, -1007, Status.EXCHANGE_ERROR, Action.RETRY, Action.NOTHING),
        (408, None, Status.EXCHANGE_ERROR, Action.RETRY, Action.NOTHING),
        (500, -7777, Status.EXCHANGE_ERROR, Action.RETRY, Action.NOTHING),
        (503, None, Status.EXCHANGE_ERROR, Action.RETRY, Action.NOTHING),
        (503, -1008, Status.EXCHANGE_ERROR, Action.RETRY, Action.BACK_OFF),
        (503, -1016, Status.EXCHANGE_ERROR, Action.BACK_OFF, Action.NOTHING),
        (403, 0, Status.EXCHANGE_ERROR, Action.BACK_OFF, Action.NOTHING),
        *(
            (400, code, Status.REJECTED, Action.ALERT, Action.NOTHING)
            for code in (-1100, -1101, -1102, -1103, -1104, -1105, -1106, -5000, -7777)
        ),
    ],
)
def test_a_refusal_becomes_a_status_and_an_action(
    status: int, code: int | None, expected: Status, action: Action, lasting: Action
) -> None:
    assert assess(status=status, code=code) == Verdict(expected, action, lasting)


def test_only_limits_and_bans_silence_the_whole_address() -> None:
    assert judge(refusal(429, -1003)).pauses
    assert judge(refusal(418, -1003)).pauses
    assert not judge(refusal(503, -1008)).pauses


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (NotConnectedError("x"), Verdict(Status.DISCONNECTED)),
        (ConnectionLostError("x"), Verdict(Status.DISCONNECTED, Action.RETRY)),
        (OversizedFrameError("x"), Verdict(Status.MALFORMED)),
        (RequestTimeoutError("x"), Verdict(Status.TIMEOUT)),
        (HandshakeError("x"), Verdict(Status.DISCONNECTED)),
        (HandshakeError("x", status=418), Verdict(Status.BANNED, Action.BAN)),
        (HandshakeError("x", status=429), Verdict(Status.RATE_LIMITED, Action.PAUSE)),
        (HandshakeError("x", status=403), Verdict(Status.EXCHANGE_ERROR, Action.BACK_OFF)),
        (HandshakeError("x", status=502), Verdict(Status.EXCHANGE_ERROR, Action.RETRY)),
    ],
)
def test_the_lack_of_a_reply_becomes_a_status_and_an_action(error: TransientError, verdict: Verdict) -> None:
    assert judge(error) == verdict


@given(
    status=st.none() | st.sampled_from(HTTPStatus) | st.integers(),
    code=st.none() | st.integers(-6000, 0) | st.integers(),
    failure=st.none() | st.sampled_from([ConnectionLostError("x"), ClockUnavailableError("x")]),
)
def test_every_answer_has_a_verdict_and_a_grave_one_outranks_all(
    status: int | None, code: int | None, failure: TransientError | None
) -> None:
    verdict = assess(status=status, code=code, failure=failure)

    assert (verdict.status is None) == (failure is None and code is None and status in {None, 200})
    if status == 418:
        assert verdict.action is Action.BAN


@pytest.mark.parametrize(
    ("frame", "action"),
    [
        (b'{"id":null,"status":429,"error":{"code":-1003,"msg":"x"}}', Action.PAUSE),
        (b'{"id":"late","status":418,"error":{"code":-1003,"msg":"x"}}', Action.BAN),
        (b'{"id":null,"status":503,"error":{"code":-1016,"msg":"x"}}', Action.BACK_OFF),
        (b'{"239999":"The system is under maintenance"}', Action.BACK_OFF),
        (b'{"id":null,"status":401,"error":{"code":-2015,"msg":"x"}}', Action.NOTHING),
        (b'{"id":"late","status":200,"result":{"239999":1}}', Action.NOTHING),
        (b'{"error":{"code":3,"msg":"Invalid JSON"}}', Action.NOTHING),
        (b'{"event":{"e":"serverShutdown"}}', Action.NOTHING),
        (b"<html>", Action.NOTHING),
        (b"\xff", Action.NOTHING),
    ],
)
def test_a_frame_without_a_request_concerns_only_the_address_or_the_market(frame: bytes, action: Action) -> None:
    assert overheard(frame)[0].action is action


def test_a_stored_message_holds_no_address_key_or_control_character() -> None:
    text = "IP(203.0.113.7) and 2001:db8:0:1::7, IP(***.***.***.***)\nkey SECRETKEY banned until 1615183669840"

    message = public_message(text, "SECRETKEY")

    assert message == "IP(***) and ***, IP(***)\N{REPLACEMENT CHARACTER}key *** banned until 1615183669840"
