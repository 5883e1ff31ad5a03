"""API keys: made here for each process, and the three ways in which a request proves that it has one."""

import base64
import binascii
import hashlib
import hmac
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from poller.simulator.accounts import Account

KeyType = Literal["hmac", "rsa", "ed25519"]
Verify = Callable[[bytes, str], bool]
"""Whether a signature, as sent, belongs to a payload."""

KEY_LENGTH = 64
KEY_CHARACTERS = frozenset(string.ascii_letters + string.digits)
_RSA_BITS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """What a customer gets: `api_secret` for an HMAC key, `private_key_pem` (PKCS #8) for the others."""

    api_key: str = field(repr=False)
    api_secret: str | None = field(default=None, repr=False)
    private_key_pem: bytes | None = field(default=None, repr=False)


class Keyring:
    """All keys that were issued and not revoked."""

    def __init__(self) -> None:
        self._issued: dict[str, tuple[Account, Verify]] = {}

    def issue(self, account: Account, key_type: KeyType) -> IssuedKey:
        """Make a key of `account`."""
        key, verify = _make(key_type)
        self._issued[key.api_key] = account, verify
        return key

    def revoke(self, label: str) -> None:
        """Forget all keys of an account."""
        self._issued = {key: entry for key, entry in self._issued.items() if entry[0].label != label}

    def change(self, account: Account) -> None:
        """Let all keys of an account be of the account as it is now."""
        for key, (owner, verify) in self._issued.items():
            if owner.label == account.label:
                self._issued[key] = account, verify

    def find(self, api_key: str) -> tuple[Account, Verify] | None:
        """Return whose key it is and how its signatures are verified."""
        return self._issued.get(api_key)


def _make(key_type: KeyType) -> tuple[IssuedKey, Verify]:
    match key_type:
        case "hmac":
            return _make_hmac()
        case "rsa":
            return _make_rsa()
        case "ed25519":
            return _make_ed25519()
        case _:
            assert_never(key_type)


def _make_hmac() -> tuple[IssuedKey, Verify]:
    secret = _random_text()

    def verify(payload: bytes, signature: str) -> bool:
        expected = hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))

    return IssuedKey(api_key=_random_text(), api_secret=secret), verify


def _make_rsa() -> tuple[IssuedKey, Verify]:
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    public_key = private_key.public_key()

    def check(signature: bytes, payload: bytes) -> None:
        public_key.verify(signature, payload, padding.PKCS1v15(), hashes.SHA256())

    return _issued(private_key), _verify_base64(check)


def _make_ed25519() -> tuple[IssuedKey, Verify]:
    private_key = ed25519.Ed25519PrivateKey.generate()
    return _issued(private_key), _verify_base64(private_key.public_key().verify)


def _issued(private_key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> IssuedKey:
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return IssuedKey(api_key=_random_text(), private_key_pem=pem)


def _verify_base64(check: Callable[[bytes, bytes], None]) -> Verify:
    def verify(payload: bytes, signature: str) -> bool:
        try:
            check(base64.b64decode(signature, validate=True), payload)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True

    return verify


def _random_text() -> str:
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(KEY_LENGTH))
