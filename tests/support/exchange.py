"""The simulated exchange for tests, and a client that shares no code with ours."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from poller.observation import Market
from poller.simulator import IssuedKey, SimulatedExchange
from poller.simulator.faults import Raw, Rewritten
from tests.support.secrecy import confide

METHODS = {Market.USDM: "v2/account.status", Market.COINM: "account.status"}

truncated = Rewritten(lambda body: body[: len(body) // 2])
"""The first half of the true reply."""

invalid_utf8 = Rewritten(lambda body: body.replace(b'"assets"', b'"\xff\xfe"'))
"""The true reply with bytes in it that are no text."""


def oversized(size: int) -> Rewritten:
    """Blow the true reply up to `size` bytes of valid JSON."""
    return Rewritten(lambda body: body + b" " * (size - len(body)))


def nested(depth: int) -> Raw:
    """Reply with a result of absurdly many arrays in each other."""
    return Raw(b'{"id":<id>,"status":200,"result":' + b"[" * depth + b"]" * depth + b"}")


class SteppedClock:
    """A clock that moves only when it is told to; seconds since the epoch."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="exchange")
async def _exchange(request: pytest.FixtureRequest) -> AsyncIterator[SimulatedExchange]:
    """A started exchange with an HMAC account `main`.

    For other settings, parametrize it indirectly with a function that builds one.
    """
    build: Callable[[], SimulatedExchange] = getattr(request, "param", SimulatedExchange)
    async with build() as exchange:
        key = exchange.add_account("main")
        confide(key.api_key, key.api_secret)
        yield exchange


def request_frame(key: IssuedKey, method: str, *, request_id: object = "1", **params: object) -> str:
    """Write a signed request; `params` must hold the timestamp, as it is to be sent."""
    return json.dumps({"id": request_id, "method": method, "params": signed(key, params)})


def signed(key: IssuedKey, params: Mapping[str, object]) -> dict[str, object]:
    """Add the API key and the signature, made with other code than the exchange's and ours."""
    named = {"apiKey": key.api_key, **params}
    text = "&".join(f"{name}={json.dumps(value).strip(chr(34))}" for name, value in sorted(named.items()))
    return {**named, "signature": _signature(key, text.encode())}


def _signature(key: IssuedKey, payload: bytes) -> str:
    if key.api_secret is not None:
        return hmac.new(key.api_secret.encode(), payload, hashlib.sha256).hexdigest()
    assert key.private_key_pem is not None
    private_key = load_pem_private_key(key.private_key_pem, password=None)
    if isinstance(private_key, rsa.RSAPrivateKey):
        return base64.b64encode(private_key.sign(payload, padding.PKCS1v15(), SHA256())).decode()
    assert isinstance(private_key, ed25519.Ed25519PrivateKey)
    return base64.b64encode(private_key.sign(payload)).decode()
