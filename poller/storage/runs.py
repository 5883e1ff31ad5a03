"""The statements behind accounts, runs and schedules; each is atomic and, repeated, does nothing.

What changes rows that exist is a function of the schema: a role that records may not change them by itself.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import JSON, DateTime, Text, bindparam, cast, func, select
from sqlalchemy.dialects.postgresql import insert

from poller.observation import Environment, RunStarted, RunStopped
from poller.storage.tables import accounts

SELECT_ACCOUNTS: Final = select(accounts.c.account, accounts.c.environment)

INSERT_ACCOUNT: Final = insert(accounts).on_conflict_do_nothing()

START_RUN: Final = select(
    func.poller.start_run(
        bindparam("instance", type_=Text),
        bindparam("recorder", type_=Text),
        bindparam("version", type_=Text),
        bindparam("schema_revision", type_=Text),
        bindparam("started_at", type_=DateTime(timezone=True)),
        cast(bindparam("promises", type_=Text), JSON),
    )
)

STOP_RUN: Final = select(
    func.poller.stop_run(
        bindparam("instance", type_=Text),
        bindparam("stopped_at", type_=DateTime(timezone=True)),
        bindparam("stop_reason", type_=Text),
    )
)


def account_parameters(environments: Mapping[str, Environment]) -> list[dict[str, str]]:
    """Return the parameters of `INSERT_ACCOUNT`."""
    return [{"account": account, "environment": environment.value} for account, environment in environments.items()]


def start_parameters(run: RunStarted, revision: str) -> dict[str, object]:
    """Return the parameters of `START_RUN`."""
    return {
        "instance": run.instance,
        "recorder": run.recorder,
        "version": run.release,
        "schema_revision": revision,
        "started_at": run.started_at,
        "promises": msgspec.json.encode([msgspec.structs.asdict(promise) for promise in run.promises]).decode(),
    }


def stop_parameters(run: RunStopped) -> dict[str, object]:
    """Return the parameters of `STOP_RUN`."""
    return {"instance": run.instance, "stopped_at": run.stopped_at, "stop_reason": run.reason}
