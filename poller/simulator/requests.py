"""What a client may send: the frame, its parameters, and the proof that they come from an account. No sockets here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from poller.simulator.accounts import Account
from poller.simulator.keys import KEY_CHARACTERS, KEY_LENGTH, Keyring, Verify
from poller.simulator.refusal import RefusedError, refuse

Id = str | int | None

_DEFAULT_RECV_WINDOW_MS = 5_000
_LONGEST_RECV_WINDOW_MS = 60_000
_FUTURE_TOLERANCE_MS = 1_000


@dataclass(frozen=True, slots=True)
class Request:
    """A frame that is at least one: `id` is echoed, `params` are as sent."""

    id: Id
    method: str
    params: Mapping[str, object]


def decode(frame: str) -> Request:
    """Read a request.

    Raises:
        RefusedError: It is not a JSON object with an id, a method and parameters of the documented types.
    """
    try:
        # Numbers that are no integers keep their spelling, because the signature is over the parameters as sent.
        document = json.loads(frame, parse_float=str, parse_constant=_not_json)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise refuse(400, -1135, "Invalid JSON")
    request_id, method, params = document.get("id"), document.get("method"), document.get("params", {})
    if isinstance(request_id, bool) or not isinstance(request_id, str | int | None):
        raise _missing("id")
    if not isinstance(method, str) or not isinstance(params, dict):
        raise _missing("params" if isinstance(method, str) else "method")
    return Request(request_id, method, params)


def authenticate(keyring: Keyring, params: Mapping[str, object], server_ms: int) -> Account:
    """Return the account that signed `params`.

    Raises:
        RefusedError: It cannot be told, or the request is not of this moment.
    """
    account, verify = _key_owner(keyring, _text_parameter(params, "apiKey"))
    signature = _text_parameter(params, "signature")
    _check_time(params, server_ms)
    if not verify(payload(params).encode(), signature):
        raise refuse(400, -1022, "Signature for this request is not valid.")
    return account


def authenticate_query(keyring: Keyring, api_key: str, query: str, server_ms: int) -> Account:
    """Return the account that signed a REST request: over its query string as sent, but for the signature.

    Raises:
        RefusedError: It cannot be told, or the request is not of this moment.
    """
    account, verify = _key_owner(keyring, api_key)
    params = dict(parse_qsl(query, keep_blank_values=True))
    signature = _text_parameter(params, "signature")
    _check_time(params, server_ms)
    signed = "&".join(part for part in query.split("&") if not part.startswith("signature="))
    if not verify(signed.encode(), signature):
        raise refuse(400, -1022, "Signature for this request is not valid.")
    return account


def payload(params: Mapping[str, object]) -> str:
    """Join all parameters but the signature as the signature covers them: by name, and not URL-encoded."""
    return "&".join(f"{name}={_as_sent(params[name])}" for name in sorted(params) if name != "signature")


def wants_rate_limits(params: Mapping[str, object], *, default: bool) -> bool:
    """Return whether the reply shows the limits."""
    return {"true": True, "false": False}.get(_as_sent(params.get("returnRateLimits")), default)


def _key_owner(keyring: Keyring, api_key: str) -> tuple[Account, Verify]:
    if len(api_key) != KEY_LENGTH or not KEY_CHARACTERS.issuperset(api_key):
        raise refuse(401, -2014, "API-key format invalid.")
    owner = keyring.find(api_key)
    if owner is None:
        raise refuse(401, -2015, "Invalid API-key, IP, or permissions for action.")
    return owner


def _check_time(params: Mapping[str, object], server_ms: int) -> None:
    timestamp = _integer_parameter(params, "timestamp")
    recv_window = _integer_parameter(params, "recvWindow") if "recvWindow" in params else _DEFAULT_RECV_WINDOW_MS
    if recv_window > _LONGEST_RECV_WINDOW_MS:
        raise refuse(400, -1131, "recvWindow must be less than 60000.")
    if timestamp >= server_ms + _FUTURE_TOLERANCE_MS:
        raise refuse(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if server_ms - timestamp > recv_window:
        raise refuse(400, -1021, "Timestamp for this request is outside of the recvWindow.")


def _text_parameter(params: Mapping[str, object], name: str) -> str:
    given = params.get(name)
    if not isinstance(given, str) or not given:
        raise _missing(name)
    return given


def _integer_parameter(params: Mapping[str, object], name: str) -> int:
    given = _as_sent(params.get(name))
    longest_int64 = 19
    if not given.isascii() or not given.isdigit() or len(given) > longest_int64:
        raise _missing(name)
    return int(given)


def _missing(name: str) -> RefusedError:
    return refuse(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def _as_sent(given: object) -> str:
    return given if isinstance(given, str) else json.dumps(given, separators=(",", ":"), ensure_ascii=False)


def _not_json(constant: str) -> None:
    raise ValueError(constant)
