"""How a reply is kept in few bytes: raw deflate with a preset dictionary of its market.

The dictionaries are part of the history: what was compressed with one can be read with that one only, so a file here is
never changed. A better dictionary is a new file with a new number.
"""

import zlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from poller.observation import Market

STORED: Final = 0
"""The codec of a body that is kept as it is."""

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""The largest body that `decompress` gives back unless it is told another limit; no frame is longer."""

_CODECS: Final[Mapping[Market, int]] = {Market.USDM: 1, Market.COINM: 2}
_FILES: Final[Mapping[int, str]] = {1: "usdm_v1.txt", 2: "coinm_v1.txt"}
_LEVEL: Final = 9
_WINDOW_BITS: Final = -15  # negative: no header and no checksum, both kept by those who store the body
_MEMORY_LEVEL: Final = 9


@cache
def dictionary(codec: int) -> bytes:
    """The preset dictionary of a codec above 0; KeyError when there is no such codec."""
    return (files(__name__) / _FILES[codec]).read_bytes()


def compress(market: Market, body: bytes) -> tuple[int, bytes]:
    """Return the codec and the bytes that `decompress` turns back into `body`; they are never longer than it."""
    codec = _CODECS[market]
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zdict=dictionary(codec))
    data = deflate.compress(body) + deflate.flush()
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
        body = _inflate(dictionary(codec), data, most)
    else:
        raise ValueError(f"codec {codec} is unknown")
    if len(body) > most:
        raise ValueError(f"the body is longer than {most} bytes")
    return body


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
