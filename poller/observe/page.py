"""The status page: one document that needs no script, made anew for everybody who asks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from poller.observation import Status
from poller.observe import wording
from poller.observe.chart import HEIGHT, WIDTH, bars
from poller.observe.holdings import MOST_ACCOUNTS, holdings
from poller.observe.notices import notices
from poller.observe.readings import Readings
from poller.storage.overview import CHARTED, MOST_POLLS, Overview

RENEWED_SECONDS: Final = 10
"""How often a page that renews itself is asked for again."""

_HOUR: Final = 3600
_MISSED_INTERVALS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known at one moment.

    Attributes:
        at: By the exchange's clock.
        release: Of this program.
        readings: Of the daemon.
        reasons: Why polls do not reach the database; none when they do.
        overview: Of the database; None when it could not be asked.
        failure: Why not.
        renews: Whether the page is asked for again by itself.
    """

    at: datetime
    release: str
    readings: Readings
    reasons: tuple[str, ...]
    overview: Overview | None
    failure: str | None
    renews: bool

    @property
    def state(self) -> Literal["recording", "starting", "failing"]:
        """Whether polls reach the database, or are not due there yet, or do not."""
        if not self.reasons:
            return "recording"
        if self.readings.stuck or self.readings.spool_refuses:
            return "failing"
        late = (
            series.has_stored or series.age_seconds >= _MISSED_INTERVALS * series.interval_seconds
            for series in self.readings.series
        )
        return "failing" if any(late) else "starting"


def page(look: Look) -> str:
    """Return the page as HTML."""
    shown = holdings(look.overview) if look.overview else []
    return _TEMPLATE.render(
        look=look,
        notices=notices(look.readings),
        hours=round(CHARTED.total_seconds() / _HOUR),
        holdings=shown,
        left=len({row.account for row in look.overview.accounts}) - len(shown) if look.overview else 0,
        most=MOST_ACCOUNTS,
        renewed=RENEWED_SECONDS,
        width=WIDTH,
        height=HEIGHT,
        strip_width=10 * MOST_POLLS,
    )


def strip(statuses: Sequence[str]) -> dict[str, Any]:
    """Return how polls ended, the oldest first: as paths of bars, and in words."""
    counted = Counter(statuses)
    good = counted.pop(Status.OK, 0)
    failed = ", ".join(f"{count} {status}" for status, count in counted.most_common())
    return {
        "good": bars([status == Status.OK for status in statuses], tall=True),
        "bad": bars([status != Status.OK for status in statuses], tall=False),
        "words": f"{good} of {len(statuses)} ok",
        "failed": failed,
    }


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("poller.observe"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "ago": wording.ago,
    "amount": wording.amount,
    "clock": wording.clock,
    "instant": wording.instant,
    "iso": wording.iso,
    "length": wording.length,
    "strip": strip,
}
_TEMPLATE: Final = _ENVIRONMENT.get_template("status.html")
