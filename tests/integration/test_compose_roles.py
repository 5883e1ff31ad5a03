"""The steps of deploy/compose.yaml between an empty database and a poller that may record."""

from typing import Final

import psycopg
import pytest
import yaml

from poller.storage.schema import upgrade
from tests.support.database import execute
from tests.support.roles import Roles, roles, run_psql
from tests.support.schema import ROOT
from tests.support.secrecy import confide

PASSWORDS: Final = {"owner": "0a" * 24, "writer": "1b" * 24, "reader": "2c" * 24}
SERVICES: Final = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]


def step(name: str, made: Roles) -> None:
    """Do what a step does, with names that no other test uses."""
    arguments = [
        argument.replace("=/", f"={ROOT}/deploy/") if argument.startswith("--file=") else argument
        for argument in SERVICES[name]["command"]
    ]
    for kind in PASSWORDS:
        arguments = [
            argument.replace(f"{kind}=poller_{kind}", f"{kind}={getattr(made, kind)}") for argument in arguments
        ]
    environ = {f"{kind.upper()}_PASSWORD": password for kind, password in PASSWORDS.items()}
    ended = run_psql(made.administrator, *arguments, environ=environ)
    assert ended.returncode == 0, ended.stderr


def address(made: Roles, kind: str) -> str:
    return f"postgresql://{getattr(made, kind)}:{PASSWORDS[kind]}@{made.administrator.rpartition('@')[2]}"


def test_the_steps_can_be_taken_again_and_again_and_leave_a_writer_that_may_record(empty_database_url: str) -> None:
    confide(*PASSWORDS.values())
    with roles(empty_database_url) as made:
        for _ in range(2):
            step("roles", made)
            upgrade(address(made, "owner"), lambda _: None)
            step("rights", made)

        assert execute(address(made, "writer"), "SELECT poller.ensure_partitions(now())")
        assert execute(address(made, "reader"), "SELECT count(*) FROM poller.latest_polls") == [(0,)]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            execute(address(made, "writer").replace(PASSWORDS["writer"], "another"), "SELECT 1")
