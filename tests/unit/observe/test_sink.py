import contextlib
import io
import os
import pty
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from poller.observe.sink import Sink

LINE = "x" * 300 + "\n"
ENOUGH_TO_FILL = 5_000


@pytest.fixture(params=["pipe", "terminal", "socket"])
def stalled(request: pytest.FixtureRequest) -> Iterator[tuple[TextIO, int]]:
    """A stream whose reader does not read, and the descriptor on which it could."""
    ends: Callable[[], tuple[int, int]] = {"pipe": os.pipe, "terminal": pty.openpty, "socket": socket_pair}[
        request.param
    ]
    reader, writer = ends()
    os.set_blocking(reader, False)
    with os.fdopen(writer, "w") as stream:
        yield stream, reader
    os.close(reader)


def socket_pair() -> tuple[int, int]:
    reader, writer = socket.socketpair()
    return reader.detach(), writer.detach()


def read_what_is_there(descriptor: int) -> str:
    try:
        return os.read(descriptor, 65_536).decode().replace("\r\n", "\n")
    except BlockingIOError:
        return ""


def write_until_it_fails(sink: Sink) -> int:
    for count in range(ENOUGH_TO_FILL):
        try:
            sink.write(LINE)
        except OSError:
            return count
    pytest.fail("the stream has endless room")


def test_a_reader_that_has_stopped_fails_the_line_instead_of_holding_it(stalled: tuple[TextIO, int]) -> None:
    stream, _ = stalled
    sink = Sink(stream)

    assert write_until_it_fails(sink) > 0
    with pytest.raises(OSError, match=r"nobody reads|unavailable"):
        sink.write(LINE)
    sink.close()


def test_lines_are_whole_again_once_the_reader_goes_on(stalled: tuple[TextIO, int]) -> None:
    stream, reader = stalled
    sink = Sink(stream)
    written = write_until_it_fails(sink)
    read = ""

    while "after" not in read:
        read += read_what_is_there(reader)
        with contextlib.suppress(OSError):
            sink.write("after\n")
    sink.close()

    whole, rest = read[: len(LINE) * written], read[len(LINE) * written :]
    assert whole == LINE * written
    assert "after" in rest.split("\n")


def test_a_terminal_stays_in_the_mode_that_the_shell_gave_it() -> None:
    reader, writer = pty.openpty()
    with os.fdopen(reader), os.fdopen(writer, "w") as stream:
        sink = Sink(stream)
        sink.write("line\n")
        sink.close()

        assert os.get_blocking(writer)


def test_a_line_longer_than_any_buffer_arrives_whole(tmp_path: Path) -> None:
    line = "é" * 1_000_000 + "\n"
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        Sink(stream).write(line)

    assert (tmp_path / "log").read_text(encoding="utf-8") == line


def test_what_the_encoding_lacks_is_escaped(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="ascii") as stream:
        Sink(stream).write("币\udc80\n")

    assert (tmp_path / "log").read_bytes() == b"\\u5e01\\udc80\n"


def test_a_full_disk_is_an_error_to_the_caller() -> None:
    with Path("/dev/full").open("w") as stream, pytest.raises(OSError, match="No space left"):
        Sink(stream).write("line\n")


def test_the_descriptor_of_a_closed_stream_is_not_written_to(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        sink = Sink(stream)
    with (tmp_path / "history").open("w"), pytest.raises(ValueError, match="closed file"):
        sink.write("line\n")

    assert (tmp_path / "history").read_text() == ""


def test_a_stream_without_a_descriptor_is_written_to_as_it_is() -> None:
    stream = io.StringIO()

    Sink(stream).write("line\n")

    assert stream.getvalue() == "line\n"


def test_without_a_stream_lines_are_forgotten() -> None:
    Sink(None).write("line\n")
