"""The small notations of the resource: percentages, durations, times, times of day.

Each is an annotated type whose schema says the same to the API server as its validator says to Python.
"""

import math
import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from rampgate_operator.core.schema import Obeys, Rule, broken

_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DURATION_PATTERN = r"^([0-9]{1,6}(ms|s|m|h)|[0-9]{1,4}d)$"
INTERVAL_PATTERN = r"^[1-9][0-9]{0,4}(s|m|h)$"
TIME_OF_DAY_PATTERN = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"


# Not multipleOf: for a whole number the API server cuts the factor to a whole number too, 0.01 to 0, and refuses `percent: 10`.
# The comparison is exact on purpose: n/100 is the very float that the text of a number with two decimals is read as.
_TWO_DECIMALS = Rule(
    cel="self < 0.0 || self > 100.0 || double(int(self * 100.0 + 0.5)) / 100.0 == self",
    holds=lambda percent: math.floor(percent * 100 + 0.5) / 100 == percent,
    message="a percentage may have at most two decimals",
)

Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), Obeys(_TWO_DECIMALS)]
"""A share of the eligible units, in percent, with at most two decimals."""

PositivePercent = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False), Obeys(_TWO_DECIMALS)]
"""The same, above 0."""

Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=8)]
"""A whole number and a unit: `300ms`, `90s`, `10m`, `4h`, `7d`; at most `9999d`."""

Interval = Annotated[str, Field(pattern=INTERVAL_PATTERN, max_length=6)]
"""A duration of at least one second: `30s`, `5m`, `1h`."""

TimeOfDay = Annotated[str, Field(pattern=TIME_OF_DAY_PATTERN, max_length=5)]
"""A time of day by the wall clock, `09:00`; `24:00` is the end of the day."""

_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})", re.IGNORECASE
)
_TIME_LENGTH = 40
_KNOWN_YEARS = Rule(
    # The format alone lets 09:00:00+25:00 and the year 0 through, which no clock can show.
    cel="self >= timestamp('2000-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",
    holds=lambda moment: datetime(2000, 1, 1, tzinfo=UTC) <= moment < datetime(3000, 1, 1, tzinfo=UTC),
    message="write a time such as 2026-12-01T09:00:00Z, in the years 2000 to 2999",
)


def read_time(value: object) -> datetime:
    """Read an instant into UTC, from text as the API server's `date-time` has it; raises the API server's sentence."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    found = [*_too_long(value), *_no_date_time(value)]
    if found:
        raise broken([("", sentence) for sentence in found])
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise broken([("", _KNOWN_YEARS.message)]) from None


def _too_long(value: object) -> list[str]:
    return [f"Too long: may not be more than {_TIME_LENGTH} bytes"] if isinstance(value, str) and len(value) > _TIME_LENGTH else []


def _no_date_time(value: object) -> list[str]:
    if isinstance(value, str) and _DATE_TIME.fullmatch(value) and _is_date(value[:10]):
        return []
    shown = value if isinstance(value, str) else _GO_TYPES.get(type(value), type(value).__name__)
    return [f'must be of type date-time: "{shown}"']


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]
"""A name as Kubernetes wants it in a label."""

Percentage = Annotated[str, Field(max_length=8)]
"""A percentage as text, `5%`; its bounds are its field's."""

PodShare = Annotated[
    Percentage,
    Obeys(
        Rule(
            cel="self.matches('^(100|[1-9][0-9]?)%$')",
            holds=lambda text: re.fullmatch("(100|[1-9][0-9]?)%", text, re.ASCII) is not None,
            message="write 1% to 100%, such as 95%",
        )
    ),
]
"""A share of pods: `95%`."""

ShortText = Annotated[str, Field(min_length=1, max_length=253)]
"""A name, as people or programs give one."""

_GO_TYPES: dict[type, str] = {int: "int64", float: "float64", bool: "bool"}

Time = Annotated[
    datetime,
    Obeys(_KNOWN_YEARS),
    BeforeValidator(read_time),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "maxLength": _TIME_LENGTH, "x-kubernetes-validations": [_KNOWN_YEARS.as_validation()]}
    ),
]
"""An instant as RFC 3339 with an offset, `2026-12-01T09:00:00Z`."""


@lru_cache(maxsize=4096)  # every decision reads the same few
def duration(text: str) -> timedelta:
    """Read a `Duration` or `Interval`; ValueError when it is none."""
    match = re.fullmatch(r"([0-9]+)(ms|s|m|h|d)", text)
    if match is None:
        raise ValueError(f"{text!r} is no duration such as 300ms, 90s, 10m, 4h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@lru_cache(maxsize=4096)
def share(text: str) -> float:
    """Read a `Percentage`: `5%` is 0.05; ValueError when it is none."""
    if re.fullmatch(r"[0-9]{1,4}([.][0-9]{1,2})?%", text) is None:
        raise ValueError(f"{text!r} is no percentage such as 5%")
    return float(text[:-1]) / 100


def basis_points(percent: float) -> int:
    """Give hundredths of a percent, the unit in which shares are compared: 0 to 10,000."""
    return round(percent * 100)


def timestamp(moment: datetime) -> str:
    """Write an instant as Kubernetes does, RFC 3339 in UTC; with milliseconds, since steps and looks may be a second apart."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
