"""The small notations of the resource: percentages, durations, times, times of day.

Each is an annotated type whose schema says the same to the API server as its validator says to Python.
"""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, WithJsonSchema

from rampgate_operator.core.schema import Obeys, Rule

_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DURATION_PATTERN = r"^[0-9]{1,6}(ms|s|m|h|d)$"
INTERVAL_PATTERN = r"^[1-9][0-9]{0,4}(s|m|h)$"
TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
TIME_OF_DAY_PATTERN = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"


def _has_two_decimals(percent: float) -> bool:
    """As the rule in CEL: a float is never exactly a hundredth, so it may be off by less than anyone can mean."""
    return abs(percent * 100 - math.floor(percent * 100 + 0.5)) < 1e-6


# Not multipleOf: for a whole number the API server cuts the factor to a whole number too, 0.01 to 0, and refuses `percent: 10`.
_TWO_DECIMALS = Rule(
    cel=(
        "self < 0.0 || self > 100.0 || (self * 100.0 - double(int(self * 100.0 + 0.5)) < 0.000001"
        " && self * 100.0 - double(int(self * 100.0 + 0.5)) > -0.000001)"
    ),
    holds=_has_two_decimals,
    message="a percentage may have at most two decimals",
)

Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), Obeys(_TWO_DECIMALS)]
"""A share of the eligible units, in percent, with at most two decimals."""

Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=8)]
"""A whole number and a unit: `300ms`, `90s`, `10m`, `4h`, `7d`."""

Interval = Annotated[str, Field(pattern=INTERVAL_PATTERN, max_length=6)]
"""A duration of at least one second: `30s`, `5m`, `1h`."""

TimeOfDay = Annotated[str, Field(pattern=TIME_OF_DAY_PATTERN, max_length=5)]
"""A time of day by the wall clock, `09:00`; `24:00` is the end of the day."""

Time = Annotated[
    AwareDatetime,
    AfterValidator(lambda value: value.astimezone(UTC)),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40, "pattern": TIME_PATTERN}),
]
"""An instant as RFC 3339 with an offset, `2026-12-01T09:00:00Z`."""


def duration(text: str) -> timedelta:
    """Read a `Duration` or `Interval`; ValueError when it is none."""
    match = re.fullmatch(r"([0-9]+)(ms|s|m|h|d)", text)
    if match is None:
        raise ValueError(f"{text!r} is no duration such as 300ms, 90s, 10m, 4h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def spoken(delta: timedelta) -> str:
    """Say a time span the way the resource writes it, in the largest unit that keeps two figures: `90s`, `12m`, `4h`, `7d`."""
    seconds = max(0, round(delta.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def basis_points(percent: float) -> int:
    """Give hundredths of a percent, the unit in which shares are compared: 0 to 10,000."""
    return round(percent * 100)


def timestamp(moment: datetime) -> str:
    """Write an instant as Kubernetes does, RFC 3339 in UTC; with milliseconds, since steps and looks may be a second apart."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
