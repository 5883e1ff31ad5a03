"""What the configured polls need of the IP's weight in their worst minute, and whether our share of it is enough.

Polls are due at multiples of their interval since the epoch, so there is a minute that begins with all of them at once:
`ceil(60 / interval)` polls of each account and market. What a healthy process spends besides is kept apart: both
markets' planned new sockets in one minute, one measurement of the clock, one round of contracts, and the account modes
of as many accounts as hourly questions, spread over the hour, put into one minute.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from poller.exchange.budget import allowance
from poller.exchange.endpoints import (
    ACCOUNT_CONFIG_WEIGHT,
    EXCHANGE_INFO_WEIGHT,
    HANDSHAKE_WEIGHT,
    TIME_WEIGHT,
    account_weight,
)
from poller.exchange.weight import DEFAULT_LIMIT
from poller.observation import Market

_CLOCK_SAMPLES = 5
_MOST_SHOWN = 3


class Load(NamedTuple):
    """One account: where and how often it is polled."""

    markets: frozenset[Market]
    interval_seconds: int

    @property
    def polls(self) -> int:
        """Polls of each market in the worst minute."""
        return ceil(60 / self.interval_seconds)

    @property
    def weight(self) -> int:
        """Weight of one poll of all its markets."""
        return sum(account_weight(market) for market in self.markets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the accounts need in their worst minute, and what there is.

    Attributes:
        loads: The accounts.
        share: Our part of the limit.
        limit: Weight that one IP has in a minute.
    """

    loads: Sequence[Load]
    share: float
    limit: int = DEFAULT_LIMIT

    @property
    def needed(self) -> int:
        """Weight of all polls."""
        return sum(load.weight * load.polls for load in self.loads)

    @property
    def kept(self) -> int:
        """Weight that is not for polls."""
        markets = len(frozenset[Market]().union(*(load.markets for load in self.loads)))
        modes = ACCOUNT_CONFIG_WEIGHT * ceil(len(self.loads) / 60)
        return markets * (HANDSHAKE_WEIGHT + EXCHANGE_INFO_WEIGHT) + _CLOCK_SAMPLES * TIME_WEIGHT + modes

    @property
    def allowed(self) -> int:
        """Weight that our share allows."""
        return allowance(self.share, self.limit)

    @property
    def fits(self) -> bool:
        """Whether all polls can be made in every minute."""
        return self.needed + self.kept <= self.allowed

    @property
    def smallest_interval(self) -> int | None:
        """The shortest interval, in seconds, that fits if all accounts have it; None if none does."""
        polls = (self.allowed - self.kept) // max(1, sum(load.weight for load in self.loads))
        return ceil(60 / min(polls, 60)) if polls > 0 else None

    @property
    def smallest_share(self) -> float | None:
        """The smallest share, in hundredths, with which the intervals fit as they are; None if none does."""
        hundredths = ceil(100 * (self.needed + self.kept) / self.limit)
        return hundredths / 100 if hundredths <= 100 else None  # noqa: PLR2004 - hundredths of a whole


def shortage(plan: Plan) -> str:
    """Tell, with the arithmetic, why a plan does not fit and what would."""
    remedies = [
        *([f"{plan.smallest_interval}s is the smallest interval that fits all"] if plan.smallest_interval else []),
        *([f"weight_share {plan.smallest_share} fits these"] if plan.smallest_share else []),
    ]
    return (
        f"need {plan.needed:,} weight a minute for polls ({_sum(plan.loads)}), but exchange.weight_share "
        f"{plan.share:g} of {plan.limit:,} allows {plan.allowed:,}, of which {plan.kept} are kept for handshakes, "
        f"clock, account modes and contracts: {', '.join(remedies) or 'no interval fits so many accounts on one IP'}"
    )


def _sum(loads: Sequence[Load]) -> str:
    groups = Counter((load.interval_seconds, load.polls, load.weight) for load in loads)
    shown = [
        f"{number} {'account' if number == 1 else 'accounts'} every {interval}s: {number} * {polls} * {weight}"
        for (interval, polls, weight), number in groups.most_common(_MOST_SHOWN)
    ]
    return ", ".join(shown + ["…"] * (len(groups) > _MOST_SHOWN))
