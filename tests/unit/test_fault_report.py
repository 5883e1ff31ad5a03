"""The fault table's text, and the guard around the libraries that it compares."""

from dataclasses import replace

import pytest

from benchmarks.faults.cell import Cell, Right
from benchmarks.faults.peer import refuse_other_machines
from benchmarks.faults.report import document, summary
from benchmarks.faults.scripts import Terms

BANNED = Cell(
    client="ours",
    fault="ban",
    recovered=True,
    blind=30.6,
    right=Right.YES,
    said="banned |\n until 1795267739449 at 127.0.0.1:41234",
    sent_while_banned=0,
)
LOST = Cell(client="unicorn", fault="ban", recovered=False, blind=None, right=Right.NO, said="", sent_while_banned=28)


def test_a_cell_says_how_long_whether_told_and_what_was_sent() -> None:
    assert summary([BANNED, LOST]).splitlines()[2:] == [
        "| [ban](#ban) | 31 s (told, 0 sent) | **no** (not told, 28 sent) |"
    ]


@pytest.mark.parametrize("right", Right)
def test_every_judgement_has_its_words(right: Right) -> None:
    told = {Right.YES: "told", Right.NO: "not told", Right.EXACT: "exact"}.get(right, right.value)

    assert f"| 31 s ({told}, 0 sent) |" in summary([replace(BANNED, right=right)])


def test_what_differs_from_run_to_run_is_left_out_of_the_document() -> None:
    text = document([BANNED], Terms(), {"a-package": "1.0"})

    assert "| ours | yes | 31 | yes | 0 | `banned / until TIME at HOST` |" in text
    assert "| a-package | 1.0 |" in text


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("socket.connect", (None, ("192.0.2.1", 443))),
        ("socket.connect", (None, ("2001:db8::1", 443, 0, 0))),
        ("socket.sendto", (None, ("192.0.2.1", 53))),
        ("socket.getaddrinfo", ("exchange.example", 443, 0, 0, 0)),
        ("socket.gethostbyname", ("exchange.example",)),
    ],
)
def test_a_peer_may_not_reach_another_machine(event: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises(PermissionError):
        refuse_other_machines(event, arguments)


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("socket.connect", (None, ("127.0.0.1", 443))),
        ("socket.connect", (None, "/a/socket")),
        ("socket.getaddrinfo", ("localhost", 443, 0, 0, 0)),
        ("socket.getaddrinfo", (b"::1", 443, 0, 0, 0)),
        ("open", ("/a/file", "r", 0)),
    ],
)
def test_a_peer_may_reach_this_machine(event: str, arguments: tuple[object, ...]) -> None:
    refuse_other_machines(event, arguments)
