"""True replies bent in every way that bytes, JSON and the exchange's own words allow."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

Frames = tuple[bytes, ...]

LIMIT: Final = 16 * 1024 * 1024
"""The size of frame that ends a socket."""

_MARK: Final = "\N{REPLACEMENT CHARACTER}here\N{REPLACEMENT CHARACTER}"

_ODD: Final = (
    "null", "true", "false", "[]", "{}", '""', '"text"', "0", "1", "-1", "1.5", "-0", "-0.0", '"-0"', '"-0.00"',
    "NaN", "Infinity", "-Infinity", '"NaN"', '"sNaN"', '"Infinity"', '"-inf"', "1e400", "-1e400", '"1e400"', "1e-400",
    '"1e-400"', "1e200000", '"1e200000"', '"1e-20000"', '"1e999999999999999999"', "1e999999999999999999",
    "9223372036854775807", "9223372036854775808", "18446744073709551616", "-9223372036854775809", "2147483648",
    '"9223372036854775808"', "1" * 5000, '"' + "1" * 5000 + '"', "0." + "1" * 20000, '"0.' + "1" * 20000 + '"', "1e5",
    '"1E+5"', "01", "+1", ".5", "1.", "0x1", '"0x1"', '" 1"', '"1 "', '"1_000"', '"1,5"', '"\u0663"', '"\uff11"',
    r'"\u0000"', r'"US\u0000DT"', r'"\ud800"', r'"\udc00x"', r'"\ud83d\ude00"', r'"\u202e"', r'"\n\r\t\u0001"', r'"\x"',
    '"' + "x" * 100_000 + '"', '"BOTH"', '"LONG"', '"USDT"', '"BTCUSDT"', "253402300799999", "253402300800000",
    "-62135596800001", "1700000000000.5", '"1700000000000"', "1e12", '{"a":{"b":[1,2,{"c":null}]}}', "[[[[]]]]",
    '[{"e":"serverShutdown"}]', "[1,2", '{"a"', "'", "//", "undefined",
)  # fmt: skip
_STATUSES: Final = (
    "0", "100", "201", "204", "301", "400", "401", "403", "404", "408", "409", "418", "429", "451", "500", "502", "503",
    "504", "599", "600", "-1", '"200"', "200.0", "2e2", "null",
)  # fmt: skip
_CODES: Final = (
    -1000, -1001, -1002, -1003, -1006, -1007, -1008, -1015, -1016, -1021, -1022, -1099, -1100, -1102, -1109, -2014,
    -2015, -2017, -4056, -4109, -5000, 0, 200, 2**31, -(2**63), 2**70,
)  # fmt: skip
_HEADS: Final = (b"", b" ", b"null", b"[]", b"{}", b"0", b'""', b"\x00", b"\xff\xfe", b"<html><body>502</body></html>")

_Place = tuple[Any, Any]
"""A container and the index or key in it."""


def mutated(chance: random.Random, reply: bytes) -> Frames:
    """Return the frames that are sent instead of a true reply."""
    frames: Frames = (reply,)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        frames = chance.choices(_KINDS, _WEIGHTS)[0](chance, frames[-1]) or frames
    return frames


def padded(reply: bytes, size: int) -> bytes:
    """Blow a reply up with what means nothing."""
    return reply + b" " * (size - len(reply))


def stuffed(reply: bytes, size: int) -> bytes:
    """Blow a reply up with one long unknown field."""
    return reply.replace(b'"result":{', b'"result":{"note":"' + b"x" * (size - len(reply) - 10) + b'",', 1)


def _places(document: Any) -> Iterator[_Place]:
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for index, value in pairs:
        yield document, index
        if isinstance(value, dict | list):
            yield from _places(value)


def _in_document(change: Callable[[random.Random, Any, Any], str | None]) -> Callable[[random.Random, bytes], Frames]:
    """Bend one place of the document; what is returned stands there as it is, JSON or not."""

    def mutate(chance: random.Random, reply: bytes) -> Frames:
        try:
            document = json.loads(reply)
            places = list(_places(document))
            container, index = chance.choice([place for place in places if place[1] != "id"])
        except (ValueError, TypeError, IndexError, RecursionError):
            return (reply,)
        raw = change(chance, container, index)
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return (text.replace(json.dumps(_MARK, ensure_ascii=False), raw or "").encode(errors="surrogatepass"),)

    return mutate


def _replace(chance: random.Random, container: Any, index: Any) -> str:
    container[index] = _MARK
    return chance.choice(_ODD)


def _remove(_chance: random.Random, container: Any, index: Any) -> None:
    del container[index]


def _add(chance: random.Random, container: Any, _index: Any) -> str:
    if isinstance(container, dict):
        container[
            chance.choice(("extra", "", "a.b", "wallet_balance", "assets", "NaN", "\u5e01\u5b89", "$envelope"))
        ] = _MARK
    else:
        container.insert(chance.randrange(len(container) + 1), _MARK)
    return chance.choice(_ODD)


def _repeat(chance: random.Random, container: Any, index: Any) -> str:
    """Say a row or a key twice, with the same value or another."""
    value = json.dumps(container[index], ensure_ascii=False)
    if isinstance(container, list):
        container.insert(index, container[index])
        return ""
    container[index] = _MARK
    return f"{value},{json.dumps(index)}:{chance.choice((value, chance.choice(_ODD)))}"


def _nest(chance: random.Random, container: Any, index: Any) -> str:
    depth = chance.choice((50, 500, 1000, 5000, 100_000))
    container[index] = _MARK
    return "[" * depth + "]" * depth if chance.random() < 0.5 else '{"a":' * depth + "1" + "}" * depth


def _status(chance: random.Random, reply: bytes) -> Frames:
    return (reply.replace(b'"status":200', b'"status":' + chance.choice(_STATUSES).encode(), 1),)


def _error(chance: random.Random, reply: bytes) -> Frames:
    code = chance.choice((json.dumps(chance.choice(_CODES)), chance.choice(_ODD)))
    msg = chance.choice(('"no"', '"banned until 1700000000000"', '"1.2.3.4"', r'"\u0000\u202e"', chance.choice(_ODD)))
    data = chance.choice(("", ',"data":{"retryAfter":1}', f',"data":{chance.choice(_ODD)}'))
    error = f'"error":{{"code":{code},"msg":{msg}{data}}},"result":'.encode(errors="surrogatepass")
    (changed,) = _status(chance, reply)
    return (changed.replace(b'"result":', error, 1),)


def _id(chance: random.Random, reply: bytes) -> Frames:
    head, _, tail = reply.partition(b",")
    given = chance.choice((b'"id":"nobody"', b'"id":null', b'"id":7', b'"id":{}', b'"nothing":0', b'"id":""'))
    return (chance.choice((b"{" + given + b"," + tail, head + b"," + given + b"," + tail)),)


def _two(chance: random.Random, reply: bytes) -> Frames:
    other = mutated(chance, reply)[-1] if chance.random() < 0.5 else reply
    event = chance.choice((b'{"e":"x"}', b'{"id":null,"status":400}', b"\xff", b'{"event":{"e":7}}'))
    return chance.choice(((reply, other), (other, reply), (event, other), (other, event)))


def _cut(chance: random.Random, reply: bytes) -> Frames:
    return (reply[: chance.randrange(len(reply) + 1)],)


def _flip(chance: random.Random, reply: bytes) -> Frames:
    bent = bytearray(reply)
    for _ in range(chance.choice((1, 1, 3, 30)) if bent else 0):
        bent[chance.randrange(len(bent))] = chance.randrange(256)
    return (bytes(bent),)


def _insert(chance: random.Random, reply: bytes) -> Frames:
    at = chance.randrange(len(reply) + 1)
    junk = chance.choice(
        (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf", b'"', b"{", b"}", b"[", b"\\", b",")
    )
    return (reply[:at] + junk + reply[at:],)


def _encode(chance: random.Random, reply: bytes) -> Frames:
    text = reply.decode(errors="replace")
    return (
        chance.choice(
            (b"\xef\xbb\xbf" + reply, text.encode("utf-16"), text.encode("ascii", "replace"), reply * 2, reply + b"x")
        ),
    )


def _other(chance: random.Random, _reply: bytes) -> Frames:
    return (chance.choice(_HEADS),)


_KINDS: Final[tuple[Callable[[random.Random, bytes], Frames], ...]] = (
    _in_document(_replace), _in_document(_remove), _in_document(_add), _in_document(_repeat), _in_document(_nest),
    _status, _error, _id, _two, _cut, _flip, _insert, _encode, _other,
)  # fmt: skip
_WEIGHTS: Final = (40, 10, 10, 8, 2, 3, 4, 2, 4, 5, 5, 5, 2, 1)
