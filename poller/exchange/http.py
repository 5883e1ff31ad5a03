"""One request over REST: its body within limits, or an error that tells what a verdict needs."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Generic, TypeVar

import aiohttp
import msgspec

from poller.errors import RestRefusedError, RestUnavailableError
from poller.exchange.failures import failure_reason, printable_cause
from poller.exchange.messages import RemoteError
from poller.exchange.verdict import public_message

_PIECE_BYTES: Final = 64 * 1024
_MOST_DIGITS: Final = 9

T = TypeVar("T")

_error: Final = msgspec.json.Decoder(RemoteError)


@dataclass(frozen=True, slots=True)
class Rest(Generic[T]):
    """An answer, and the weight that the IP has used up in this minute, as the exchange counts it; None if untold."""

    value: T
    used_weight: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is asked for, and what its answer may take.

    Attributes:
        name: For people: errors begin with it, and hold no address and no key.
        api_key: Is sent along; None for what everybody may ask.
    """

    name: str
    url: str
    timeout_seconds: float
    max_bytes: int
    api_key: str | None = None


async def get(session: aiohttp.ClientSession, call: Call) -> Rest[bytes]:
    """Ask once and return the body of the answer.

    Raises:
        RestRefusedError: It came with another status than 200.
        RestUnavailableError: None came, or one above the limit.
    """
    try:
        async with session.get(
            call.url,
            headers={"X-MBX-APIKEY": call.api_key} if call.api_key else None,
            timeout=aiohttp.ClientTimeout(total=call.timeout_seconds),
            allow_redirects=False,
        ) as response:
            body = await _read(response, call.max_bytes)
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        raise RestUnavailableError(f"{call.name}: {failure_reason(exc, call.url)}") from printable_cause(exc)
    if response.status != HTTPStatus.OK:
        raise _refusal(call, response, body)
    if body is None:
        raise RestUnavailableError(f"{call.name}: the answer is longer than {call.max_bytes} bytes")
    return Rest(body, _whole(response, "X-MBX-USED-WEIGHT-1M"))


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes | None:
    """Return the body, or None when it is longer than `most` bytes: no more than that is ever held."""
    body = bytearray()
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        body += piece
        if len(body) > most:
            return None
    return bytes(body)


def _refusal(call: Call, response: aiohttp.ClientResponse, body: bytes | None) -> RestRefusedError:
    try:
        error = _error.decode(body or b"")
    except (ValueError, RecursionError):  # a proxy or a firewall answers in HTML
        error = None
    words = f": {error.code} {public_message(error.msg, call.api_key or '')}".rstrip() if error else ""
    return RestRefusedError(
        f"{call.name}: HTTP {response.status}{words}",
        status=response.status,
        code=error.code if error else None,
        msg=error.msg if error else "",
        retry_after_seconds=_whole(response, "Retry-After"),
        used_weight=_whole(response, "X-MBX-USED-WEIGHT-1M"),
    )


def _whole(response: aiohttp.ClientResponse, header: str) -> int | None:
    text = response.headers.get(header, "")
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None
