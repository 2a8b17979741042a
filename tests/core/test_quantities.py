"""The small notations: durations, shares, instants."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from rampgate_operator.core.quantities import Percent, Time, basis_points, duration, timestamp

PERCENT = TypeAdapter(Percent)
TIME = TypeAdapter(Time)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("300ms", timedelta(milliseconds=300)),
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("4h", timedelta(hours=4)),
        ("7d", timedelta(days=7)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_is_a_whole_number_and_a_unit(text: str, expected: timedelta) -> None:
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["", "10", "1.5h", "1h30m", "-1s", "1 h", "1H", "1h\n"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration such as 300ms, 90s, 10m, 4h or 7d"):
        duration(text)


@given(st.integers(min_value=0, max_value=10_000))
def test_every_hundredth_of_a_percent_is_a_percentage_and_comes_back_exactly(points: int) -> None:
    percent = PERCENT.validate_json(f"{points // 100}.{points % 100:02}")
    assert basis_points(percent) == points


@given(st.integers(min_value=0, max_value=100_000).filter(lambda thousandths: thousandths % 10))
def test_no_thousandth_of_a_percent_is_a_percentage(thousandths: int) -> None:
    with pytest.raises(ValidationError, match="at most two decimals"):
        PERCENT.validate_json(f"{thousandths // 1000}.{thousandths % 1000:03}")


@pytest.mark.parametrize("text", ["2026-12-01T09:00:00Z", "2026-12-01T10:00:00+01:00", "2026-11-30T23:30:00.000000000-09:30"])
def test_an_instant_is_read_into_utc(text: str) -> None:
    moment = TIME.validate_python(text)
    assert (moment, moment.tzinfo) == (datetime(2026, 12, 1, 9, tzinfo=UTC), UTC)


def test_an_instant_in_python_keeps_its_place_on_the_line_of_time() -> None:
    there = datetime(2026, 12, 1, 10, tzinfo=timezone(timedelta(hours=1)))
    assert TIME.validate_python(there) == there


def test_an_instant_in_python_needs_a_time_zone() -> None:
    with pytest.raises(ValidationError, match="must be of type date-time"):
        TIME.validate_python(datetime(2026, 12, 1, 10))


def test_an_instant_is_written_in_utc_with_milliseconds() -> None:
    assert timestamp(datetime(2026, 12, 1, 10, 0, 0, 123_456, timezone(timedelta(hours=1)))) == "2026-12-01T09:00:00.123Z"
