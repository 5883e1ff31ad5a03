"""Where each market listens and what it understands."""

from collections.abc import Mapping
from dataclasses import dataclass

from poller.observation import Market


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """One market's paths and its account method. What belongs to the other market is unknown here."""

    market: Market
    websocket_path: str
    rest_path: str
    method: str


VENUES: Mapping[Market, Venue] = {
    venue.market: venue
    for venue in (
        Venue(market=Market.USDM, websocket_path="/ws-fapi/v1", rest_path="/fapi/v1", method="v2/account.status"),
        Venue(market=Market.COINM, websocket_path="/ws-dapi/v1", rest_path="/dapi/v1", method="account.status"),
    )
}

HANDSHAKE_WEIGHT = 5
ACCOUNT_WEIGHT = 5
"""Of the account methods, and of REST's accountConfig."""

ACCOUNT_CONFIG_PATH = "/fapi/v1/accountConfig"
LIGHT_WEIGHT = 1
"""Of public REST requests and of requests that name no method."""
