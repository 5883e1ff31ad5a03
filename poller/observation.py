"""What one tick of one (account, market) produced, the run that promised the tick, and the modes it was read under.

These are the messages that the spool keeps: self-contained and versioned, so that they can be stored even if the
configuration has changed since, or by a newer release. They know neither the wire format nor the tables.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct


class Environment(StrEnum):
    """Which exchange an account belongs to."""

    LIVE = "live"
    TESTNET = "testnet"
    SIMULATED = "simulated"


class Market(StrEnum):
    """One of the exchange's two futures markets."""

    USDM = "usdm"
    COINM = "coinm"


class Status(StrEnum):
    """How a tick ended. `OK` and `MALFORMED` are decided when the reply is normalised, the others by the poll."""

    OK = "ok"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    REJECTED = "rejected"
    UNAUTHORIZED = "unauthorized"
    CLOCK_SKEW = "clock_skew"
    EXCHANGE_ERROR = "exchange_error"
    MALFORMED = "malformed"
    PAUSED = "paused"
    SKIPPED = "skipped"
    SPOOL_FULL = "spool_full"


class AssetMode(StrEnum):
    """Whether margin is kept per asset or shared by all assets."""

    SINGLE_ASSET = "single_asset"
    MULTI_ASSETS = "multi_assets"


class PositionMode(StrEnum):
    """Whether a symbol has one position, or a long and a short one."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"


class AssetModeSource(StrEnum):
    """Where an `AssetMode` is known from: told by whom configures us, by the exchange, or by the reply's own totals."""

    CONFIG = "config"
    EXCHANGE = "exchange"
    PAYLOAD = "payload"


class Observation(Struct, frozen=True, kw_only=True, array_like=True, tag="observation"):
    """What one tick of one (account, market) produced: the raw reply, or the reason there is none.

    Attributes:
        version: Of this layout. Fields are kept by position: a new one comes last, with a default; none may move.
        time: The scheduled instant in exchange time, UTC.
        status: Why there is no reply to normalise; None when `body` holds one.
        requested_at: When the request was sent, in exchange time; None when none was.
        received_at: When the reply arrived, in exchange time.
        latency_ms: From sending to receiving, by the monotonic clock.
        attempts: Requests sent for this tick.
        clock_offset_ms: Exchange time minus the host's clock; None until it was measured.
        weight_used: Of the IP's budget in this minute, as the exchange counts it.
        exchange_status: The HTTP-style status of the reply's envelope.
        error_code: The exchange's error code, such as -1021.
        error_message: At most 500 characters; no keys, IP addresses or control characters.
        asset_mode: When it is known from elsewhere than the reply.
        codec: How `body` is compressed, see `poller.codec`.
        body: The reply as received, the envelope included.
        instance: The run that polled.
        position_mode: As the exchange told it last; None when it did not.
    """

    version: int = 1
    environment: Environment
    account: str
    market: Market
    time: datetime
    status: Status | None
    requested_at: datetime | None = None
    received_at: datetime | None = None
    latency_ms: int | None = None
    attempts: int = 0
    clock_offset_ms: int | None = None
    weight_used: int | None = None
    weight_limit: int | None = None
    exchange_status: int | None = None
    error_code: int | None = None
    error_message: str | None = None
    asset_mode: AssetMode | None = None
    asset_mode_source: AssetModeSource | None = None
    codec: int = 0
    body: bytes = b""
    instance: str
    position_mode: PositionMode | None = None


class Promise(Struct, frozen=True, kw_only=True, array_like=True):
    """That an (account, market) is polled every `interval_seconds`."""

    account: str
    market: Market
    interval_seconds: int


class RunStarted(Struct, frozen=True, kw_only=True, array_like=True, tag="run_started"):
    """A daemon began to poll.

    Attributes:
        recorder: The identity of the spool: runs of one recorder follow each other.
        promises: All that this run polls; what an earlier run of this recorder promised and this one does not, ended.
    """

    version: int = 1
    instance: str
    recorder: str
    release: str
    environment: Environment
    started_at: datetime
    promises: tuple[Promise, ...]


class RunStopped(Struct, frozen=True, kw_only=True, array_like=True, tag="run_stopped"):
    """A daemon ended in good order."""

    version: int = 1
    instance: str
    stopped_at: datetime
    reason: str


class ModesMeasured(Struct, frozen=True, kw_only=True, array_like=True, tag="modes_measured"):
    """The exchange told an account's modes: what they were cannot be asked for later, so it travels through the spool.

    Attributes:
        measured_at: When it told them, in exchange time; by a clock that was measured, since a time ahead would outlast
            all that is told until then.
        asset_mode: Of USDⓈ-M, the only market that has one; None when it was not told.
        position_mode: Of both markets, which share it; None when it was not told.
    """

    version: int = 1
    environment: Environment
    account: str
    measured_at: datetime
    asset_mode: AssetMode | None
    position_mode: PositionMode | None
    source: AssetModeSource = AssetModeSource.EXCHANGE


MAX_MESSAGE: Final = 500
"""Characters of an error message that are kept."""


def printable(text: str) -> str:
    """Make a message fit to be stored and read: one line, no control characters, at most `MAX_MESSAGE` characters."""
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return line if len(line) <= MAX_MESSAGE else f"{line[: MAX_MESSAGE - 1]}…"


Entry = Observation | RunStarted | RunStopped | ModesMeasured
"""What the spool keeps and the writer stores, in the order in which it happened."""
