"""Our column of the fault table, as `make -C benchmarks faults` fills it in, with shorter outages and no peers."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks.faults.catalogue import FAULTS
from benchmarks.faults.cell import Cell, Right, run_cells
from benchmarks.faults.columns import OURS, start_ours
from benchmarks.faults.scripts import Terms
from tests.support.database import new_database

TERMS = Terms(away=6, ban=6, odd=2, notice=2, patience=100, starting=120, reaction=3)
COSTS_NO_POLL = {"clock", "unknown-field", "number", "rotation"}
OF_A_BUSY_MACHINE = ("timeout: ", "skipped: ")
"""How the errors begin that a busy machine adds under a fault which costs no poll itself."""


@pytest.fixture(name="column", scope="module")
def _column(
    plain_server: str, plain_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Cell]]:
    """What became of the program under each fault, all at once: one process, exchange and spool a fault."""
    directory: Path = tmp_path_factory.mktemp("faults")
    with new_database(plain_server, extension=False, template=plain_template) as url:
        work = {(fault, OURS): start_ours(directory / fault, url, fault) for fault in FAULTS}
        cells = asyncio.run(run_cells(work, TERMS, at_once=len(work)))
        yield {cell.fault: cell for cell in cells}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_recovers_from_every_fault(column: Mapping[str, Cell], fault: str) -> None:
    assert column[fault].recovered, column[fault]


@pytest.mark.parametrize("fault", FAULTS)
def test_its_history_names_the_cause_of_every_fault_that_cost_a_poll(column: Mapping[str, Cell], fault: str) -> None:
    cell = column[fault]

    assert cell.right is not Right.INEXACT, cell
    assert cell.right is not Right.NO or (fault in COSTS_NO_POLL and cell.said.startswith(OF_A_BUSY_MACHINE)), cell


def test_it_sends_nothing_while_it_is_banned(column: Mapping[str, Cell]) -> None:
    assert column["ban"].sent_while_banned == 0
