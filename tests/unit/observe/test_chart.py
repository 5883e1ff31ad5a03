from datetime import UTC, datetime, timedelta
from decimal import Decimal

from poller.observe.chart import HEIGHT, WIDTH, Point, line

START = datetime(2026, 11, 21, tzinfo=UTC)


def points(*values: str | None) -> list[Point]:
    return [
        (START + timedelta(minutes=number), Decimal(value) if value is not None else None)
        for number, value in enumerate(values)
    ]


def test_a_line_goes_from_edge_to_edge() -> None:
    drawn = line(points("1", "3", "2"))

    assert drawn
    assert drawn.path == f"M0.0 {HEIGHT:.1f} L{WIDTH / 2:.1f} 0.0 {WIDTH:.1f} {HEIGHT / 2:.1f}"
    assert (drawn.lowest, drawn.highest, drawn.last, drawn.unknown) == (Decimal(1), Decimal(3), Decimal(2), 0)


def test_a_line_breaks_where_nothing_is_known() -> None:
    drawn = line(points("1", None, "2", "3", None))

    assert drawn
    assert drawn.path.count("M") == 2
    assert (drawn.last, drawn.unknown) == (Decimal(3), 2)


def test_a_point_alone_is_a_dot() -> None:
    drawn = line(points(None, "5", None))

    assert drawn
    assert drawn.path == f"M{WIDTH / 2:.1f} {HEIGHT / 2:.1f} L{WIDTH / 2:.1f} {HEIGHT / 2:.1f}"


def test_nothing_known_draws_nothing() -> None:
    assert line(points(None, None)) is None
    assert line([]) is None


def test_every_digit_of_a_value_counts() -> None:
    drawn = line(points("12345678901234567890.00000001", "12345678901234567890.00000003"))

    assert drawn
    assert drawn.highest - drawn.lowest == Decimal("0.00000002")
