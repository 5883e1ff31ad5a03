"""Files with secrets: read once, and refused, as ssh does, when others could have read or changed them."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretBytes, SecretStr

from poller.config.places import current, key_path
from poller.config.quantities import exchange_key
from poller.exchange.signing import Signer, private_key_signer

_LONGEST = 64 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class PrivateKeyFile:
    """A private key in PEM form as it was when the configuration was loaded."""

    path: Path
    pem: SecretBytes

    def signer(self, passphrase: SecretStr | None) -> Signer:
        """Return what signs with this key.

        Raises:
            ValueError: The key is of the wrong kind, or the passphrase does not open it.
        """
        return private_key_signer(
            self.pem.get_secret_value(), passphrase.get_secret_value().encode() if passphrase else None
        )


def read_key_file(text: object) -> PrivateKeyFile:
    """Return the key in the file that `text` names, relative to the configuration.

    Raises:
        ValueError: It cannot be read, is no private key, or is not the user's alone.
    """
    path, pem = _read_guarded(text)
    if fault := _content_fault(pem):
        raise ValueError(fault)
    return PrivateKeyFile(path=path, pem=SecretBytes(pem))


def read_word_file(text: object) -> str:
    """Return the API key or secret in the file that `text` names: one word, which may end with a line end.

    Raises:
        ValueError: It cannot be read, holds anything else, or is not the user's alone.
    """
    _, content = _read_guarded(text)
    if len(content) > _LONGEST:
        raise ValueError("the file's content is longer than 64 KiB")
    word = content.removesuffix(b"\n").removesuffix(b"\r").decode("ascii", errors="replace")
    try:
        return exchange_key(SecretStr(word)).get_secret_value()
    except ValueError as error:
        raise ValueError(f"the file's content {error}") from None


def _read_guarded(text: object) -> tuple[Path, bytes]:
    """Return where the file is and what is in it, of a file that is too long one byte too much."""
    path = key_path(text)
    try:
        # Opened without blocking, since a pipe would wait for its writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("is not a file")
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if fault := _guard_fault(path, status):
        raise ValueError(fault)
    return path, content


def _guard_fault(path: Path, status: os.stat_result) -> str | None:
    credentials = current().credentials
    if credentials and path.is_relative_to(credentials):
        return None  # systemd guards these by an access list, which shows as group rights
    return access_fault(mode=status.st_mode, owner=status.st_uid, user=os.geteuid())


def access_fault(*, mode: int, owner: int, user: int) -> str | None:
    """Return why a file of this mode and owner is no place for a key of `user`, or None."""
    if owner not in {user, 0}:
        return f"belongs to user {owner}, who could change it: it must belong to user {user}, who runs this, or to root"
    if mode & _OTHERS:
        return f"is open to others (mode {stat.S_IMODE(mode):04o}): chmod 600 it"
    return None


def _content_fault(pem: bytes) -> str | None:
    if b"PRIVATE KEY-----" in pem and len(pem) <= _LONGEST:
        return None
    if b"PUBLIC KEY-----" in pem:
        return "holds a public key: the private one is needed"
    return "holds no private key in PEM form"
