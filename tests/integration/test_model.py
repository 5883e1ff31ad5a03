"""Two recorders, one database, and everything that may happen to them, in orders that Hypothesis makes up."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.gate import Way
from tests.support.heard import heard
from tests.support.model.machine import Machine


@pytest.fixture(name="here")
def _here(plain_database_url: str, tmp_path: Path) -> Iterator[type[Machine]]:
    """The machine, on a database of its own."""
    told: dict[str, int] = {}

    class Here(Machine):
        url = plain_database_url
        folder = tmp_path
        figures = told

    with heard():
        yield Here


def test_every_acknowledged_tick_is_stored_once_with_the_rows_of_one_reply(here: type[Machine]) -> None:
    few = settings(
        max_examples=25,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(here, settings=few)

    assert here.figures["ticks acknowledged"] > 0


def test_what_a_restored_database_lacks_is_stored_anew_by_the_run_that_stored_it(here: type[Machine]) -> None:
    machine = here()
    machine.start()
    machine.poll(who=0, replies=3, is_waited_for=True)
    machine.database_restored(is_waited_for=True)
    machine.teardown()

    assert here.figures["comparisons"] == 3


def test_a_restart_in_an_outage_loses_nothing_that_the_database_did_not_take(here: type[Machine]) -> None:
    machine = here()
    machine.start()
    machine.poll(who=0, replies=3, is_waited_for=True)
    machine.database_down(way=Way.SHUT)
    for who in (0, 1):
        machine.poll(who=who, replies=3, is_waited_for=False)
        machine.restart(who=who, is_in_good_order=False)
    machine.database_up(is_waited_for=True)
    machine.teardown()

    assert here.figures["comparisons"] == 3
