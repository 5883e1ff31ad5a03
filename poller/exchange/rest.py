"""What is asked over REST: the exchange's time, which its WebSocket API does not tell."""

from collections.abc import Callable
from typing import Final

import aiohttp
import msgspec
from msgspec import Struct

from poller.errors import RestUnavailableError
from poller.exchange.clock import Sample, steady_seconds
from poller.exchange.endpoints import Endpoint
from poller.exchange.http import Call, Rest, get

_TIMEOUT_SECONDS: Final = 5.0
_MAX_BYTES: Final = 64 * 1024
_YEAR_2015_MS: Final = 1_420_070_400_000
_YEAR_2100_MS: Final = 4_102_444_800_000


class _ServerTime(Struct, rename="camel"):
    server_time: int


_server_time = msgspec.json.Decoder(_ServerTime)


async def server_time(
    session: aiohttp.ClientSession,
    endpoint: Endpoint,
    *,
    steady: Callable[[], float] = steady_seconds,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> Rest[Sample]:
    """Ask a market's REST interface for the exchange's time, once.

    Raises:
        RestRefusedError: The exchange does not serve it.
        RestUnavailableError: It did not answer in time, or not with a time.
    """
    url = endpoint.rest_url + endpoint.time_path
    call = Call(name="time", url=url, timeout_seconds=timeout_seconds, max_bytes=_MAX_BYTES)
    before = steady()
    answer = await get(session, call)
    after = steady()
    return Rest(Sample(before=before, after=after, server_ms=_decode(answer.value)), answer.used_weight)


def _decode(body: bytes) -> int:
    try:
        milliseconds = _server_time.decode(body).server_time
    except (ValueError, RecursionError) as exc:
        raise RestUnavailableError("time: the answer cannot be decoded") from exc
    if not _YEAR_2015_MS <= milliseconds < _YEAR_2100_MS:
        raise RestUnavailableError(f"time: {milliseconds} is none")
    return milliseconds
