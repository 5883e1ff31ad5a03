import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from poller.config import load
from poller.config.key_file import access_fault
from poller.errors import ConfigError
from poller.exchange.signing import hmac_signer

CONFIG = """
exchange: {environment: live}
accounts: [{name: main, api_key: "${KEY}", private_key_file: key.pem}]
"""
WORDS = """
exchange: {environment: live}
accounts: [{name: main, api_key_file: key.txt, api_secret_file: secret.txt}]
"""
WITH_PASSPHRASE = CONFIG.replace("key.pem", 'key.pem, private_key_passphrase: "${PASSPHRASE}"')
ENVIRON = {"KEY": "the-public-part", "PASSPHRASE": "open sesame"}


def pem(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | None = None,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    made = key or ed25519.Ed25519PrivateKey.generate()
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def config(tmp_path: Path, *, key: bytes, mode: int = 0o600, text: str = CONFIG) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(key)
    path.chmod(mode)
    (tmp_path / "config.yaml").write_text(text)
    return tmp_path / "config.yaml"


def problem_of(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, ENVIRON)
    (problem,) = caught.value.problems
    return problem


def test_a_private_key_is_read_once_and_signs(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    settings = load(config(tmp_path, key=pem(key)), ENVIRON | {"STATE_DIRECTORY": "/var/lib/poller"})
    (tmp_path / "key.pem").unlink()

    credentials = settings.accounts[0].credentials()

    assert credentials is not None
    assert credentials.api_key == "the-public-part"
    assert len(credentials.signer(b"payload")) == 88
    assert settings.secrets() == ("the-public-part", pem(key).decode())
    assert pem(key).decode().splitlines()[1] not in repr(settings)


def test_an_encrypted_private_key_needs_its_passphrase(tmp_path: Path) -> None:
    key = pem(encryption=BestAvailableEncryption(b"open sesame"))

    settings = load(config(tmp_path, key=key, text=WITH_PASSPHRASE), ENVIRON)

    assert settings.accounts[0].credentials() is not None
    assert "open sesame" in settings.secrets()
    assert problem_of(config(tmp_path, key=key)) == (
        "accounts[0].private_key_file: the private key is encrypted: it needs its passphrase"
    )


def test_a_wrong_passphrase_is_not_repeated(tmp_path: Path) -> None:
    key = pem(encryption=BestAvailableEncryption(b"another"))

    problem = problem_of(config(tmp_path, key=key, text=WITH_PASSPHRASE))

    assert problem.startswith("accounts[0].private_key_file: ")
    assert "passphrase is wrong" in problem
    assert "sesame" not in problem


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o666])
def test_a_key_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    problem = problem_of(config(tmp_path, key=pem(), mode=mode))

    assert problem == f"accounts[0].private_key_file: is open to others (mode {mode:04o}): chmod 600 it"


def test_systemd_guards_its_credentials_itself(tmp_path: Path) -> None:
    path = config(tmp_path, key=pem(), mode=0o440)

    assert load(path, ENVIRON | {"CREDENTIALS_DIRECTORY": str(tmp_path)}).accounts[0].credentials() is not None


@pytest.mark.parametrize(
    ("owner", "user", "fine"), [(0, 1000, True), (1000, 1000, True), (1001, 1000, False), (1001, 0, False)]
)
def test_a_key_file_belongs_to_its_user_or_to_root(owner: int, user: int, fine: bool) -> None:  # noqa: FBT001 — a column
    assert (access_fault(mode=0o100600, owner=owner, user=user) is None) is fine


def test_a_key_that_the_exchange_does_not_take_is_refused(tmp_path: Path) -> None:
    key = pem(ec.generate_private_key(ec.SECP256R1()))

    assert "RSA and Ed25519" in problem_of(config(tmp_path, key=key))


def test_the_public_half_is_told_apart(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key()

    problem = problem_of(config(tmp_path, key=key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)))

    assert problem == "accounts[0].private_key_file: holds a public key: the private one is needed"


@pytest.mark.parametrize("content", [b"", b"secret", pem() + b"#" * 70_000], ids=["empty", "no PEM", "too long"])
def test_a_file_without_a_private_key_is_refused(tmp_path: Path, content: bytes) -> None:
    problem = problem_of(config(tmp_path, key=content))

    assert problem == "accounts[0].private_key_file: holds no private key in PEM form"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = config(tmp_path, key=b"")
    (tmp_path / "key.pem").unlink()
    os.mkfifo(tmp_path / "key.pem", 0o600)

    assert problem_of(path) == "accounts[0].private_key_file: is not a file"


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    path = config(tmp_path, key=pem(), text=CONFIG.replace("key.pem", "key.pem/inside"))

    assert problem_of(path) == "accounts[0].private_key_file: cannot be read: Not a directory"


def words(tmp_path: Path, *, key: bytes = b"the-public-part\n", secret: bytes = b"s3cr3t", mode: int = 0o600) -> Path:
    for name, content in {"key.txt": key, "secret.txt": secret}.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(mode)
    (tmp_path / "config.yaml").write_text(WORDS)
    return tmp_path / "config.yaml"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_an_hmac_key_may_come_from_files(tmp_path: Path, end: bytes) -> None:
    settings = load(words(tmp_path, key=b"the-public-part" + end, secret=b"s3cr3t" + end), {})

    credentials = settings.accounts[0].credentials()
    assert credentials is not None
    assert (credentials.api_key, credentials.kind) == ("the-public-part", "HMAC")
    assert credentials.signer(b"x") == hmac_signer("s3cr3t")(b"x")
    assert settings.secrets() == ("the-public-part", "s3cr3t")
    assert "s3cr3t" not in f"{settings!r} {settings.model_dump_json()}"
    assert [warning for warning in settings.warnings() if warning.startswith("accounts")] == []


def test_files_of_an_hmac_key_are_guarded_like_private_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(words(tmp_path, mode=0o640), {})

    assert caught.value.problems == (
        "accounts[0].api_key_file: is open to others (mode 0640): chmod 600 it",
        "accounts[0].api_secret_file: is open to others (mode 0640): chmod 600 it",
    )
    assert load(words(tmp_path, mode=0o440), {"CREDENTIALS_DIRECTORY": str(tmp_path)}).accounts[0].credentials()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        *((text, "must be one word of ASCII characters") for text in (b"", b"\n", b"a b", b"a\n\n", b"a\nb", b"\xff")),
        (b"#" * 70_000 + b"\n", "is longer than 64 KiB"),
        (pem(), "is a private key: name its file in private_key_file instead"),
    ],
)
def test_a_file_of_an_hmac_key_holds_one_word(tmp_path: Path, content: bytes, what: str) -> None:
    problem = problem_of(words(tmp_path, secret=content))

    assert problem.startswith("accounts[0].api_secret_file: the file's content ")
    assert what in problem


def test_two_accounts_do_not_share_a_key_from_a_file(tmp_path: Path) -> None:
    path = words(tmp_path)
    again = "}, {name: other, api_key: the-public-part, api_secret: other}]"
    path.write_text(WORDS.replace("}]", again))

    assert problem_of(path) == "accounts[1].api_key: is the key of accounts[0] for usdm and accounts[0] for coinm too"
