"""The windows in which steps may begin: wall-clock hours in a time zone, daylight saving followed.

A window's bounds are turned into instants day by day, so an hour that the clocks skip or repeat shortens or lengthens the window as a
person on site would see it (PEP 495: the first of two equal wall-clock times opens, the second closes).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rampgate_operator.core.spec import Day, Window

_DAYS = tuple(Day)
_HORIZON = 9
"""Days to look ahead: a weekly window opens at least once, whatever the time zone."""


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
                opens, closes = _instant(day, window.from_, zone, fold=0), _instant(day, window.to, zone, fold=1)
                if opens < closes:
                    yield opens, closes


def _instant(day: date, text: str, zone: ZoneInfo, *, fold: int) -> datetime:
    if text == "24:00":
        day, text = day + timedelta(days=1), "00:00"
    return datetime.combine(day, time.fromisoformat(text).replace(fold=fold), zone).astimezone(UTC)
