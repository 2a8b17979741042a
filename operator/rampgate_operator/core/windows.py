"""The windows in which steps may begin: wall-clock hours in a time zone, daylight saving followed.

A window's bounds are turned into instants day by day, so an hour that the clocks skip or repeat shortens or lengthens the window as a
person on site would see it: the first of two equal wall-clock times opens, the second closes (PEP 495), and a time that is skipped is
the moment at which the clocks jump. Knows wall clocks; knows nothing of ramps.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rampgate_operator.core.spec import Day, Window

_DAYS = tuple(Day)
_MINUTE = timedelta(minutes=1)
_HORIZON = 16
"""Days to look ahead: a weekly window opens at least once, even if the clocks skip one."""


def is_open(windows: Sequence[Window], now: datetime) -> bool:
    """Tell whether `now` lies inside one of the windows."""
    return any(opens <= now < closes for opens, closes in _spans(windows, now))


def next_opening(windows: Sequence[Window], now: datetime) -> datetime | None:
    """Give the next instant after `now` at which a window opens."""
    return min((opens for opens, _ in _spans(windows, now) if opens > now), default=None)


def _spans(windows: Iterable[Window], now: datetime) -> Iterator[tuple[datetime, datetime]]:
    for window in windows:
        zone = ZoneInfo(window.time_zone)
        today = now.astimezone(zone).date()
        for offset in range(-1, _HORIZON):
            day = today + timedelta(days=offset)
            if _DAYS[day.weekday()] in window.days:
                opens, closes = _opens(day, window, zone), _closes(day, window, zone)
                if opens < closes:
                    yield opens, closes


def _opens(day: date, window: Window, zone: ZoneInfo) -> datetime:
    return _instant(datetime.combine(day, time.fromisoformat(window.from_)), zone)


def _closes(day: date, window: Window, zone: ZoneInfo) -> datetime:
    if window.to == "24:00":
        return _instant(datetime.combine(day + timedelta(days=1), time.min), zone)  # the first midnight ends the day
    return _instant(datetime.combine(day, time.fromisoformat(window.to)).replace(fold=1), zone)


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)  # in a gap, the later offset gives the earlier instant
    offset = before.astimezone(zone).utcoffset()
    while before.astimezone(zone).utcoffset() == offset:
        before += _MINUTE
    return before
