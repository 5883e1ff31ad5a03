from dataclasses import replace

from poller.observe.health import liveness, readiness
from tests.support.readings import READINGS, SERIES


def test_a_daemon_whose_polls_are_stored_is_alive_and_ready() -> None:
    assert liveness(READINGS) == readiness(READINGS) == ()


def test_two_intervals_without_a_stored_poll_are_told_with_the_account() -> None:
    late = replace(READINGS, series=(SERIES, replace(SERIES, account="other", age_seconds=20.0)))

    assert readiness(late) == ("other usdm: the newest poll in the database is 20 s old, one is due every 10 s",)
    assert readiness(replace(READINGS, series=(replace(SERIES, age_seconds=19.9),))) == ()
    assert liveness(late) == ()


def test_a_daemon_that_never_stored_anything_says_so() -> None:
    new = replace(READINGS, series=(replace(SERIES, age_seconds=2.0, has_stored=False),))

    assert readiness(new) == (
        "main usdm: no poll has reached the database since the start, 2 s ago, one is due every 10 s",
    )


def test_what_is_stuck_speaks_against_both() -> None:
    stuck = replace(READINGS, stuck="writer: no progress for 61 s")

    assert liveness(stuck) == readiness(stuck) == ("writer: no progress for 61 s",)


def test_a_spool_that_refuses_polls_is_told_until_it_takes_one() -> None:
    full = replace(READINGS, polls_refused=7, spool_refuses=True)

    assert readiness(full) == ("the spool has no room: 7 polls are lost",)
    assert readiness(replace(full, spool_refuses=False)) == ()
