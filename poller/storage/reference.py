"""The statements behind account_modes and contracts; each is atomic and, repeated, does nothing.

Both are functions of the schema, since they change rows: a role that records may not do that by itself.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import JSON, DateTime, Text, bindparam, cast, func, select

from poller.observation import Environment, Market, ModesMeasured
from poller.records import Contract

SAVE_MODES: Final = select(
    func.poller.save_modes(
        bindparam("account", type_=Text),
        bindparam("source", type_=Text),
        bindparam("measured_at", type_=DateTime(timezone=True)),
        cast(bindparam("modes", type_=Text), JSON),
    )
)

SAVE_CONTRACTS: Final = select(
    func.poller.save_contracts(
        bindparam("environment", type_=Text),
        bindparam("market", type_=Text),
        cast(bindparam("listed", type_=Text), JSON),
    )
)
"""Writes the contracts that are new or differ, and returns how many."""


def modes_parameters(measured: ModesMeasured) -> dict[str, object]:
    """Return the parameters of `SAVE_MODES`: a row for each market that something is known of."""
    known = [
        {"market": market, "asset_mode": asset_mode, "position_mode": measured.position_mode}
        for market, asset_mode in ((Market.USDM, measured.asset_mode), (Market.COINM, None))
        if asset_mode or measured.position_mode
    ]
    return {
        "account": measured.account,
        "source": measured.source.value,
        "measured_at": measured.measured_at,
        "modes": msgspec.json.encode(known).decode(),
    }


def contract_parameters(environment: Environment, market: Market, listed: Sequence[Contract]) -> dict[str, object]:
    """Return the parameters of `SAVE_CONTRACTS`."""
    return {
        "environment": environment.value,
        "market": market.value,
        "listed": msgspec.json.encode(listed).decode(),
    }
