import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.exchange.frames import Unexpected, decode_envelope, decode_event, unaddressed
from poller.exchange.messages import Envelope, RemoteError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_an_envelope_is_decoded_without_its_result() -> None:
    body = b'{"result":{"assets":["\xff"]},"status":200,"id":"x","new":{"id":"y"}}'

    assert decode_envelope(body) == Envelope(id="x", status=200)


@pytest.mark.parametrize(
    "limits", ["null", "[{}]", '[{"rateLimitType":1}]', '"none"', '[{"rateLimitType":"REQUEST_WEIGHT"}]']
)
def test_rate_limits_of_another_form_cost_only_themselves(limits: str) -> None:
    body = f'{{"id":"x","status":429,"error":{{"code":-1003,"msg":"Too much"}},"rateLimits":{limits}}}'

    assert decode_envelope(body.encode()) == Envelope(id="x", status=429, error=RemoteError(code=-1003, msg="Too much"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"<html>",
        b'{"id":"x"',
        b'{"id":"x","status":"200"}',
        b'{"id":"x","status":1e400}',
        b'{"id":"x","status":' + b"9" * 5000 + b"}",
        b'{"id":"x","result":NaN}',
        b'{"id":"x","result":' + b"[" * 300_000 + b"]" * 300_000 + b"}",
        b'{"id":"x","error":{"code":"-1"}}',
        b'{"id":"\xff"}',
        b'{"id":"\\ud800"}',
        b'\xef\xbb\xbf{"id":"x"}',
        b'{"id":"x"} {"id":"y"}',
        b'{"id":1.5}',
    ],
)
def test_what_is_no_envelope_is_none(body: bytes) -> None:
    assert decode_envelope(body) is None


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_whatever_break_the_decoding(body: bytes) -> None:
    envelope = decode_envelope(body)
    decode_event(body)

    if envelope is not None:
        unaddressed(envelope, body)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"e":"serverShutdown","E":1702620814781}', "serverShutdown"),
        (b'{"event":{"e":"serverShutdown"}}', "serverShutdown"),
        (b'{"e":7}', None),
        (b'{"event":"serverShutdown"}', None),
        (b'{"event":{}}', None),
        (b"{}", None),
        (b"serverShutdown", None),
    ],
)
def test_an_event_is_known_bare_or_wrapped(body: bytes, name: str | None) -> None:
    assert decode_event(body) == name


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"e":"serverShutdown"}', Unexpected.EVENT),
        (b'{"id":null,"status":401}', Unexpected.NULL_ID),
        (b'{"error":{"code":3}}', Unexpected.NULL_ID),
        (b'{"239999":"The system is under maintenance"}', Unexpected.FOREIGN),
    ],
)
def test_a_frame_without_an_id_is_told_apart(body: bytes, kind: Unexpected) -> None:
    envelope = decode_envelope(body)

    assert envelope is not None
    assert unaddressed(envelope, body) is kind
