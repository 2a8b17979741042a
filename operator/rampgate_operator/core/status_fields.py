"""The notations of a status: instants, numbers in a line, the counts of a step.

What a person reads with `kubectl describe`, where each field of each object takes a line.
"""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from rampgate_operator.core.quantities import Time, timestamp
from rampgate_operator.core.schema import Model
from rampgate_operator.core.sequential import GRID_SIZE, TILTS

MESSAGE_LIMIT = 1024
_LARGEST = 1e15

Moment = Annotated[Time, PlainSerializer(timestamp, return_type=str, when_used="json")]
"""An instant, written with milliseconds."""
Message = Annotated[str, Field(max_length=MESSAGE_LIMIT)]


def _read_numbers(value: object) -> object:
    return _finite(value.split()) if isinstance(value, str) else value


def _finite(texts: Iterable[str]) -> tuple[float, ...]:
    numbers = tuple(map(float, texts))
    if not all(abs(number) <= _LARGEST for number in numbers):
        raise ValueError("a number must be finite, and no larger than counts and their logarithms are")
    return numbers


def _write_numbers(numbers: tuple[float, ...]) -> str:
    return " ".join(map(repr, numbers))


_Line = Annotated[
    tuple[float, ...],
    BeforeValidator(_read_numbers),
    PlainSerializer(_write_numbers, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "maxLength": 1024}),
]
"""Numbers in a line: as a list they would take a screen of `kubectl describe`."""
Numbers = Annotated[_Line, Field(min_length=GRID_SIZE, max_length=GRID_SIZE)]
TiltNumbers = Annotated[_Line, Field(min_length=2 * len(TILTS), max_length=2 * len(TILTS))]
LONGEST_WORD = 63
Word = Annotated[str, Field(max_length=LONGEST_WORD)]


class StatusModel(Model):
    """A part of the status; unknown fields are ignored, since a newer operator may have written them."""

    model_config = ConfigDict(extra="ignore")


class StepCounts(StatusModel):
    """What one step brought to a treatment and to the comparison, control and baseline together."""

    started_at: Moment
    """When the step began."""
    treatment_total: float
    """Of the treatment: how much `total` rose."""
    treatment_events: float
    """Of the treatment: how much `events` rose."""
    comparison_total: float
    """Of the comparison: how much `total` rose."""
    comparison_events: float
    """Of the comparison: how much `events` rose."""


def _read_step(value: object) -> object:
    if not isinstance(value, str):
        return value
    started_at, *counts = value.replace("/", " ").split()
    numbers = _finite(counts)
    fields = ("treatment_events", "treatment_total", "comparison_events", "comparison_total")
    return {"started_at": started_at, **dict(zip(fields, numbers, strict=True))}


def _write_step(step: StepCounts) -> str:
    treatment = f"{step.treatment_events:.15g}/{step.treatment_total:.15g}"
    return f"{timestamp(step.started_at)} {treatment} {step.comparison_events:.15g}/{step.comparison_total:.15g}"


StepLine = Annotated[
    StepCounts,
    BeforeValidator(_read_step),
    PlainSerializer(_write_step, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "maxLength": 160}),
]
"""When a step began, events/total of the treatment, and of the comparison: four fields each would take screens of `kubectl describe`."""
