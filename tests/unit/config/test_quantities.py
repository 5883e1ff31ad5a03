import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from poller.config.quantities import SpoolSize, seconds

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
SIZE: TypeAdapter[int] = TypeAdapter(SpoolSize)


@settings(deadline=None)
@given(st.integers(0, 999_999_999), st.sampled_from(sorted(UNITS)))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert seconds(f"{number}{unit}") == number * UNITS[unit]


@settings(deadline=None)
@given(st.one_of(st.text(), st.from_regex(r"[-+]?\s?\d+(\.\d+)?\s?\w{0,3}", fullmatch=True)))
def test_a_duration_is_read_as_written_or_not_at_all(text: str) -> None:
    try:
        read = seconds(text)
    except ValueError:
        return
    number, unit = text[:-1], text[-1]
    assert number.isascii()
    assert number.isdigit()
    assert read == int(number) * UNITS[unit]


@pytest.mark.parametrize(
    "text", ["10", "", "s", "10 s", "1.5s", "-1s", "+1s", "1h30m", "10S", "\u0661s", "10s\n", "1e1s", 10, None]
)
def test_other_ways_to_write_a_duration_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="whole number with a unit"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1MiB", 2**20),
        ("500MB", 500_000_000),
        ("1GiB", 2**30),
        ("2 gb", 2 * 10**9),
        ("1TiB", 2**40),
        ("1048577B", 1048577),
    ],
)
def test_a_size_is_its_number_times_its_unit(text: str, size: int) -> None:
    assert SIZE.validate_python(text) == size


@pytest.mark.parametrize(
    "text", ["1", "1G", "1.5GiB", "1GiBs", "1GiB!", "-1GiB", "1Gbit", "1 \u212aB", "", 2**30, None, "9" * 5000 + "B"]
)
def test_other_ways_to_write_a_size_are_refused(text: object) -> None:
    with pytest.raises(ValidationError, match="whole number with a unit"):
        SIZE.validate_python(text)


@pytest.mark.parametrize("text", ["1048575B", "1048577MiB", "999999999TiB"])
def test_a_size_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="from 1MiB to 1TiB"):
        SIZE.validate_python(text)
