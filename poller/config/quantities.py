"""Durations, sizes, names and secrets as the file writes them. Every fault is a `ValueError` that states the rule."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ByteSize, PlainValidator, SecretStr

_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SIZE = re.compile(r"[0-9]{1,9} ?(?:[KMGT]i?)?B", re.ASCII | re.IGNORECASE)
_SHARE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_LISTEN = re.compile(
    r"off|(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):"
    r"(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
)
_MINUTE = 60
_DAY = 86_400
_LONGEST_DAYS = 36_500
_MEBIBYTE = 2**20


def seconds(text: object) -> int:
    """Return the seconds of a duration such as `10s`, `5m`, `24h` or `7d`."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("must be a whole number with a unit (s, m, h or d), such as 10s")
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def _interval_seconds(text: object) -> int:
    interval = seconds(text)
    if not 1 <= interval <= _DAY:
        raise ValueError("must be from 1s to 1d: a poll gets 0.8 of it, and less than 0.8 seconds hold no reply")
    return interval


def _keep_seconds(text: object) -> int:
    keep = seconds(text)
    if not _MINUTE <= keep <= 365 * _DAY:
        raise ValueError("must be from 1m to 365d")
    return keep


def _age_seconds(text: object) -> int | None:
    if text == "forever":
        return None
    try:
        age = seconds(text)
    except ValueError as error:
        raise ValueError(f"{error}, or forever") from None
    if not _DAY <= age <= _LONGEST_DAYS * _DAY:
        raise ValueError("must be from 1d to 36500d, or forever")
    return age


def _size_text(text: object) -> object:
    # ByteSize ignores what follows the unit, and reads `1G` as a power of ten but `1Gi` as nothing.
    if not isinstance(text, str) or not _SIZE.fullmatch(text):
        raise ValueError("must be a whole number with a unit (B, KB, KiB, MB, MiB, GB, GiB, TB, TiB), such as 1GiB")
    return text


def _spool_size(size: ByteSize) -> ByteSize:
    if not _MEBIBYTE <= size <= _MEBIBYTE * _MEBIBYTE:
        raise ValueError("must be from 1MiB to 1TiB")
    return size


def _share(text: object) -> float:
    match = _SHARE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("must be a decimal number, such as 0.5")
    share = float(match[0])
    if not 0 < share <= 1:
        raise ValueError("must be above 0 and at most 1: it is our part of the weight that one IP has")
    return share


def _listen(text: object) -> str:
    if not isinstance(text, str) or not _LISTEN.fullmatch(text):
        raise ValueError("must be an address and a port, such as 127.0.0.1:8080 or [::1]:8080, or off")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            "must be 1 to 64 characters a-z, A-Z, 0-9, `.`, `_` or `-`, the first a letter or a digit; "
            "choose well, since history is stored under it"
        )
    return text


def _host_name(text: str) -> str:
    if not _HOST_NAME.fullmatch(text):
        raise ValueError("must be the name of a host, such as poller.example.com, without a scheme or a port")
    return text.lower()


def exchange_key(secret: SecretStr) -> SecretStr:
    """Return an API key or secret as it is.

    Raises:
        ValueError: It is none.
    """
    text = secret.get_secret_value()
    if "PRIVATE KEY" in text:
        raise ValueError("is a private key: name its file in private_key_file instead")
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be one word of ASCII characters, without spaces or line ends")
    return secret


def _passphrase(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value():
        raise ValueError("must not be empty")
    return secret


def _flag(text: object) -> bool:
    # What else YAML 1.1 takes for true (yes, on, 1) is a mistake more often than it is meant.
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


Interval = Annotated[int, PlainValidator(_interval_seconds)]
Keep = Annotated[int, PlainValidator(_keep_seconds)]
Listen = Annotated[str, PlainValidator(_listen)]
Age = Annotated[int | None, PlainValidator(_age_seconds)]
Share = Annotated[float, PlainValidator(_share)]
SpoolSize = Annotated[ByteSize, BeforeValidator(_size_text), AfterValidator(_spool_size)]
Name = Annotated[str, AfterValidator(_name)]
HostName = Annotated[str, AfterValidator(_host_name)]
ExchangeKey = Annotated[SecretStr, AfterValidator(exchange_key)]
Flag = Annotated[bool, PlainValidator(_flag)]
Passphrase = Annotated[SecretStr, AfterValidator(_passphrase)]
