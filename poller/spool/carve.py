"""Reads rows out of a damaged SQLite file without SQLite, page by page.

It knows as much of the file format (https://www.sqlite.org/fileformat2.html) as a table's leaf page, its overflow pages
and the write-ahead log take, and trusts none of it: what it yields is believed only if the row's own checksum holds.
"""

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from poller.spool.row import Value

PAGE_SIZE: Final = 4096
"""Of every page, in bytes: fixed, so that a file whose header is lost can be read."""

Cell = tuple[int, list[Value]]
"""A row: its rowid and its columns."""

_TABLE_LEAF: Final = 0x0D
_FILE_HEADER: Final = 100
_PAGE_HEADER: Final = 8
_MOST_LOCAL: Final = PAGE_SIZE - 35
_LEAST_LOCAL: Final = (PAGE_SIZE - 12) * 32 // 255 - 23
_MOST_PAYLOAD: Final = 64 * 1024 * 1024
_WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_FRAME: Final = _FRAME_HEADER + PAGE_SIZE
_WAL_MAGIC: Final = {b"\x37\x7f\x06\x82": "<", b"\x37\x7f\x06\x83": ">"}  # the byte order of the checksums
_INTEGER_SIZES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}

_Read = Callable[[int], bytes]


def wal_of(path: Path) -> Path:
    """Return the write-ahead log of the SQLite file at `path`."""
    return path.with_name(f"{path.name}-wal")


def cells(path: Path) -> Iterator[Cell]:
    """Yield every row in the pages of the file, then of its write-ahead log, also removed and superseded ones."""
    wal = _Wal(path)
    with path.open("rb") as file:
        descriptor = file.fileno()
        for number in range(1, os.fstat(descriptor).st_size // PAGE_SIZE + 2):
            yield from _page_cells(_page(descriptor, number), number, lambda page: _page(descriptor, page))
        yield from wal.cells(0, lambda page: _page(descriptor, page))


def unused_wal_cells(path: Path) -> list[Cell]:
    """Return the rows in what SQLite ignores at the end of the write-ahead log: torn, damaged or left from before."""
    wal = _Wal(path)
    with path.open("rb") as file:
        return list(wal.cells(wal.used(), lambda page: _page(file.fileno(), page)))


class _Wal:
    """The write-ahead log of a file, empty when there is none."""

    def __init__(self, path: Path) -> None:
        file = wal_of(path)
        self._data = file.read_bytes() if file.exists() else b""
        self._salts = self._data[16:24] if self._header_holds() else None

    def used(self) -> int:
        """Return how many frames SQLite reads: those up to the last commit before the first wrong checksum."""
        if self._salts is None:
            return 0
        order = _WAL_MAGIC[self._data[:4]]
        sums, committed = struct.unpack(">II", self._data[24:_WAL_HEADER]), 0
        for index, frame in enumerate(self._frames()):
            sums = _checksum(frame[:8] + frame[_FRAME_HEADER:], order, sums)
            if frame[8:16] != self._salts or struct.pack(">II", *sums) != frame[16:_FRAME_HEADER]:
                break
            committed = index + 1 if any(frame[4:8]) else committed
        return committed

    def cells(self, first: int, read: _Read) -> Iterator[Cell]:
        """Yield the rows of the frames from number `first` on; `read` gives a page that the log does not hold."""
        latest = self._latest()
        for frame in list(self._frames())[first:]:
            number = int.from_bytes(frame[:4], "big")
            yield from _page_cells(frame[_FRAME_HEADER:], number, lambda page: latest.get(page) or read(page))

    def _latest(self) -> Mapping[int, bytes]:
        frames = (frame for frame in self._frames() if self._salts is None or frame[8:16] == self._salts)
        return {int.from_bytes(frame[:4], "big"): frame[_FRAME_HEADER:] for frame in frames}

    def _frames(self) -> Iterator[bytes]:
        for start in range(_WAL_HEADER, len(self._data) - _FRAME + 1, _FRAME):
            yield self._data[start : start + _FRAME]

    def _header_holds(self) -> bool:
        order = _WAL_MAGIC.get(self._data[:4])
        if order is None or len(self._data) < _WAL_HEADER:
            return False
        sums = _checksum(self._data[:24], order, (0, 0))
        return struct.pack(">II", *sums) == self._data[24:_WAL_HEADER]


def _checksum(data: bytes, order: str, start: tuple[int, ...]) -> tuple[int, ...]:
    first, second = start
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def _page(descriptor: int, number: int) -> bytes:
    """Return a page of the file, filled up with zeros where the file ends."""
    return os.pread(descriptor, PAGE_SIZE, max(number - 1, 0) * PAGE_SIZE).ljust(PAGE_SIZE, b"\0")


def _page_cells(page: bytes, number: int, read: _Read) -> Iterator[Cell]:
    start = _FILE_HEADER if number == 1 else 0
    if page[start] != _TABLE_LEAF:
        return
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    pointers = page[start + _PAGE_HEADER :][: 2 * count]
    for index in range(0, len(pointers) - 1, 2):
        try:
            yield _cell(page, int.from_bytes(pointers[index : index + 2], "big"), read)
        except (IndexError, ValueError):
            continue  # damaged beyond reading; the whole file is kept


def _cell(page: bytes, offset: int, read: _Read) -> Cell:
    length, offset = _varint(page, offset)
    rowid, offset = _varint(page, offset)
    if length > _MOST_PAYLOAD:
        raise ValueError("a row this long was never written")
    if length <= _MOST_LOCAL:
        return rowid, _columns(page[offset : offset + length])
    local = _LEAST_LOCAL + (length - _LEAST_LOCAL) % (PAGE_SIZE - 4)
    local = local if local <= _MOST_LOCAL else _LEAST_LOCAL
    payload, following = bytearray(page[offset : offset + local]), page[offset + local : offset + local + 4]
    while len(payload) < length:
        if not any(following):
            raise ValueError("a row ends before its length")
        overflow = read(int.from_bytes(following, "big"))
        payload += overflow[4 : 4 + length - len(payload)]
        following = overflow[:4]
    return rowid, _columns(bytes(payload))


def _columns(payload: bytes) -> list[Value]:
    end, offset = _varint(payload, 0)
    values: list[Value] = []
    content = end
    while offset < end:
        kind, offset = _varint(payload, offset)
        value, content = _value(payload, kind, content)
        values.append(value)
    return values


def _value(payload: bytes, kind: int, start: int) -> tuple[Value, int]:
    if kind == 0:
        return None, start
    size = _INTEGER_SIZES.get(kind, (kind - 12) // 2)
    data = payload[start : start + size]
    if size < 0 or len(data) != size:
        raise ValueError("a column ends outside its row")
    if kind in {8, 9}:
        return kind - 8, start
    if kind in _INTEGER_SIZES:
        return int.from_bytes(data, "big", signed=True), start + size
    return (data.decode() if kind % 2 else data), start + size


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for index in range(offset, offset + 8):
        value = value << 7 | data[index] & 0x7F
        if data[index] < 0x80:  # noqa: PLR2004 - the format's continuation bit
            return value, index + 1
    return value << 8 | data[offset + 8], offset + 9
