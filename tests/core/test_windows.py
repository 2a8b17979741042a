"""core/windows: hours by the wall clock, through the days on which the clocks change."""

from datetime import UTC, datetime
from typing import Any

import pytest

from rampgate_operator.core.spec import Window
from rampgate_operator.core.windows import is_open, next_opening

EVERY_DAY = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def window(start: str, end: str, zone: str, days: list[str] | None = None) -> Window:
    return Window.from_wire({"days": days or EVERY_DAY, "from": start, "to": end, "timeZone": zone})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
# the first and the last second that are open, and both neighbours, in UTC
SPANS = [
    ("winter", ("09:00", "16:00", BERLIN), "2026-01-15T08:00:00", "2026-01-15T14:59:59"),
    ("summer", ("09:00", "16:00", BERLIN), "2026-07-15T07:00:00", "2026-07-15T13:59:59"),
    ("winter, west", ("09:00", "16:00", NEW_YORK), "2026-01-15T14:00:00", "2026-01-15T20:59:59"),
    ("to the end of the day", ("22:00", "24:00", BERLIN), "2026-01-15T21:00:00", "2026-01-15T22:59:59"),
    ("the whole day, which has 23 hours", ("00:00", "24:00", BERLIN, ["Sun"]), "2026-03-28T23:00:00", "2026-03-29T21:59:59"),
    ("the whole day, which has 25 hours", ("00:00", "24:00", BERLIN, ["Sun"]), "2026-10-24T22:00:00", "2026-10-25T22:59:59"),
    ("the whole day of 23 hours, west", ("00:00", "24:00", NEW_YORK, ["Sun"]), "2026-03-08T05:00:00", "2026-03-09T03:59:59"),
    ("the whole day of 25 hours, west", ("00:00", "24:00", NEW_YORK, ["Sun"]), "2026-11-01T04:00:00", "2026-11-02T04:59:59"),
    ("over the hour that is skipped", ("01:30", "03:30", BERLIN), "2026-03-29T00:30:00", "2026-03-29T01:29:59"),
    ("into the hour that is skipped", ("01:30", "02:30", BERLIN), "2026-03-29T00:30:00", "2026-03-29T00:59:59"),
    ("out of the hour that is skipped", ("02:30", "03:30", BERLIN), "2026-03-29T01:00:00", "2026-03-29T01:29:59"),
    ("out of the hour that is skipped, west", ("02:15", "04:00", NEW_YORK), "2026-03-08T07:00:00", "2026-03-08T07:59:59"),
    ("over the hour that comes twice", ("01:30", "03:30", BERLIN), "2026-10-24T23:30:00", "2026-10-25T02:29:59"),
    ("within the hour that comes twice", ("02:15", "02:45", BERLIN), "2026-10-25T00:15:00", "2026-10-25T01:44:59"),
    ("within the hour that comes twice, west", ("01:15", "01:45", NEW_YORK), "2026-11-01T05:15:00", "2026-11-01T06:44:59"),
    ("to a midnight that comes twice", ("22:00", "24:00", "America/Havana"), "2026-11-01T02:00:00", "2026-11-01T03:59:59"),
    ("from a midnight that is skipped", ("00:00", "02:00", "Africa/Cairo"), "2026-04-23T22:00:00", "2026-04-23T22:59:59"),
    ("a day ahead of UTC", ("08:00", "09:00", "Pacific/Kiritimati", ["Thu"]), "2026-01-14T18:00:00", "2026-01-14T18:59:59"),
    ("a day behind UTC", ("20:00", "21:00", "Pacific/Honolulu", ["Wed"]), "2026-01-15T06:00:00", "2026-01-15T06:59:59"),
]


@pytest.mark.parametrize(("shape", "first", "last"), [row[1:] for row in SPANS], ids=[row[0] for row in SPANS])
def test_a_window_is_open_from_its_first_to_its_last_second(shape: Any, first: str, last: str) -> None:
    windows = [window(*shape)]
    opens, closes = utc(first).timestamp(), utc(last).timestamp()
    assert [is_open(windows, datetime.fromtimestamp(moment, UTC)) for moment in (opens - 1, opens, closes, closes + 1)] == [
        False,
        True,
        True,
        False,
    ]
    assert next_opening(windows, datetime.fromtimestamp(opens - 1, UTC)) == utc(first)
    middle = datetime.fromtimestamp((opens + closes) // 2, UTC)
    assert is_open(windows, middle)


@pytest.mark.parametrize(
    ("sentence", "shapes", "now", "opening"),
    [
        ("later today", [("09:00", "16:00", "UTC")], "2026-01-15T08:59:59", "2026-01-15T09:00:00"),
        ("tomorrow, once it is open", [("09:00", "16:00", "UTC")], "2026-01-15T09:00:00", "2026-01-16T09:00:00"),
        ("the soonest of two", [("20:00", "21:00", "UTC"), ("12:00", "13:00", "UTC")], "2026-01-15T10:00:00", "2026-01-15T12:00:00"),
        ("next week, if it is today's that is over", [("09:00", "10:00", "UTC", ["Thu"])], "2026-01-15T10:00:00", "2026-01-22T09:00:00"),
        (
            "the week after, where the clocks skip all of it",
            [("02:10", "02:50", BERLIN, ["Sat", "Sun"])],
            "2026-03-28T12:00:00",
            "2026-04-04T00:10:00",
        ),
    ],
)
def test_the_next_opening_is(sentence: str, shapes: list[Any], now: str, opening: str) -> None:
    assert next_opening([window(*shape) for shape in shapes], utc(now)) == utc(opening)


def test_an_hour_that_is_skipped_altogether_does_not_open() -> None:
    windows = [window("02:10", "02:50", BERLIN)]
    assert not any(is_open(windows, utc(f"2026-03-29T{hour:02}:{minute:02}:00")) for hour in range(4) for minute in range(60))


def test_a_weekly_window_of_which_one_is_skipped_opens_the_week_after() -> None:
    windows = [window("02:10", "02:50", BERLIN, ["Sun"])]
    assert next_opening(windows, utc("2026-03-22T12:00:00")) == utc("2026-04-05T00:10:00")
