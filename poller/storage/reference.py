"""The statements behind account_modes and contracts; each is atomic and, repeated, does nothing."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

import msgspec
from sqlalchemy import (
    CTE,
    JSON,
    ColumnElement,
    DateTime,
    FromClause,
    TableValuedAlias,
    Text,
    Update,
    and_,
    bindparam,
    cast,
    column,
    exists,
    func,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert

from poller.observation import Environment, Market, ModesMeasured
from poller.records import Contract
from poller.storage.tables import account_modes, contracts

# Parameters with names of columns would also be taken for values of an update.
_ACCOUNT: Final = bindparam("modes_account", type_=Text)
_SOURCE: Final = bindparam("modes_source", type_=Text)
_AT: Final = bindparam("modes_at", type_=DateTime(timezone=True))
_CONTRACT: Final = tuple(field.name for field in fields(Contract))


def modes_parameters(measured: ModesMeasured) -> dict[str, object]:
    """Return the parameters of `SAVE_MODES`: a row for each market that something is known of."""
    known = [
        {"market": market, "asset_mode": asset_mode, "position_mode": measured.position_mode}
        for market, asset_mode in ((Market.USDM, measured.asset_mode), (Market.COINM, None))
        if asset_mode or measured.position_mode
    ]
    return {
        "modes_account": measured.account,
        "modes_source": measured.source.value,
        "modes_at": measured.measured_at,
        "modes": msgspec.json.encode(known).decode(),
    }


def contract_parameters(environment: Environment, market: Market, listed: Sequence[Contract]) -> dict[str, object]:
    """Return the parameters of `SAVE_CONTRACTS`."""
    return {
        "contracts_environment": environment.value,
        "contracts_market": market.value,
        "contracts": msgspec.json.encode(listed).decode(),
    }


def _save_modes() -> Insert:
    """Build what files a measurement among those that are known, whatever the order in which they come.

    A row stands for a run of equal measurements, from `valid_from` to `confirmed_at`, and holds until the next row
    begins. A measurement that agrees with the row before it confirms that row. One that differs and falls into the run
    came too late to be believed against those around it. Any other ends the row and begins a new one, or lets the next
    one begin earlier if that says the same.
    """
    story = _story()
    confirmed = _row(story, "before").where(story.c.agrees, account_modes.c.confirmed_at < _AT).values(confirmed_at=_AT)
    # Compared once more, for another writer may have ended the row while this one waited for it.
    unchanged = account_modes.c.valid_to.is_not_distinct_from(story.c.before_to)
    closed = _row(story, "before").where(story.c.differs, unchanged).values(valid_to=_AT)
    ended = closed.returning(account_modes.c.market).cte("ended")
    # Asking for the ended row also makes its end come first: two rows without an end are refused.
    begins = and_(story.c.differs, or_(story.c.before.is_(None), exists().where(ended.c.market == story.c.market)))
    moved = _row(story, "after").where(begins, story.c.foretold).values(valid_from=_AT)
    opened = select(
        _ACCOUNT, story.c.market, _AT, story.c.after, story.c.asset_mode, story.c.position_mode, _SOURCE, _AT
    ).where(begins, not_(story.c.foretold))
    columns = (
        "account", "market", "valid_from", "valid_to", "asset_mode", "position_mode", "source", "confirmed_at",
    )  # fmt: skip
    new = insert(account_modes).from_select(columns, opened).on_conflict_do_nothing()
    return new.add_cte(confirmed.cte("confirmed"), moved.cte("moved"))


def _story() -> CTE:
    """Return what is told, beside its neighbours: does it agree with the row before, end it, or foretell the next?"""
    told = (
        func.json_to_recordset(cast(bindparam("modes", type_=Text), JSON))
        .table_valued(column("market", Text), column("asset_mode", Text), column("position_mode", Text))
        .render_derived("told", with_types=True)
    )
    before, after = _neighbour(told, "before"), _neighbour(told, "after")
    agrees = _same(before, told)
    return (
        select(
            *told.c,
            before.c.valid_from.label("before"),
            before.c.valid_to.label("before_to"),
            after.c.valid_from.label("after"),
            agrees.label("agrees"),
            and_(not_(agrees), func.coalesce(before.c.confirmed_at < _AT, true())).label("differs"),
            _same(after, told).label("foretold"),
        )
        .select_from(told.outerjoin(before, true()).outerjoin(after, true()))
        .cte("story")
    )


def _neighbour(told: TableValuedAlias, side: str) -> FromClause:
    """Return the last row that begins up to the measurement, or the first one that begins after it."""
    begun = account_modes.c.valid_from
    is_there, order = (begun <= _AT, begun.desc()) if side == "before" else (begun > _AT, begun.asc())
    ours = and_(account_modes.c.account == _ACCOUNT, account_modes.c.market == told.c.market)
    return select(account_modes).where(ours, is_there).order_by(order).limit(1).lateral(side)


def _same(row: FromClause, told: TableValuedAlias) -> ColumnElement[bool]:
    modes = (row.c[name].is_not_distinct_from(told.c[name]) for name in ("asset_mode", "position_mode"))
    return and_(row.c.valid_from.is_not(None), *modes)


def _row(story: CTE, which: str) -> Update:
    key = (account_modes.c.market == story.c.market, account_modes.c.valid_from == story.c[which])
    return update(account_modes).where(account_modes.c.account == _ACCOUNT, *key)


def _save_contracts() -> Insert:
    """Build the insertion of contracts; one that is known already is updated if it differs."""
    listed = (
        func.json_to_recordset(cast(bindparam("contracts", type_=Text), JSON))
        .table_valued(*(column(name, contracts.c[name].type) for name in _CONTRACT))
        .render_derived("listed", with_types=True)
    )
    given: list[ColumnElement[Any]] = [
        bindparam("contracts_environment", type_=Text),
        bindparam("contracts_market", type_=Text),
    ]
    new = insert(contracts).from_select(["environment", "market", *_CONTRACT], select(*given, *listed.c))
    content = {name: new.excluded[name] for name in _CONTRACT if name != "symbol"}
    return new.on_conflict_do_update(
        index_elements=("environment", "market", "symbol"),
        set_=content | {"updated_at": func.now()},
        where=or_(*(contracts.c[name].is_distinct_from(value) for name, value in content.items())),
    ).execution_options(preserve_rowcount=True)


SAVE_MODES: Final = _save_modes()

SAVE_CONTRACTS: Final = _save_contracts()
"""Writes the contracts that are new or differ, and no others."""
