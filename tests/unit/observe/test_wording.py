from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from poller.observe.wording import UNKNOWN, ago, amount, change, clock, instant, iso, length, percent


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_a_length_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    assert length(seconds) == length(timedelta(seconds=seconds)) == words


def test_what_never_was_is_not_ago() -> None:
    assert ago(None) == "never"
    assert ago(5.0) == "5 s ago"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, UNKNOWN),
        ("0", "0"),
        ("-0.000000001", "0"),
        ("100", "100"),
        ("1234567.891", "1 234 567.89"),
        ("4987.18094982", "4 987.1809"),
        ("0.04992721", "0.04992721"),
        ("-12.5", "\N{MINUS SIGN}12.5"),
    ],
)
def test_an_amount_has_eight_digits_and_at_least_two_decimals(value: str | None, text: str) -> None:
    assert amount(None if value is None else Decimal(value)) == text.replace(" ", "\N{NARROW NO-BREAK SPACE}")


def test_an_amount_can_have_fewer_decimals() -> None:
    assert amount(Decimal("3.14159"), 2) == "3.14"


def test_a_change_has_its_sign() -> None:
    assert [change(Decimal(value)) for value in ("2", "-2", "0")] == ["+2", "\N{MINUS SIGN}2", "0"]


def test_a_share_is_a_percentage() -> None:
    assert percent(Decimal("0.01234")) == "1.23\N{NARROW NO-BREAK SPACE}%"
    assert percent(None) == UNKNOWN


def test_instants_are_in_utc() -> None:
    noon = datetime(2026, 11, 21, 12, 30, 5, tzinfo=timezone(timedelta(hours=2)))

    assert (instant(noon), clock(noon), iso(noon)) == ("2026-11-21 10:30:05", "10:30", "2026-11-21T10:30:05Z")
    assert instant(None) == UNKNOWN
    assert iso(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00Z"
