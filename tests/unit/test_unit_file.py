"""The sample systemd unit, as systemd itself judges it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "poller.service"


@pytest.fixture(name="analyze")
def _analyze() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze here: install systemd")
    return program


def test_the_unit_is_as_closed_as_a_network_client_can_be(analyze: str) -> None:
    judged = subprocess.run([analyze, "security", "--offline=true", str(UNIT)], capture_output=True, check=False)
    found = re.search(rb"exposure level for poller.service: ([0-9.]+)", judged.stdout)

    assert found, judged.stderr
    assert float(found[1]) <= 1.5


def test_systemd_understands_every_line_of_the_unit(analyze: str) -> None:
    judged = subprocess.run([analyze, "verify", str(UNIT)], capture_output=True, text=True, check=False)
    complaints = [line for line in judged.stderr.splitlines() if "poller.service" in line]

    assert all("is not executable" in line for line in complaints), complaints  # the program is elsewhere, or nowhere
