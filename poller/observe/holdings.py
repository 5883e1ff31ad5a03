"""What each account holds and held, ready to be shown. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from poller.observe.chart import Line, line
from poller.observe.wording import amount, change, clock, percent
from poller.storage.overview import Curve, Overview

MOST_ACCOUNTS: Final = 12
MOST_CHARTS: Final = 12
"""Of one account's equity, and of its margin ratios: what an eye can take in."""

_ZERO: Final = Decimal(0)
_NEAR_LIQUIDATION: Final = Decimal("0.8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart with what is written around it.

    Attributes:
        name: What it is of.
        value: The newest, with its unit.
        change: Since the left edge, with its sign; empty where that says nothing.
        alarm: What is wrong with the value; empty when nothing is.
        label: All of it in words, for those who do not see it.
    """

    name: str
    value: str
    change: str
    lowest: str
    highest: str
    alarm: str
    label: str
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """One account.

    Attributes:
        unchanged: Equities that have been the same all the time, with their units.
        left: How many charts are not drawn.
        positions: Rows of the overview.
    """

    account: str
    environment: str
    equity: tuple[Figure, ...]
    unchanged: tuple[str, ...]
    margin_ratio: tuple[Figure, ...]
    left: int
    positions: tuple[Any, ...]


def holdings(overview: Overview) -> list[Holdings]:
    """Return what the first accounts hold, in the order of their names."""
    environments = {row.account: row.environment for row in overview.accounts}
    return [_of(account, environment, overview) for account, environment in sorted(environments.items())][
        :MOST_ACCOUNTS
    ]


def _of(account: str, environment: str, overview: Overview) -> Holdings:
    drawn = [(curve, found) for curve in _own(overview.equity, account) if (found := line(curve.points))]
    equity = [_equity(curve, found) for curve, found in drawn if found.lowest != found.highest]
    ratios = list(_margin_ratios(overview.margin_ratio, account))
    return Holdings(
        account=account,
        environment=environment,
        equity=tuple(equity[:MOST_CHARTS]),
        unchanged=tuple(
            f"{amount(found.last)} {curve.asset} ({curve.market})"
            for curve, found in drawn
            if found.lowest == found.highest != _ZERO
        ),
        margin_ratio=tuple(ratios[:MOST_CHARTS]),
        left=max(len(equity) - MOST_CHARTS, 0) + max(len(ratios) - MOST_CHARTS, 0),
        positions=tuple(row for row in overview.positions if row.account == account),
    )


def _own(curves: Sequence[Curve], account: str) -> Iterator[Curve]:
    return (curve for curve in curves if curve.account == account)


def _equity(curve: Curve, drawn: Line) -> Figure:
    name = f"All assets, {curve.market}" if curve.scope == "account" else f"{curve.asset}, {curve.market}"
    value = f"{amount(drawn.last)} {curve.asset}"
    return Figure(
        name=name,
        value=value,
        change=f"{change(drawn.last - drawn.first)} since {clock(drawn.since)}",
        lowest=amount(drawn.lowest),
        highest=amount(drawn.highest),
        alarm="",
        label=f"Equity of {curve.account}, {name}: {value} at last, "
        f"{_between(amount(drawn.lowest), amount(drawn.highest), drawn)}",
        line=drawn,
    )


def _margin_ratios(curves: Sequence[Curve], account: str) -> Iterator[Figure]:
    for curve in _own(curves, account):
        drawn = line(curve.points, base=_ZERO) if all((value or _ZERO) >= 0 for _, value in curve.points) else None
        if drawn is None or not drawn.highest:
            continue  # nothing was drawn on this pool
        name = f"{curve.asset} {curve.scope}, {curve.market}"
        yield Figure(
            name=name,
            value=percent(drawn.last),
            change="",
            lowest=percent(_ZERO),
            highest=percent(drawn.highest),
            alarm="near liquidation" if drawn.last >= _NEAR_LIQUIDATION else "",
            label=f"Margin ratio of {account}, {name}: {percent(drawn.last)} at last, "
            f"{_between(percent(drawn.lowest), percent(drawn.highest), drawn)}",
            line=drawn,
        )


def _between(lowest: str, highest: str, drawn: Line) -> str:
    stretches = drawn.unknown.count("M")
    unknown = f"; unknown in {stretches} {'stretch' if stretches == 1 else 'stretches'}" if stretches else ""
    return f"between {lowest} and {highest} from {clock(drawn.since)} to {clock(drawn.until)} UTC{unknown}"
