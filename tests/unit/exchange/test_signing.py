"""Signatures against those of the openssl command and of published examples."""

import base64
import copy
import pickle
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from poller.exchange.signing import (
    Credentials,
    KeyKind,
    Signer,
    hmac_signer,
    payload,
    private_key_signer,
    signed_params,
    signed_query,
)

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is the other side")

PAYLOADS = [
    b"apiKey=abc&timestamp=1702620814781",
    b"apiKey=abc&recvWindow=5000&timestamp=1702620814781",
    "apiKey=abc&symbol=币安人生USDT&timestamp=1702620814781".encode(),
    b"note=a b%20+/=&\xc3\xbc",
    b"",
]

# The exchange's documentation of its WebSocket API, "SIGNED request example (HMAC)": key and secret are public there.
DOCUMENTED_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
DOCUMENTED_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
DOCUMENTED_PARAMS: dict[str, str | int] = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01000000",
    "price": "52000.00",
    "newOrderRespType": "ACK",
    "recvWindow": 100,
    "timestamp": 1645423376532,
    "apiKey": DOCUMENTED_KEY,
}


def _openssl(*args: str | Path, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *args], input=stdin, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def rsa_pem() -> bytes:
    return _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")


@pytest.fixture(scope="module")
def ed25519_pem() -> bytes:
    return _openssl("genpkey", "-algorithm", "ED25519")


def test_the_documented_example_gives_the_documented_signature() -> None:
    assert payload(DOCUMENTED_PARAMS).startswith(b"apiKey=vmPUZE6mv9SD5VNH")
    assert payload(DOCUMENTED_PARAMS).endswith(
        b"&newOrderRespType=ACK&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT"
        b"&timeInForce=GTC&timestamp=1645423376532&type=LIMIT"
    )
    assert (
        hmac_signer(DOCUMENTED_SECRET)(payload(DOCUMENTED_PARAMS))
        == "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"
    )


def test_the_ed25519_example_of_rfc_8032_gives_its_signature() -> None:
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    sign = private_key_signer(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    assert base64.b64decode(sign(b"\x72")).hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


@needs_openssl
@pytest.mark.parametrize("data", PAYLOADS)
def test_hmac_signatures_are_those_of_openssl(data: bytes) -> None:
    told = _openssl("dgst", "-sha256", "-hmac", "s3cret/with+signs=", stdin=data).decode().split("= ")[1].strip()

    assert hmac_signer("s3cret/with+signs=")(data) == told


@needs_openssl
@pytest.mark.parametrize("data", PAYLOADS)
def test_rsa_signatures_are_those_of_openssl(data: bytes, rsa_pem: bytes, tmp_path: Path) -> None:
    key = tmp_path / "rsa.pem"
    key.write_bytes(rsa_pem)
    told = _openssl("dgst", "-sha256", "-sign", key, stdin=data)

    assert private_key_signer(rsa_pem)(data) == base64.b64encode(told).decode()


@needs_openssl
@pytest.mark.parametrize("data", PAYLOADS[:-1])  # openssl signs no empty file with Ed25519
def test_ed25519_signatures_are_those_of_openssl(data: bytes, ed25519_pem: bytes, tmp_path: Path) -> None:
    key, message = tmp_path / "ed25519.pem", tmp_path / "message"
    key.write_bytes(ed25519_pem)
    message.write_bytes(data)
    told = _openssl("pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", message)

    assert private_key_signer(ed25519_pem)(data) == base64.b64encode(told).decode()


@needs_openssl
@pytest.mark.parametrize("encrypt", [("pkey", "-aes256"), ("pkey", "-traditional", "-aes128")])
def test_an_encrypted_key_signs_like_the_plain_one(encrypt: tuple[str, ...], rsa_pem: bytes) -> None:
    encrypted = _openssl(*encrypt, "-passout", "pass:open sesame", stdin=rsa_pem)

    assert private_key_signer(encrypted, b"open sesame")(b"x") == private_key_signer(rsa_pem)(b"x")


@needs_openssl
@pytest.mark.parametrize("passphrase", [None, b"", b"wrong"])
def test_an_encrypted_key_needs_its_passphrase(passphrase: bytes | None, ed25519_pem: bytes) -> None:
    encrypted = _openssl("pkey", "-aes256", "-passout", "pass:open sesame", stdin=ed25519_pem)

    with pytest.raises(ValueError, match="passphrase") as caught:
        private_key_signer(encrypted, passphrase)
    assert "wrong" not in str(caught.value).replace("passphrase is wrong", "")


@needs_openssl
def test_a_passphrase_for_a_plain_key_is_a_mistake(rsa_pem: bytes) -> None:
    with pytest.raises(ValueError, match="is not encrypted"):
        private_key_signer(rsa_pem, b"open sesame")


@needs_openssl
@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"), "EC"),
        (("-algorithm", "ED448"), "Ed448"),
        (("-algorithm", "X25519"), "X25519"),
    ],
)
def test_a_kind_of_key_that_the_exchange_does_not_take_is_named(options: tuple[str, ...], kind: str) -> None:
    with pytest.raises(ValueError, match=f"of kind {kind}: the exchange takes RSA and Ed25519"):
        private_key_signer(_openssl("genpkey", *options))


