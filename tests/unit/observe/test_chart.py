from datetime import UTC, datetime, timedelta
from decimal import Decimal

from poller.observe.chart import HEIGHT, WIDTH, bars, line
from poller.storage.overview import Point

START = datetime(2026, 11, 21, tzinfo=UTC)


def points(*values: str | None) -> list[Point]:
    return [
        (START + timedelta(minutes=number), Decimal(value) if value is not None else None)
        for number, value in enumerate(values)
    ]


def test_a_line_goes_from_edge_to_edge() -> None:
    drawn = line(points("1", "3", "2"))

    assert drawn
    assert drawn.path == f"M0.0 {HEIGHT:.1f}L{WIDTH / 2:.1f} 0.0 {WIDTH:.1f} {HEIGHT / 2:.1f}"
    assert drawn.end == f"M{WIDTH:.1f} {HEIGHT / 2:.1f}L{WIDTH:.1f} {HEIGHT / 2:.1f}"
    assert (drawn.lowest, drawn.highest, drawn.first, drawn.last) == (Decimal(1), Decimal(3), Decimal(1), Decimal(2))
    assert (drawn.since, drawn.until) == (START, START + timedelta(minutes=2))
    assert drawn.unknown == ""


def test_a_line_breaks_where_nothing_is_known_and_the_gap_is_drawn_from_known_to_known() -> None:
    drawn = line(points("1", None, "2", "3", None))

    assert drawn
    assert drawn.path.count("M") == 2
    assert drawn.last == Decimal(3)
    assert drawn.unknown == (
        f"M0.0 0H{WIDTH / 2:.1f}V{HEIGHT}H0.0Z M{WIDTH * 3 / 4:.1f} 0H{WIDTH:.1f}V{HEIGHT}H{WIDTH * 3 / 4:.1f}Z"
    )


def test_a_point_alone_is_a_dot() -> None:
    drawn = line(points(None, "5", None))

    assert drawn
    assert drawn.path == drawn.end == f"M{WIDTH / 2:.1f} {HEIGHT / 2:.1f}L{WIDTH / 2:.1f} {HEIGHT / 2:.1f}"


def test_one_instant_is_at_the_right_edge() -> None:
    drawn = line(points("5"))

    assert drawn
    assert drawn.end.startswith(f"M{WIDTH:.1f} ")


def test_nothing_known_draws_nothing() -> None:
    assert line(points(None, None)) is None
    assert line([]) is None


def test_every_digit_of_a_value_counts() -> None:
    drawn = line(points("12345678901234567890.00000001", "12345678901234567890.00000003"))

    assert drawn
    assert drawn.highest - drawn.lowest == Decimal("0.00000002")


def test_a_line_can_begin_at_a_value_that_is_below_all_of_its_own() -> None:
    drawn = line(points("3", "4"), base=Decimal(0))

    assert drawn
    assert drawn.path == f"M0.0 {HEIGHT / 4:.1f}L{WIDTH:.1f} 0.0"


def test_bars_stand_where_they_are_marked_and_short_ones_are_a_third() -> None:
    assert bars([True, False, True], tall=True) == f"M5 {HEIGHT}V0 M25 {HEIGHT}V0"
    assert bars([False, True], tall=False) == f"M15 {HEIGHT}V{HEIGHT * 2 // 3}"
    assert bars([], tall=True) == ""
