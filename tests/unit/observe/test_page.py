"""The page of what is known at one moment, without a browser."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any, cast

import pytest

from poller.observe.health import readiness
from poller.observe.holdings import MOST_CHARTS, holdings
from poller.observe.page import Look, page, strip
from poller.observe.readings import Readings
from poller.storage.overview import Curve, Overview
from tests.support.readings import READINGS, SERIES

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
EMPTY = Overview(
    accounts=(), statuses={}, positions=(), equity=(), margin_ratio=(), gaps=(), missed=(0, 0)
)  # fmt: skip
STYLE = (files("poller.observe") / "templates" / "status.css").read_text(encoding="utf-8")


class _Account:
    """What the page reads of a row of accounts."""

    account, market, environment = "main", "usdm", "live"
    time, age, last_status, last_error, interval_seconds = NOON, timedelta(seconds=3), "ok", None, 10


ONE = replace(EMPTY, accounts=(cast("Any", _Account()),))


def look(readings: Readings = READINGS, overview: Overview | None = EMPTY, *, renews: bool = True) -> Look:
    return Look(
        at=NOON,
        release="1.0",
        readings=readings,
        reasons=readiness(readings),
        overview=overview,
        failure=None if overview else "<the server> is down",
        renews=renews,
    )


def curve(*values: str | None, asset: str = "USDT", scope: str = "asset") -> Curve:
    points = [
        (NOON + timedelta(minutes=number), None if value is None else Decimal(value))
        for number, value in enumerate(values)
    ]
    return Curve(account="main", market="usdm", asset=asset, scope=scope, points=tuple(points))


@pytest.mark.parametrize(
    ("readings", "state"),
    [
        (READINGS, "recording"),
        (replace(READINGS, series=(replace(SERIES, has_stored=False),)), "starting"),
        (replace(READINGS, series=(replace(SERIES, has_stored=False, age_seconds=20.0),)), "failing"),
        (replace(READINGS, series=(SERIES, replace(SERIES, age_seconds=20.0))), "failing"),
        (replace(READINGS, series=(replace(SERIES, has_stored=False),), stuck="writer"), "failing"),
        (replace(READINGS, spool_refuses=True), "failing"),
    ],
)
def test_a_daemon_is_starting_until_its_first_polls_are_late(readings: Readings, state: str) -> None:
    assert look(readings).state == state


def test_before_the_first_poll_the_page_says_when_it_is_due() -> None:
    shown = page(look(replace(READINGS, series=(replace(SERIES, has_stored=False),))))

    assert "Starting" in shown
    assert "The first poll is due within 10 s" in shown
    assert "No poll has been promised yet: main usdm come first." in shown


def test_what_a_database_says_cannot_become_markup() -> None:
    shown = page(look(overview=None))

    assert "It cannot be read now: &lt;the server&gt; is down." in shown


def test_renewing_can_be_stopped_and_begun_again() -> None:
    assert 'href="?refresh=off"' in page(look())
    assert 'href="?"' in page(look(renews=False))


def test_an_account_has_charts_of_what_moved_and_a_line_of_what_did_not() -> None:
    [held] = holdings(
        replace(ONE, equity=(curve("1", None, "2"), curve("5", "5", asset="BNB"), curve(None, asset="BTC")))
    )

    assert [figure.label for figure in held.equity] == [
        "Equity of main, USDT, usdm: 2 USDT at last, between 1 and 2 from 12:00 to 12:02 UTC; unknown in 1 stretch"
    ]
    assert [figure.change for figure in held.equity] == ["+1 since 12:00"]
    assert held.unchanged == ("5 BNB (usdm)",)


def test_margin_ratios_begin_at_zero_and_tell_of_liquidation() -> None:
    pools = (curve("0.4", "0.85", scope="cross"), curve("0", "0", asset="BTC", scope="cross"))
    [held] = holdings(replace(ONE, margin_ratio=pools))

    [figure] = held.margin_ratio
    assert (figure.name, figure.alarm) == ("USDT cross, usdm", "near liquidation")
    assert figure.lowest.startswith("0.00")


def test_more_charts_than_an_eye_takes_in_are_counted() -> None:
    many = tuple(curve("1", "2", asset=f"A{number}") for number in range(MOST_CHARTS + 3))
    [held] = holdings(replace(ONE, equity=many))

    assert (len(held.equity), held.left) == (MOST_CHARTS, 3)


def test_newest_polls_are_told_in_words_and_in_heights() -> None:
    told = strip(["ok", "timeout", "ok", "timeout", "paused"])

    assert (told["words"], told["failed"]) == ("2 of 5 ok", "2 timeout, 1 paused")
    assert (told["good"].count("M"), told["bad"].count("M")) == (2, 3)


def _schemes() -> Iterator[dict[str, str]]:
    for block in re.findall(r":root \{(.*?)\}", STYLE, flags=re.DOTALL):
        yield dict(re.findall(r"--(\w+): (#[0-9a-f]{6})\b", block))


def _luminance(color: str) -> float:
    def linear(part: str) -> float:
        value = int(part, 16) / 255
        return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)

    red, green, blue = (linear(color[at : at + 2]) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("ground", ["paper", "card"])
@pytest.mark.parametrize("ink", ["ink", "dim", "good", "bad", "warn", "curve"])
def test_everything_written_stands_out_in_light_and_dark(ink: str, ground: str) -> None:
    schemes = list(_schemes())
    assert len(schemes) == 2
    for scheme in schemes:
        lighter, darker = sorted((_luminance(scheme[ink]), _luminance(scheme[ground])), reverse=True)

        assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_nothing_moves() -> None:
    assert not re.search(r"animation|transition|scroll-behavior", STYLE)
