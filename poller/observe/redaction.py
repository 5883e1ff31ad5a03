"""Secrets out of text that is about to be seen: those that are known, and what looks like one.

Pure but for the set of known secrets. It works on rendered text, so that no library, traceback or repr slips past it.
"""

import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "***"

SHORTEST: Final = 6
"""Shorter secrets are not searched for: masking every `abc` shreds the log, and the gaps would tell the secret. They
are still masked where a password or signature is expected, as in `password=abc`."""

_NAMES = r"(?:x-mbx-)?(?:api[_-]?key|api[_-]?secret|secret[_-]?key|signature|listen[_-]?key|pass(?:word|phrase|wd))"
_COLOURS = r"(?:\x1b\[[0-9;]*m)*"
# "signature":"…", 'apiKey': '…', \"apiKey\": \"…\" and ('apiKey', '…'); base64 may have its slashes escaped.
_QUOTED = re.compile(rf"""({_NAMES}(\\*["'])\s*[:,]\s*b?\2)(?:\\+/|[^"'\\])+""", re.IGNORECASE)
# signature=…, password='…', the same inside JSON, and coloured console output. What looks like a quoted value but holds
# a comma or colon is the structure round an empty one.
_ASSIGNED = re.compile(
    rf"""({_NAMES}{_COLOURS}={_COLOURS})"""
    r"""(?:"[^"\\,:]*"|'[^'\\,:]*'|(\\+)"[^"\\,:]*\2"|[^\s"'\\&,;)\]}>\x1b]+)""",
    re.IGNORECASE,
)
# Up to the last `@`, since a password that is not encoded may hold one itself. The bounds keep a long line from taking
# time that grows with its square.
_IN_URL = re.compile(r"""(\b[a-z][a-z0-9+.-]{0,31}://[^\s/:@"']{0,256}:)[^\s"']{1,512}(?=@)""", re.IGNORECASE)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text with `***` for every one of `secrets`, in this order, and for whatever looks like a secret."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    for pattern in (_QUOTED, _ASSIGNED, _IN_URL):
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


class Redactor:
    """Redacts all secrets that it was told, in every form in which they may be rendered."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        self._add(secrets)

    def add_secret(self, secret: str) -> None:
        """Never let `secret` pass from now on; a private key is known by each of its lines."""
        self._add([secret])

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        return redact(text, self._forms)

    def _add(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for piece in _pieces(secret) for form in _forms(piece)}
        # Longest first: a secret that is part of another would leave the rest of it. Replaced whole, for other threads.
        self._forms = tuple(sorted(forms.union(self._forms), key=lambda form: (-len(form), form)))


def _pieces(secret: str) -> Iterable[str]:
    lines = [line.strip() for line in secret.splitlines()]
    return (line for line in lines if len(line) >= SHORTEST and not line.startswith("-----"))


def _forms(piece: str) -> set[str]:
    return {
        piece,
        quote(piece, safe=""),
        quote_plus(piece),
        quote(piece),
        json.dumps(piece)[1:-1],
        json.dumps(piece, ensure_ascii=False)[1:-1],
        repr(piece)[1:-1],
        repr(piece.encode("utf-8", "surrogateescape"))[2:-1],
    }
