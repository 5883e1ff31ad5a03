"""Prometheus's own judge of metrics, rules and configurations."""

import os
import shutil
import subprocess

import pytest


def promtool(*arguments: str, given: str = "") -> str:
    """Run it and return all that it says; without one the test is skipped.

    Raises:
        AssertionError: It does not end with 0.
    """
    program = shutil.which("promtool")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no promtool: apt-get install prometheus")
    told = subprocess.run([program, *arguments], input=given, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout + told.stderr
