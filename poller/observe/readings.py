"""What is seen of a running daemon at one moment: plain values, which metrics and health put into words."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The polls of one account on one market.

    Attributes:
        age_seconds: How long ago, in exchange time, the newest tick was whose poll the database holds; since the daemon
            began to record when there is none yet.
        has_stored: Whether there is one.
        refused: Whether the exchange is not asked for this account now, because it refused.
    """

    account: str
    market: str
    interval_seconds: int
    age_seconds: float
    has_stored: bool
    refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """All that metrics and health are made of.

    Attributes:
        series: One for each account and market.
        polls: How many polls this process has stored, by account, market and status.
        polls_refused: Polls lost because the spool had no room.
        spool_refuses: Whether the last poll was.
        spool_entries: What waits for the database.
        spool_bytes: Of the pages in use.
        spool_oldest_seconds: How long the oldest entry has waited; 0 when none does.
        spool_damaged: Rows of the spool that could not be read.
        retries: How often storing was put off because the database could not serve.
        drift: How many times stored replies differed from their documents.
        connections: Sockets opened, by market.
        connected: Whether there is a socket, by market.
        weight_used: Of the IP in this minute.
        weight_limit: Of the IP in a minute.
        weight_allowed: Our share of it.
        silent_seconds: For how long the exchange wants to hear nothing from this address.
        clock_offset_seconds: The exchange's time minus the host's; None before it was measured.
        host_clock_off: Whether that is more than what is tolerated.
        stuck: What has stood still for too long; None when all moves.
    """

    series: tuple[Series, ...]
    polls: Mapping[tuple[str, str, str], int]
    polls_refused: int
    spool_refuses: bool
    spool_entries: int
    spool_bytes: int
    spool_oldest_seconds: float
    spool_damaged: int
    retries: int
    drift: int
    connections: Mapping[str, int]
    connected: Mapping[str, bool]
    weight_used: int
    weight_limit: int
    weight_allowed: int
    silent_seconds: float
    clock_offset_seconds: float | None
    host_clock_off: bool
    stuck: str | None
