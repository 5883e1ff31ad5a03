"""What is asked over REST: the exchange's time, which its WebSocket API does not tell."""

from collections.abc import Callable

import aiohttp
import msgspec
from msgspec import Struct

from poller.errors import ClockUnavailableError
from poller.exchange.clock import Sample, steady_seconds
from poller.exchange.endpoints import Endpoint

_TIMEOUT_SECONDS = 5.0
_OK = 200
_YEAR_2015_MS = 1_420_070_400_000
_YEAR_2100_MS = 4_102_444_800_000


class _ServerTime(Struct, rename="camel"):
    server_time: int


_server_time = msgspec.json.Decoder(_ServerTime)


async def server_time(
    session: aiohttp.ClientSession,
    endpoint: Endpoint,
    *,
    steady: Callable[[], float] = steady_seconds,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> Sample:
    """Ask a market's REST interface for the exchange's time, once.

    Raises:
        ClockUnavailableError: It did not answer in time, or not with a time; the message holds no address.
    """
    timeout = aiohttp.ClientTimeout(total=timeout_seconds)
    before = steady()
    try:
        async with session.get(
            endpoint.rest_url + endpoint.time_path, timeout=timeout, allow_redirects=False
        ) as response:
            body = await response.read()
            after = steady()
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        raise ClockUnavailableError(f"the exchange did not tell its time: {type(exc).__name__}") from exc
    if response.status != _OK:
        raise ClockUnavailableError(f"the exchange did not tell its time: HTTP {response.status}")
    return Sample(before=before, after=after, server_ms=_decode(body))


def _decode(body: bytes) -> int:
    try:
        milliseconds = _server_time.decode(body).server_time
    except (ValueError, RecursionError) as exc:
        raise ClockUnavailableError("the exchange did not tell its time: the reply cannot be decoded") from exc
    if not _YEAR_2015_MS <= milliseconds < _YEAR_2100_MS:
        raise ClockUnavailableError(f"the exchange did not tell its time: {milliseconds} is none")
    return milliseconds
