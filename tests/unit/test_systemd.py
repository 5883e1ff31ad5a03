"""What a service manager puts into the environment, and what it is told on its socket."""

import os
import socket
from pathlib import Path

import pytest

from poller.daemon.systemd import Systemd


@pytest.mark.parametrize("abstract", [False, True])
def test_news_are_one_datagram_on_the_managers_socket(tmp_path: Path, *, abstract: bool) -> None:
    name = f"@poller-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0") if abstract else name)
        Systemd.of({"NOTIFY_SOCKET": name}).tell("READY=1", "STATUS=recording")

        assert manager.recv(1000) == b"READY=1\nSTATUS=recording"


def test_nobody_is_told_where_nobody_wants_to_be() -> None:
    systemd = Systemd.of({})
    systemd.tell("READY=1")

    assert systemd == Systemd(address=None, watchdog_seconds=None)


def test_a_manager_that_is_gone_or_does_not_read_costs_nothing(tmp_path: Path) -> None:
    name = str(tmp_path / "notify")
    systemd = Systemd.of({"NOTIFY_SOCKET": name})
    systemd.tell("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        for _ in range(10_000):
            systemd.tell("WATCHDOG=1")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_of_this_process_or_of_nobody(environ: dict[str, str], seconds: float | None) -> None:
    assert Systemd.of({"NOTIFY_SOCKET": "/run/systemd/notify", **environ}).watchdog_seconds == seconds


@pytest.mark.parametrize("name", ["", "vsock:2:1", "relative"])
def test_a_kind_of_socket_that_is_not_known_is_left_alone(name: str) -> None:
    assert Systemd.of({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1"}) == Systemd()
