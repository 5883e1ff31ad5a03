"""Which requests are served and with which error the others are refused."""

import json

import pytest

from poller.simulator.accounts import Account
from poller.simulator.keys import Keyring, KeyType
from poller.simulator.refusal import RefusedError
from poller.simulator.requests import Request, authenticate, decode, payload, wants_rate_limits
from tests.support.exchange import signed

NOW_MS = 1_795_245_600_000


@pytest.fixture(name="keyring")
def _keyring() -> Keyring:
    return Keyring()


def refusal(keyring: Keyring, params: dict[str, object]) -> tuple[int, int]:
    with pytest.raises(RefusedError) as refused:
        authenticate(keyring, params, NOW_MS)
    return refused.value.refusal.status, refused.value.refusal.code


@pytest.mark.parametrize("key_type", ["hmac", "rsa", "ed25519"])
def test_a_signature_is_valid_for_its_key_and_its_parameters_only(keyring: Keyring, key_type: KeyType) -> None:
    account = Account(label="main")
    key, other = keyring.issue(account, key_type), keyring.issue(account, key_type)
    params = signed(key, {"timestamp": NOW_MS, "recvWindow": "5000", "returnRateLimits": False})

    assert authenticate(keyring, params, NOW_MS) == account
    assert refusal(keyring, {**params, "recvWindow": "5001"}) == (400, -1022)
    assert refusal(keyring, {**params, "signature": signed(other, {"timestamp": NOW_MS})["signature"]}) == (400, -1022)
    assert refusal(keyring, {**params, "signature": "no base64, no hex: é"}) == (400, -1022)


@pytest.mark.parametrize(
    ("timestamp", "recv_window", "code"),
    [
        (NOW_MS - 5000, None, None),
        (NOW_MS - 5001, None, -1021),
        (NOW_MS + 999, None, None),
        (NOW_MS + 1000, None, -1021),
        (NOW_MS - 100, 100, None),
        (NOW_MS - 101, 100, -1021),
        (NOW_MS - 60_000, 60_000, None),
        (NOW_MS, 60_001, -1131),
    ],
)
def test_a_request_is_served_only_near_its_timestamp(
    keyring: Keyring, timestamp: int, recv_window: int | None, code: int | None
) -> None:
    key = keyring.issue(Account(label="main"), "hmac")
    window = {} if recv_window is None else {"recvWindow": recv_window}
    params = signed(key, {"timestamp": timestamp, **window})

    if code is None:
        assert authenticate(keyring, params, NOW_MS).label == "main"
    else:
        assert refusal(keyring, params) == (400, code)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"apiKey": None}, (400, -1102)),
        ({"apiKey": ""}, (400, -1102)),
        ({"apiKey": "short"}, (401, -2014)),
        ({"apiKey": "é" * 64}, (401, -2014)),
        ({"apiKey": "A" * 64}, (401, -2015)),
        ({"signature": None}, (400, -1102)),
        ({"timestamp": None}, (400, -1102)),
        ({"timestamp": "soon"}, (400, -1102)),
        ({"timestamp": "²"}, (400, -1102)),
        ({"timestamp": -1}, (400, -1102)),
        ({"recvWindow": True}, (400, -1102)),
    ],
)
def test_missing_and_malformed_parameters_are_named(
    keyring: Keyring, change: dict[str, object], expected: tuple[int, int]
) -> None:
    key = keyring.issue(Account(label="main"), "hmac")

    assert refusal(keyring, {**signed(key, {"timestamp": NOW_MS}), **change}) == expected


def test_a_revoked_key_is_unknown(keyring: Keyring) -> None:
    key = keyring.issue(Account(label="main"), "hmac")
    keyring.revoke("main")

    assert refusal(keyring, signed(key, {"timestamp": NOW_MS})) == (401, -2015)


def test_the_payload_is_sorted_by_name_and_not_url_encoded() -> None:
    params: dict[str, object] = {"timestamp": 1, "symbol": "币安人生USDT", "apiKey": "a+b", "signature": "x", "f": True}

    assert payload(params) == "apiKey=a+b&f=true&symbol=币安人生USDT&timestamp=1"


@pytest.mark.parametrize("request_id", ["a", 7, None])
def test_a_request_keeps_the_type_of_its_id(request_id: str | int | None) -> None:
    frame = json.dumps({"id": request_id, "method": "m", "params": {"a": 1}})

    assert decode(frame) == Request(request_id, "m", {"a": 1})


def test_numbers_keep_the_spelling_that_was_signed() -> None:
    assert payload(decode('{"id":1,"method":"m","params":{"a":1.50,"b":1e3}}').params) == "a=1.50&b=1e3"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", -1135),
        ("{", -1135),
        ("[]", -1135),
        ('{"id":1,"method":"m","params":{"timestamp":NaN}}', -1135),
        ("[" * 100_000, -1135),
        ('{"id":1}', -1102),
        ('{"id":true,"method":"m"}', -1102),
        ('{"id":1.5e0,"method":1}', -1102),
        ('{"id":1,"method":"m","params":[]}', -1102),
    ],
)
def test_a_frame_that_is_no_request_is_refused(frame: str, code: int) -> None:
    with pytest.raises(RefusedError) as refused:
        decode(frame)

    assert refused.value.refusal.code == code


@pytest.mark.parametrize(
    ("given", "default", "expected"),
    [(False, True, False), ("false", True, False), ("true", False, True), (None, True, True), (None, False, False)],
)
def test_a_request_may_ask_for_no_rate_limits(given: object, default: bool, expected: bool) -> None:  # noqa: FBT001 - parametrized
    params = {} if given is None else {"returnRateLimits": given}

    assert wants_rate_limits(params, default=default) is expected


def test_a_key_shows_nothing_of_itself(keyring: Keyring) -> None:
    for key_type in ("hmac", "ed25519"):
        key = keyring.issue(Account(label="main"), key_type)
        assert repr(key) == "IssuedKey()"
