"""What one look at a guardrail says: a verdict, its sentence and the numbers behind it. Must not know what a verdict does."""

from collections.abc import Iterable
from dataclasses import dataclass

from rampgate_operator.core.looks import Failed
from rampgate_operator.core.status import Interval, Verdict

# the worst verdict of the treatments counts: what would roll back, then what would hold
_WORST_FIRST = (Verdict.BREACH, Verdict.ERROR, Verdict.NO_DATA, Verdict.INCONCLUSIVE, Verdict.PASS, Verdict.NO_COMPARISON)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A treatment beside the comparison; rates are events per total."""

    treatment: float
    control: float | None
    ratio: float | None
    interval: Interval | None
    samples: float
    samples_to_decision: int | None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict with the numbers behind it."""

    verdict: Verdict
    message: str
    value: float | None = None
    compared: Compared | None = None


def worst(judgements: Iterable[Judgement]) -> Judgement:
    """Give the one that counts; of several with the same verdict the first."""
    return min(judgements, key=lambda judgement: _WORST_FIRST.index(judgement.verdict))


def failed(what: str, answer: Failed) -> Judgement:
    """Say that a question got no usable answer."""
    return Judgement(verdict=Verdict.ERROR, message=f"{what} failed ({answer.reason}): {answer.message.rstrip('.')}")


def without_data(what: str) -> Judgement:
    """Say that there is nothing to judge by."""
    return Judgement(verdict=Verdict.NO_DATA, message=f"no data{what.rstrip('.')}")
