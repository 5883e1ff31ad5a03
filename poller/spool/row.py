"""What a row of the spool holds, and the checksum that tells whether it still does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import pack
from typing import Final
from zlib import crc32

import msgspec

from poller.observation import Entry, Market, Observation

Value = int | str | bytes | None
"""What SQLite may give for any column of a damaged file, whatever its type was."""

Tick = tuple[str, Market, int]
"""Account, market and time in µs of a tick."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NO_ID: Final = 2**62
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[Entry]] = msgspec.msgpack.Decoder(Entry)


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry that waits to be stored, and the id to report it by."""

    id: int
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An entry as it is kept; `appended_at` is in µs since the epoch."""

    id: int
    appended_at: int
    crc: Value
    entry: bytes

    @property
    def intact(self) -> bool:
        """Whether the checksum holds."""
        return self.crc == entry_crc(self.id, self.appended_at, self.entry)


def micros(time: datetime) -> int:
    """Convert an aware time to µs since the epoch."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """Convert µs since the epoch to a time in UTC."""
    return _EPOCH + value * _MICROSECOND


def encode(entry: Entry) -> bytes:
    """Return the bytes of an entry.

    Raises:
        ValueError: A text is not Unicode.
        OverflowError: An integer has more than 64 bits.
    """
    return _ENCODER.encode(entry)


def decode(data: bytes) -> Entry:
    """Return the entry of these bytes.

    Raises:
        ValueError: They are no entry that this release knows.
    """
    try:
        return _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not an entry: {error}") from error


def tick_of(entry: Entry) -> Tick | None:
    """Return the tick that an observation decides; None for the other entries."""
    if isinstance(entry, Observation):
        return entry.account, entry.market, micros(entry.time)
    return None


def row_from(columns: Sequence[Value]) -> Row | None:
    """Return the row of these columns: id, appended_at, crc, entry; None when they are of other kinds."""
    match columns:
        case [int() as row_id, int() as appended_at, crc, bytes() as entry] if 0 < row_id < _NO_ID:
            return Row(id=row_id, appended_at=appended_at, crc=crc, entry=entry)
    return None


def entry_crc(row_id: int, appended_at: int, entry: bytes) -> int:
    """Return the checksum of a row of `entries`."""
    return crc32(entry, crc32(pack(">qq", row_id, appended_at)))


def tick_crc(account: Value, market: Value, time: Value) -> int:
    """Return the checksum of a row of `last_ticks`."""
    return crc32(msgspec.msgpack.encode((account, market, time)))


def identity_crc(recorder: Value, version: Value) -> int:
    """Return the checksum of the row of `identity`."""
    return crc32(msgspec.msgpack.encode((recorder, version)))
