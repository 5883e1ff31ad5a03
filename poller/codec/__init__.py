"""How a reply is kept in few bytes: raw deflate with a preset dictionary of its market.

From the second codec of a market on, the words that its replies are made of are first put into one byte each, of those
that no reply has: deflate then spends its bits on the amounts. A body that has such a byte is kept by the first codec.
In the third one, a word that follows the word before it as usual is one and the same byte.

The files are part of the history: what was compressed with one can be read with that one only, so a file here is never
changed. A better one is a new file with a new number; `tests/support/new_codec.py` makes it.
"""

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

from poller.observation import Market

STORED: Final = 0
"""The codec of a body that is kept as it is."""

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""The largest body that `decompress` gives back unless it is told another limit; no frame is longer."""

_CODECS: Final[Mapping[Market, int]] = {Market.USDM: 5, Market.COINM: 4}
_CODECS_OF_ANY: Final[Mapping[Market, int]] = {Market.USDM: 1, Market.COINM: 2}
_FILES: Final[Mapping[int, str]] = {
    1: "usdm_v1.txt",
    2: "coinm_v1.txt",
    3: "usdm_v2.txt",
    4: "coinm_v2.txt",
    5: "usdm_v3.txt",
}
_WITHOUT_WORDS: Final = frozenset({1, 2})
_WITH_TURNS: Final = frozenset({5})
_MARKS: Final = bytes([*range(9), 11, 12, *range(14, 32), 0xC0, 0xC1, *range(0xF5, 256)])
"""What stands for the words, in their order: JSON has no raw control characters, and UTF-8 none of the others."""

_ANY_MARK: Final = re.compile(b"[" + re.escape(_MARKS) + b"]")
_TURN: Final = _MARKS[-1:]
"""In a codec with turns, the word that usually follows the word before; such a codec has one word less."""

_LEVEL: Final = 9
_WINDOW_BITS: Final = -15  # negative: no header and no checksum, both kept by those who store the body
_MEMORY_LEVEL: Final = 9


@cache
def dictionary(codec: int) -> bytes:
    """The preset dictionary of a codec above 0; KeyError when there is no such codec."""
    content = (files(__name__) / _FILES[codec]).read_bytes()
    return content if codec in _WITHOUT_WORDS else _turned(codec, _marked(codec, content.partition(b"\n\n")[2]))


@cache
def words(codec: int) -> tuple[tuple[bytes, bytes], ...]:
    """The words of a codec above 0, the longest first, each with the byte that stands for it; KeyError as above."""
    if codec in _WITHOUT_WORDS:
        return ()
    listed = (files(__name__) / _FILES[codec]).read_bytes().partition(b"\n\n")[0].split(b"\n")
    marked = [(word, _MARKS[index : index + 1]) for index, word in enumerate(listed)]
    return tuple(sorted(marked, key=lambda pair: -len(pair[0])))


def _marked(codec: int, text: bytes) -> bytes:
    for word, mark in words(codec):
        text = text.replace(word, mark)
    return text


@cache
def _followers(codec: int) -> Mapping[bytes, bytes]:
    """Return the mark that most often follows a mark in the dictionary, and under nothing the first one."""
    if codec not in _WITH_TURNS:
        return {}
    text = (files(__name__) / _FILES[codec]).read_bytes().partition(b"\n\n")[2]
    marks = [b"", *_ANY_MARK.findall(_marked(codec, text))]
    following: defaultdict[bytes, Counter[bytes]] = defaultdict(Counter)
    for before, mark in pairwise(marks):
        following[before][mark] += 1
    return {before: counts.most_common(1)[0][0] for before, counts in following.items()}


def _turned(codec: int, text: bytes) -> bytes:
    """Put a turn in the place of every mark that follows as usual."""
    usual = _followers(codec)
    before = b""

    def turn(found: re.Match[bytes]) -> bytes:
        nonlocal before
        mark, expected = found[0], usual.get(before)
        before = mark
        return _TURN if mark == expected else mark

    return _ANY_MARK.sub(turn, text) if usual else text


def _returned(codec: int, text: bytes) -> bytes:
    """Put the marks back that `_turned` took away; KeyError for a turn behind a mark that none follows."""
    usual = _followers(codec)
    before = b""

    def mark(found: re.Match[bytes]) -> bytes:
        nonlocal before
        before = usual[before] if found[0] == _TURN else found[0]
        return before

    return _ANY_MARK.sub(mark, text) if usual else text


def compress(market: Market, body: bytes) -> tuple[int, bytes]:
    """Return the codec and the bytes that `decompress` turns back into `body`; they are never longer than it."""
    is_plain = len(body.translate(None, _MARKS)) == len(body)
    codec = (_CODECS if is_plain else _CODECS_OF_ANY)[market]
    # With turns little else than digits is left, of which short repeats cost more than they save.
    strategy = zlib.Z_FILTERED if codec in _WITH_TURNS else zlib.Z_DEFAULT_STRATEGY
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, strategy, dictionary(codec))
    data = deflate.compress(_turned(codec, _marked(codec, body))) + deflate.flush()
    return (codec, data) if len(data) < len(body) else (STORED, body)


def decompress(codec: int, data: bytes, *, limit: int | None = None) -> bytes:
    """Return the body that was compressed to `data`, of at most `limit` bytes (16 MiB when None).

    Raises:
        ValueError: The codec is unknown, the data are damaged or the body is longer. Damage inside the data may also
            give another body, for raw deflate has no checksum: whoever stores the data keeps one.
    """
    most = MAX_BODY_BYTES if limit is None else limit
    if codec == STORED:
        body = data
    elif codec in _FILES:
        body = _spelled_out(codec, _inflate(dictionary(codec), data, most), most)
    else:
        raise ValueError(f"codec {codec} is unknown")
    if len(body) > most:
        raise ValueError(f"the body is longer than {most} bytes")
    return body


def _spelled_out(codec: int, text: bytes, most: int) -> bytes:
    try:
        text = _returned(codec, text)
    except KeyError as error:
        raise ValueError("the compressed body is damaged: nothing follows a word") from error
    # A few bytes could stand for very many: they are counted before any room is taken.
    size = len(text) + sum(text.count(mark) * (len(word) - 1) for word, mark in words(codec))
    if size > most:
        raise ValueError(f"the body is longer than {most} bytes")
    for word, mark in words(codec):
        text = text.replace(mark, word)
    return text


def _inflate(preset: bytes, data: bytes, most: int) -> bytes:
    inflate = zlib.decompressobj(_WINDOW_BITS, zdict=preset)
    try:
        body = inflate.decompress(data, max(most, 0) + 1)  # one byte more tells a longer body from one that just fits
    except zlib.error as error:
        raise ValueError(f"the compressed body is damaged: {error}") from error
    if len(body) <= most and not inflate.eof:
        raise ValueError("the compressed body is cut off")
    if inflate.unused_data:
        raise ValueError("bytes follow the compressed body")
    return body
