"""What a tick may produce, drawn small: replies of which no two are alike, and every way to fail."""

from datetime import datetime
from itertools import count
from typing import Final

from hypothesis import strategies as st

from poller.observation import Market, Observation, Status
from tests.support.reading import Key
from tests.support.replies import (
    coinm_position,
    coinm_result,
    envelope,
    observed,
    usdm_asset,
    usdm_position,
    usdm_result,
)

Pair = tuple[str, Market]

PAIRS: Final[tuple[Pair, ...]] = tuple((account, market) for account in ("main", "other") for market in Market)

REPLY: Final = "reply"
BROKEN: Final = "broken"
FAILURES: Final = tuple(status for status in Status if status is not Status.OK)

OUTCOMES: Final = st.one_of(st.just(REPLY), st.just(REPLY), st.just(BROKEN), st.sampled_from(FAILURES))

_serial = count(1)


def produced(outcome: str | Status, pair: Pair, time: datetime, *, instance: str) -> Observation:
    """Return an observation, unlike all others."""
    account, market = pair
    fields = {"account": account, "time": time, "instance": instance}
    if isinstance(outcome, Status):
        return observed(market, b"", status=outcome, error_message=f"number {next(_serial)}", **fields)
    body = _reply(market, next(_serial))
    if outcome == BROKEN:
        return observed(market, body[:-7], attempts=2, **fields)
    return observed(market, body, **fields)


def is_reply(observation: Observation) -> bool:
    """Tell whether it holds a reply that must end as `ok`."""
    return status_of(observation) is Status.OK


def status_of(observation: Observation) -> Status:
    """Return how the poll must be stored, when nothing else is known of its tick."""
    if observation.status is not None:
        return observation.status
    return Status.MALFORMED if observation.attempts == 2 else Status.OK


def key_of(observation: Observation) -> Key:
    """Return whose tick it is of."""
    return observation.time, observation.account, observation.market


def _reply(market: Market, serial: int) -> bytes:
    """Make rows that differ in number too: those of two replies must never be found together."""
    amount = f"{serial}.{serial:08d}"
    held = [usdm_asset(asset, amount) for asset in ("BTC", "BNB", "USDT")[: serial % 4]]
    assets = [*held, usdm_asset("ETH"), usdm_asset("XRP", availableBalance=amount)]
    if market is Market.USDM:
        positions = [usdm_position(f"S{number}USDT", amount) for number in range(serial % 3)]
        return envelope(usdm_result(total=amount, assets=assets, positions=[*positions, usdm_position("ZUSDT")]))
    positions = [coinm_position(f"S{number}USD_PERP", str(serial)) for number in range(serial % 5)]
    return envelope(coinm_result(assets=assets, positions=[*positions, coinm_position("ZUSD_PERP")]))
