"""The statements behind accounts, runs and schedules; each is atomic and, repeated, does nothing."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import (
    CTE,
    JSON,
    ColumnElement,
    Integer,
    Text,
    and_,
    bindparam,
    cast,
    column,
    exists,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert

from poller.observation import Environment, RunStarted, RunStopped
from poller.storage.tables import accounts, runs, schedules

SELECT_ACCOUNTS: Final = select(accounts.c.account, accounts.c.environment)

INSERT_ACCOUNT: Final = insert(accounts).on_conflict_do_nothing()

STOP_RUN: Final = (
    update(runs)
    .where(runs.c.instance == bindparam("run_instance"), runs.c.stopped_at.is_(None))
    .values(stopped_at=bindparam("run_stopped_at"), stop_reason=bindparam("run_stop_reason"))
)


def account_parameters(environments: Mapping[str, Environment]) -> list[dict[str, str]]:
    """Return the parameters of `INSERT_ACCOUNT`."""
    return [{"account": account, "environment": environment.value} for account, environment in environments.items()]


def start_parameters(run: RunStarted, revision: str) -> dict[str, object]:
    """Return the parameters of `START_RUN`."""
    return {
        "run_instance": run.instance,
        "run_recorder": run.recorder,
        "run_version": run.release,
        "run_schema_revision": revision,
        "run_started_at": run.started_at,
        "promises": msgspec.json.encode([msgspec.structs.asdict(promise) for promise in run.promises]).decode(),
    }


def stop_parameters(run: RunStopped) -> dict[str, object]:
    """Return the parameters of `STOP_RUN`."""
    return {"run_instance": run.instance, "run_stopped_at": run.stopped_at, "run_stop_reason": run.reason}


def _start_run() -> Insert:
    """Build the insertion of a run: its promises open schedules, those that it does not repeat are closed.

    A run that arrives after one that started later (an old spool, replayed) promises only up to that one's start.
    """
    names = ("instance", "recorder", "version", "schema_revision", "started_at")
    # Parameters with names of columns would also be taken for values of the update.
    new = insert(runs).values({name: bindparam(f"run_{name}") for name in names})
    run = new.on_conflict_do_nothing().returning(runs.c.recorder, runs.c.started_at).cte("run")
    promise = (
        func.json_to_recordset(cast(bindparam("promises", type_=Text), JSON))
        .table_valued(column("account", Text), column("market", Text), column("interval_seconds", Integer))
        .render_derived("promise", with_types=True)
    )
    repeated = and_(
        schedules.c.recorder == run.c.recorder,
        *(schedules.c[name] == promise.c[name] for name in ("account", "market", "interval_seconds")),
    )
    following = select(func.min(runs.c.started_at)).where(
        runs.c.recorder == run.c.recorder, runs.c.started_at > run.c.started_at
    )
    until = following.correlate(run).scalar_subquery()
    holds = and_(
        schedules.c.valid_from <= run.c.started_at,
        or_(schedules.c.valid_to.is_(None), schedules.c.valid_to > run.c.started_at),
    )
    opened = (
        select(run.c.recorder, *promise.c, run.c.started_at, until)
        .select_from(run.join(promise, true()))
        .where(~exists().where(repeated, holds).correlate(run, promise))
    )
    closed = _close(run, ~exists().select_from(promise).where(repeated).correlate(run, schedules), until)
    columns = ("recorder", "account", "market", "interval_seconds", "valid_from", "valid_to")
    return insert(schedules).from_select(columns, opened).on_conflict_do_nothing().add_cte(closed)


def _close(run: CTE, ended: ColumnElement[bool], until: ColumnElement[Any]) -> CTE:
    # The clock may have been set back between two runs: a promise never ends before it began.
    return (
        update(schedules)
        .where(schedules.c.recorder == run.c.recorder, schedules.c.valid_to.is_(None), until.is_(None), ended)
        .values(valid_to=func.greatest(schedules.c.valid_from, run.c.started_at))
        .cte("closed")
    )


START_RUN: Final = _start_run()
