"""The numbers behind a verdict on counts, as people read them: rates, their ratio, its interval, and the sentence that has them all.

Knows counts by step. Must not know verdicts, or where counts come from.
"""

import math

from rampgate_operator.core.judgement import Compared
from rampgate_operator.core.sequential import Batch, ratio_interval
from rampgate_operator.core.status import Evidence, Interval, StepCounts

_LARGEST = math.log(1e6)


def describe(evidence: Evidence, *, log_e: float, needed: float, is_breach: bool) -> tuple[str, Compared]:
    """Say what the evidence is: "on 2.1 % of 1,240 against 1 % of 12,300: ratio 2.1, e = 12 < 60, look 7"; of a breach with an interval.

    The interval costs thousands of logarithms, and nobody acts on it before a breach.
    """
    steps = evidence.steps
    samples, others = sum(step.treatment_total for step in steps), sum(step.comparison_total for step in steps)
    rate, compared_with = sum(step.treatment_events for step in steps) / samples, _expected(steps) / samples
    ratio = rate / compared_with if compared_with else None
    interval = _interval(steps, needed) if is_breach else None
    within = f" ({100 * interval.level:.3g} % always-valid {_range(interval)})" if interval else ""
    text = (
        f"{evidence.treatment} {100 * rate:.3g} % of {samples:,.0f} against {100 * compared_with:.3g} % of {others:,.0f}: "
        f"{'no event to compare with' if ratio is None else f'ratio {ratio:.3g}'}{within}, "
        f"e = {_e_value(log_e)} {'≥' if is_breach else '<'} {needed:.4g}, look {evidence.looks}"
    )
    return text, Compared(
        treatment=_short(rate),
        control=_short(compared_with),
        ratio=None if ratio is None else _short(ratio),
        interval=interval,
        samples=samples,
    )


def _expected(steps: tuple[StepCounts, ...]) -> float:
    """How many events the treatment would have had at the comparison's rate, step by step: totals of several steps do not compare."""
    return sum(step.treatment_total * step.comparison_events / step.comparison_total for step in steps)


def _interval(steps: tuple[StepCounts, ...], needed: float) -> Interval:
    """At the level at which its lower end is where the test begins to breach: a rollback within an interval would explain nothing."""
    alpha = 2 / needed
    batches = [Batch(step.treatment_total, step.treatment_events, step.comparison_total, step.comparison_events) for step in steps]
    low, high = ratio_interval(batches, alpha=alpha)
    return Interval(level=_short(1 - alpha), low=_short(low), high=_short(high) if math.isfinite(high) else None)


def _short(number: float) -> float:
    return float(f"{number:.4g}")


def _range(interval: Interval) -> str:
    return f"{interval.low:.3g}-{interval.high:.3g}" if interval.high is not None else f"from {interval.low:.3g}"


def _e_value(log_e: float) -> str:
    return "over 1,000,000" if log_e > _LARGEST else f"{math.exp(log_e):,.3g}" if log_e < math.log(1000) else f"{math.exp(log_e):,.0f}"
