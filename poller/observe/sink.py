"""Where log lines go: a stream that may stall, fill up or vanish without taking the daemon with it."""

import io
import os
import select
from typing import TextIO

_PATIENCE_MS = 200
# What a pipe or socket that reports room takes at once: of more, a part could block.
_CHUNK = 4096


class Sink:
    """Writes whole lines and never waits for long.

    A reader that has stopped (a paused terminal, a stuck log collector) would otherwise hold the event loop inside
    `write`, and with it every poll. So a line waits up to 0.2 seconds for room, and after one has failed none waits
    until there is room again. Without a stream it forgets every line.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._terminal = _open_terminal(stream)
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._patience_ms = _PATIENCE_MS
        self._torn = False

    def write(self, text: str) -> None:
        """Write the text.

        Raises:
            OSError: It could not be written, or not all of it.
            ValueError: The stream is closed.
        """
        if self._stream is None:
            return
        try:
            # Asked for every time, since the number of a closed descriptor may by now be a database file's.
            descriptor = self._stream.fileno()
        except io.UnsupportedOperation:
            self._stream.write(text)
            return
        if self._terminal is not None:
            descriptor = self._terminal
        self._write(descriptor, (("\n" if self._torn else "") + text).encode(self._encoding, "backslashreplace"))

    def flush(self) -> None:
        """Do nothing: nothing is held back, so nothing can fail when the interpreter ends."""

    def close(self) -> None:
        """Let go of what was opened besides the stream."""
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    def _write(self, descriptor: int, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                self._wait_for_room(descriptor)
                rest = rest[os.write(descriptor, rest[:_CHUNK]) :]
        finally:
            if len(rest) < len(data):
                self._torn = bool(rest)

    def _wait_for_room(self, descriptor: int) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        ready = poll.poll(self._patience_ms)
        self._patience_ms = _PATIENCE_MS if ready else 0
        if not ready:
            raise TimeoutError("nobody reads the log")


def _open_terminal(stream: TextIO | None) -> int | None:
    """Open the terminal once more, so that it does not block: the stream's own mode is the shell's as well.

    A terminal that reports room may have less of it than a line needs, and would hold the rest of the write.
    """
    if stream is None or not stream.isatty():
        return None
    try:
        return os.open(os.ttyname(stream.fileno()), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
