from dataclasses import replace

import pytest

from poller.observe.notices import notices
from poller.observe.readings import Readings
from tests.support.readings import READINGS, SERIES

WELL = replace(READINGS, drift=0)


def test_nothing_is_noticed_of_a_daemon_that_is_well() -> None:
    assert notices(WELL) == ()


@pytest.mark.parametrize(
    ("readings", "words"),
    [
        (replace(WELL, silent_seconds=61.4), "for 61 s more"),
        (replace(WELL, connected={"usdm": True, "coinm": False}), "no connection to coinm"),
        (replace(WELL, series=(replace(SERIES, refused=True),)), "refuses main usdm"),
        (replace(WELL, drift=6), "(6 did)"),
        (replace(WELL, polls_refused=7), "7 polls were lost"),
        (replace(WELL, spool_damaged=2), "2 rows of the spool"),
        (replace(WELL, host_clock_off=True, clock_offset_seconds=-3.25), "off by 3.2 s"),
    ],
)
def test_whatever_is_wrong_is_told(readings: Readings, words: str) -> None:
    [notice] = notices(readings)

    assert words in notice


def test_a_spool_that_has_no_room_now_is_a_reason_and_no_notice() -> None:
    assert notices(replace(WELL, polls_refused=7, spool_refuses=True)) == ()
