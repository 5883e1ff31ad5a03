"""Signing of requests, pure: no clock, no socket, no file.

The exchange verifies the signature of a WebSocket request over its own rendering of the parameters, so ours must be the
same to the byte: every parameter but the signature, sorted by name, `name=value` joined by `&`, in UTF-8 and *not*
URL-encoded (encoding it breaks symbols outside ASCII, which the exchange has). Over REST it verifies the query string
as it came.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn
from urllib.parse import quote, urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

Params = dict[str, str | int]
"""Parameters of a request, as they are sent."""


class KeyKind(StrEnum):
    """What a key signs with."""

    HMAC = "HMAC"
    RSA = "RSA"
    ED25519 = "Ed25519"


@dataclass(frozen=True, slots=True, eq=False)
class Signer:
    """Returns the text of the signature over a payload."""

    kind: KeyKind
    sign: Callable[[bytes], str] = field(repr=False)

    def __call__(self, payload: bytes) -> str:
        """Return the signature."""
        return self.sign(payload)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Credentials:
    """An API key and what signs in its name; neither can be printed or pickled."""

    api_key: str
    signer: Signer

    @property
    def kind(self) -> KeyKind:
        """What the key signs with."""
        return self.signer.kind

    def __repr__(self) -> str:
        return "Credentials(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not pickled or copied")


def hmac_signer(secret: str) -> Signer:
    """Sign with HMAC-SHA256, in lower-case hexadecimal.

    Raises:
        ValueError: The secret is empty.
    """
    if not secret:
        raise ValueError("the API secret is empty")
    key = secret.encode()

    def sign(payload: bytes) -> str:
        return hmac.new(key, payload, hashlib.sha256).hexdigest()

    return Signer(KeyKind.HMAC, sign)


def private_key_signer(pem: bytes, passphrase: bytes | None = None) -> Signer:
    """Sign with the private key in `pem`: RSA (PKCS #1 v1.5, SHA-256) or Ed25519, in base64.

    Raises:
        ValueError: The key cannot be read, or is of a kind that the exchange does not take.
    """
    key = _load(pem, passphrase or None)
    if isinstance(key, rsa.RSAPrivateKey):
        return _rsa_signer(key)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return _ed25519_signer(key)
    kind = type(key).__name__.removesuffix("PrivateKey").lstrip("_")
    raise ValueError(f"the private key is of kind {kind}: the exchange takes RSA and Ed25519")


def payload(params: Mapping[str, str | int]) -> bytes:
    """Return the bytes to sign for `params`, whatever their order."""
    return "&".join(f"{name}={value}" for name, value in sorted(params.items()) if name != "signature").encode()


def signed_params(credentials: Credentials, *, timestamp_ms: int, recv_window_ms: int | None = None) -> Params:
    """Return the parameters of a request that asks for nothing but the account of `credentials`.

    The exchange accepts them from 1,000 ms before `timestamp_ms`, by its own clock, to `recv_window_ms` after it (5,000
    when it is None).
    """
    params: Params = {"apiKey": credentials.api_key, "timestamp": timestamp_ms}
    if recv_window_ms is not None:
        params["recvWindow"] = recv_window_ms
    params["signature"] = credentials.signer(payload(params))
    return params


def signed_query(credentials: Credentials, *, timestamp_ms: int, recv_window_ms: int) -> str:
    """Return the same as the query string of a REST request, whose header `X-MBX-APIKEY` is to name the key.

    It is signed as it is sent: two integers, which nothing on the way spells in another way. The signature itself is
    encoded for base64's sake, and no part of what it signs.
    """
    query = urlencode({"recvWindow": recv_window_ms, "timestamp": timestamp_ms})
    return f"{query}&signature={quote(credentials.signer(query.encode()), safe='')}"


def _load(pem: bytes, passphrase: bytes | None) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem, passphrase)
    except TypeError as exc:
        hint = (
            "is encrypted: it needs its passphrase" if passphrase is None else "is not encrypted, yet has a passphrase"
        )
        raise ValueError(f"the private key {hint}") from exc
    except UnsupportedAlgorithm as exc:
        raise ValueError("the private key is of an unknown kind: the exchange takes RSA and Ed25519") from exc
    except ValueError as exc:
        hint = "" if passphrase is None else ", or its passphrase is wrong"
        raise ValueError(f"this is not a private key in PEM form{hint}") from exc


def _rsa_signer(key: rsa.RSAPrivateKey) -> Signer:
    def sign(data: bytes) -> str:
        return base64.b64encode(key.sign(data, padding.PKCS1v15(), hashes.SHA256())).decode()

    return Signer(KeyKind.RSA, sign)


def _ed25519_signer(key: ed25519.Ed25519PrivateKey) -> Signer:
    def sign(data: bytes) -> str:
        return base64.b64encode(key.sign(data)).decode()

    return Signer(KeyKind.ED25519, sign)
