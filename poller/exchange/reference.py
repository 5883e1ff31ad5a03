"""What is asked over REST besides the time: an account's modes, and the contracts of a market.

Nothing here waits, tries again or judges a refusal; the caller spends the weight, see `poller.exchange.endpoints`.
"""

import asyncio
from typing import Final

import aiohttp
import msgspec

from poller.errors import RestUnavailableError
from poller.exchange.contracts import Listing, listing
from poller.exchange.endpoints import ACCOUNT_CONFIG_PATH, EXCHANGE_INFO_PATHS, Endpoint
from poller.exchange.http import Call, Rest, get
from poller.exchange.messages import AccountConfig
from poller.exchange.signing import Credentials, signed_query

_MAX_ACCOUNT_CONFIG_BYTES: Final = 64 * 1024
_MAX_EXCHANGE_INFO_BYTES: Final = 32 * 1024 * 1024  # about twenty times of what the larger market sends

_account_config: Final = msgspec.json.Decoder(AccountConfig)


async def account_config(
    session: aiohttp.ClientSession,
    endpoint: Endpoint,
    credentials: Credentials,
    *,
    timestamp_ms: int,
    recv_window_ms: int = 5000,
    timeout_seconds: float = 5.0,
) -> Rest[AccountConfig]:
    """Ask for the modes of an account; `endpoint` is that of USDⓈ-M, where those of both markets are told.

    Raises:
        RestRefusedError: The exchange does not serve it.
        RestUnavailableError: No answer came, or one that holds no mode.
    """
    query = signed_query(credentials, timestamp_ms=timestamp_ms, recv_window_ms=recv_window_ms)
    answer = await get(
        session,
        Call(
            name="accountConfig",
            url=f"{endpoint.rest_url}{ACCOUNT_CONFIG_PATH}?{query}",
            timeout_seconds=timeout_seconds,
            max_bytes=_MAX_ACCOUNT_CONFIG_BYTES,
            api_key=credentials.api_key,
        ),
    )
    try:
        config = _account_config.decode(answer.value)
    except (ValueError, RecursionError) as exc:
        raise RestUnavailableError("accountConfig: the answer cannot be decoded") from exc
    if config.multi_assets_margin is None and config.dual_side_position is None:
        # Maintenance can come with HTTP 200: it must not pass for an account without modes.
        raise RestUnavailableError("accountConfig: the answer holds no mode")
    return Rest(config, answer.used_weight)


async def exchange_info(
    session: aiohttp.ClientSession, endpoint: Endpoint, *, timeout_seconds: float = 20.0
) -> Rest[Listing]:
    """Ask for the contracts of a market.

    Raises:
        RestRefusedError: The exchange does not serve it.
        RestUnavailableError: No answer came, or one without a list of contracts.
    """
    answer = await get(
        session,
        Call(
            name="exchangeInfo",
            url=endpoint.rest_url + EXCHANGE_INFO_PATHS[endpoint.market],
            timeout_seconds=timeout_seconds,
            max_bytes=_MAX_EXCHANGE_INFO_BYTES,
        ),
    )
    # Megabytes are decoded, and ticks are due meanwhile.
    return Rest(await asyncio.to_thread(listing, endpoint.market, answer.value), answer.used_weight)