@needs_openssl
def test_a_kind_of_key_that_nobody_knows_is_refused() -> None:
    exotic = _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp112r1")

    with pytest.raises(ValueError, match="the exchange takes RSA and Ed25519"):
        private_key_signer(exotic)


@needs_openssl
def test_a_public_key_is_not_a_private_key(rsa_pem: bytes) -> None:
    with pytest.raises(ValueError, match="not a private key in PEM form"):
        private_key_signer(_openssl("pkey", "-pubout", stdin=rsa_pem))


@pytest.mark.parametrize(
    "junk", [b"", b"secret", b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n"]
)
def test_junk_is_not_a_private_key(junk: bytes) -> None:
    with pytest.raises(ValueError, match="not a private key in PEM form") as caught:
        private_key_signer(junk)
    assert "QUJD" not in str(caught.value)


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        hmac_signer("")


def test_values_are_signed_as_they_are_and_not_url_encoded() -> None:
    assert payload({"symbol": "币安人生USDT", "note": "a b&c=d/é"}) == "note=a b&c=d/é&symbol=币安人生USDT".encode()


@given(data=st.data(), params=st.dictionaries(st.text(), st.text() | st.integers()))
def test_the_payload_does_not_depend_on_the_order_of_insertion(
    data: st.DataObject, params: dict[str, str | int]
) -> None:
    shuffled = dict(data.draw(st.permutations(list(params.items()))))

    assert payload(shuffled) == payload(params)


def test_a_signature_is_no_part_of_what_is_signed() -> None:
    assert payload({"timestamp": 1, "signature": "x", "apiKey": "k"}) == b"apiKey=k&timestamp=1"


@pytest.mark.parametrize(
    ("recv_window_ms", "signed"),
    [(None, b"apiKey=key&timestamp=1702620814781"), (5000, b"apiKey=key&recvWindow=5000&timestamp=1702620814781")],
)
def test_signed_params_hold_what_was_signed_and_the_signature(recv_window_ms: int | None, signed: bytes) -> None:
    params = signed_params(
        Credentials("key", Signer(KeyKind.HMAC, bytes.hex)), timestamp_ms=1702620814781, recv_window_ms=recv_window_ms
    )

    assert params.pop("signature") == signed.hex()
    assert payload(params) == signed


def test_credentials_tell_their_kind(rsa_pem: bytes, ed25519_pem: bytes) -> None:
    signers = (hmac_signer("secret"), private_key_signer(rsa_pem), private_key_signer(ed25519_pem))

    assert [Credentials("key", signer).kind for signer in signers] == ["HMAC", "RSA", "Ed25519"]


def test_a_query_string_is_signed_as_it_is_sent() -> None:
    signed: list[bytes] = []

    def sign(data: bytes) -> str:
        signed.append(data)
        return "a+b/c=="

    query = signed_query(
        Credentials("key", Signer(KeyKind.HMAC, sign)), timestamp_ms=1795245600123, recv_window_ms=5000
    )

    assert query == "recvWindow=5000&timestamp=1795245600123&signature=a%2Bb%2Fc%3D%3D"
    assert signed == [b"recvWindow=5000&timestamp=1795245600123"]


def test_credentials_cannot_be_printed_pickled_or_copied() -> None:
    credentials = Credentials("the-api-key", hmac_signer("the-api-secret"))

    assert "the-api" not in f"{credentials} {credentials!r} {[credentials]} {credentials.signer!r}"
    for spread in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled or copied"):
            spread(credentials)
