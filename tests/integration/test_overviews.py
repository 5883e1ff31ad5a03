"""What the page knows of the database, when that does not answer."""

import asyncio
import socket

import pytest

from poller.daemon.http import Overviews
from tests.support.quick import QuickLoop


def test_a_database_that_never_answers_is_asked_by_one_at_a_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, asyncio.Runner(loop_factory=QuickLoop) as runner:
        host, port = silent.getsockname()
        overviews = Overviews(lambda: f"postgresql://nobody@{host}:{port}/nothing")
        found = []
        for _ in range(2):
            overviews._read_at = float("-inf")
            found.append(runner.run(overviews.newest()))
        silent.settimeout(0)
        asked, _ = silent.accept()
        with pytest.raises(BlockingIOError):
            silent.accept()
        asked.close()

    assert found == [(None, "it has not answered for 10 s")] * 2
