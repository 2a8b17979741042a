"""The numbers behind a verdict on counts, as people read them: rates, their ratio, its interval, and the sentence that has them all.

Knows counts by step and what tests say of them. Must not know where counts come from.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rampgate_operator.core.counted import bounds
from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.judgement import Compared
from rampgate_operator.core.quantities import share
from rampgate_operator.core.sequential import Batch, log_mean, more_needed, ratio_interval
from rampgate_operator.core.status import Evidence, Interval, Verdict
from rampgate_operator.core.status_fields import StepCounts

_LARGEST = math.log(1e6)
_READABLE = 1e-3
"""How exactly the ends of an interval are found: they are there to be read."""
_MOST_SAMPLES = 1e9


@dataclass(frozen=True, kw_only=True)
class Test:
    """What evidence says to one limit; e-values are natural logarithms."""

    log_e: float
    """That the limit is passed."""
    log_safe: float
    """That it is kept."""
    needed: float
    """The e-value of a breach."""
    enough: float
    """The e-value of a pass."""
    max_increase: str | None = None
    """The limit, if it is relative to the comparison."""
    limit: float | None = None
    """The limit, if it is absolute."""
    cluster: float = 1.0
    """How many events weigh as one."""

    @property
    def is_breach(self) -> bool:
        """Whether the limit is shown to be passed."""
        return self.log_e >= math.log(self.needed)

    @property
    def is_safe(self) -> bool:
        """Whether the limit is shown to be kept."""
        return self.log_safe >= math.log(self.enough)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What was counted of a treatment and of the comparison."""

    samples: float
    treatment: float
    others: float = 0.0
    comparison: float = 0.0
    """With each step's rate weighted as the treatment's samples are: totals of several steps do not compare."""

    @property
    def ratio(self) -> float | None:
        """How many times as high treatment's rate is; None without an event to compare with."""
        return self.treatment / self.comparison if self.comparison else None


def describe(guardrail: Guardrail, evidence: Sequence[Evidence], tests: Sequence[Test], *, verdict: Verdict) -> tuple[str, Compared]:
    """Say what the evidence is: "on 2.1 % of 1,240 units failed against 1 % of 12,300: ratio 2.1, e = 12 < 60, look 7".

    A breach has its interval in the sentence. Else that is left to whoever writes the status down: it costs thousands of logarithms, and
    nobody acts on it.
    """
    shown = most_telling(evidence)
    rates = rates_of(shown)
    within = interval(guardrail, evidence, needed=tests[0].needed) if verdict is Verdict.BREACH else None
    more = samples_to_decision(shown, tests, rates) if verdict is Verdict.INCONCLUSIVE else None
    parts = [*_tested(guardrail, shown, rates, within, tests), f"look {shown.looks}"]
    if guardrail.dispersion is not None:
        parts.append(f"dispersion {guardrail.cluster:.3g}")
    if verdict is Verdict.PASS:
        parts += [f"shown to stay within {_limit(test)} (e = {_e_value(test.log_safe)} ≥ {test.enough:.4g})" for test in tests]
    if more is not None:
        new = "new " if guardrail.is_per_unit else ""  # who was counted at this percentage is not counted again
        parts += [f"about {more:,} more {new}{_noun(guardrail) or 'of total'} to a decision"]
    return ", ".join(parts), Compared(
        treatment=_short(rates.treatment),
        control=_short(rates.comparison) if rates.others else None,
        ratio=None if rates.ratio is None else _short(rates.ratio),
        interval=within,
        samples=rates.samples,
        samples_to_decision=more,
    )


def most_telling(evidence: Sequence[Evidence]) -> Evidence:
    """Give, of several bounds, the one at which the arms differ most surely."""

    def telling(known: Evidence) -> tuple[bool, float]:
        has_events = any(step.treatment_events or step.comparison_events for step in known.steps)
        return has_events, log_mean(known.log_e_values or (0.0,))

    return max(evidence, key=telling)


def interval(guardrail: Guardrail, evidence: Sequence[Evidence], *, needed: float) -> Interval | None:
    """Give the ratios that are not ruled out, at the level at which the lower end is at the limit when the test begins to breach.

    A rollback within an interval would explain nothing.
    """
    if guardrail.max_increase is None or not evidence:
        return None
    alpha = 2 / needed / len(bounds(guardrail))  # whichever bound is shown was chosen after looking
    batches = [_batch(step).scaled(guardrail.cluster) for step in most_telling(evidence).steps]
    low, high = ratio_interval(batches, alpha=alpha, precision=_READABLE)
    if low == 0 and math.isinf(high):
        return None
    return Interval(level=_short(1 - alpha), low=_short(low), high=_short(high) if math.isfinite(high) else None)


def rates_of(evidence: Evidence) -> Rates:
    """Give the rates of this attempt, on the steps with somebody to compare with; of the treatment alone if there are none.

    Units may fail that a step has not exposed: by a former one's rules, while pods take up its own. No rate is above 1 for that.
    """
    both = [step for step in evidence.steps if step.comparison_total and step.treatment_total]
    samples = sum(step.treatment_total for step in both)
    if not samples:
        return Rates(samples=evidence.total, treatment=min(1.0, evidence.events / evidence.total) if evidence.total else 0.0)
    expected = sum(step.treatment_total * min(1.0, step.comparison_events / step.comparison_total) for step in both)
    return Rates(
        samples=samples,
        treatment=sum(min(step.treatment_events, step.treatment_total) for step in both) / samples,
        others=sum(step.comparison_total for step in both),
        comparison=expected / samples,
    )


def samples_to_decision(evidence: Evidence, tests: Sequence[Test], rates: Rates) -> int | None:
    """Say about how many more of the treatment are needed if all goes on as it did: until the first breach, or until all are safe."""
    forecasts = [_forecast(evidence, test, rates) for test in tests]
    harm = [more for more, is_harm in forecasts if is_harm and more is not None]
    safe = [more for more, is_harm in forecasts if not is_harm and more is not None]
    more = min(harm) if harm else max(safe) if len(safe) == len(tests) else None
    return None if more is None or more > _MOST_SAMPLES else round(float(f"{more:.2g}"))


def _forecast(evidence: Evidence, test: Test, rates: Rates) -> tuple[float | None, bool]:
    """Give how many more one limit needs, and whether it goes towards a breach."""
    if test.limit is not None:
        is_harm = rates.treatment > test.limit
        missing = math.log(test.needed) - test.log_e if is_harm else math.log(test.enough) - test.log_safe
        growth = _divergence(rates.treatment, test.limit)
        return (test.cluster * missing / growth if growth > 0 else None), is_harm
    limit, ratio = 1 + share(test.max_increase or "0%"), rates.ratio
    if ratio is None:
        return None, False
    is_harm = ratio > limit
    last = evidence.steps[-1]
    typical = Batch(1.0, rates.treatment, last.comparison_total / last.treatment_total, 0.0) if last.treatment_total else Batch(0, 0, 0, 0)
    typical = typical._replace(control_events=typical.control_total * rates.comparison).scaled(test.cluster)
    if not typical.is_comparable:
        return None, is_harm
    logs = (evidence.log_e_values if is_harm else evidence.log_safe_values) or ()
    bound = math.log(test.needed if is_harm else test.enough)
    return more_needed(logs, typical=typical, limit=limit, bound=bound, is_harm=is_harm), is_harm


def _divergence(rate: float, limit: float) -> float:
    """Expected growth of the evidence for each sample, when `rate` is tested against `limit` (Kullback-Leibler)."""
    return sum(each * math.log(each / null) for each, null in ((rate, limit), (1 - rate, 1 - limit)) if each > 0)


def _tested(guardrail: Guardrail, shown: Evidence, rates: Rates, within: Interval | None, tests: Sequence[Test]) -> Iterator[str]:
    what = f"{shown.treatment} {100 * rates.treatment:.3g} % of {rates.samples:,.0f}{_what_happened(guardrail, shown.bound)}"
    for test in tests:
        compared = f"e = {_e_value(test.log_e)} {'≥' if test.is_breach else '<'} {test.needed:.4g}"
        if test.max_increase is None:
            yield f"{what if test is tests[0] else ''} against a limit of {_limit(test)}".strip()
        else:
            ratio = "no event to compare with" if rates.ratio is None else f"ratio {rates.ratio:.3g}"
            known = f" ({100 * within.level:.3g} % always-valid {_range(within)})" if within else ""
            yield f"{what} against {100 * rates.comparison:.3g} % of {rates.others:,.0f}: {ratio}{known}"
        yield compared if guardrail.latency is None else f"on average of {len(guardrail.latency.buckets)} bounds {compared}"


def _noun(guardrail: Guardrail) -> str | None:
    if guardrail.counters is not None:
        return None
    return "units" if guardrail.is_per_unit else "requests"


def _what_happened(guardrail: Guardrail, bound: str) -> str:
    noun = _noun(guardrail)
    if noun is None:
        return ""
    return f" {noun} failed" if guardrail.error_rate is not None else f" {noun} slower than {bound}"


def _limit(test: Test) -> str:
    return f"{100 * test.limit:.3g} %" if test.limit is not None else f"{share(test.max_increase or '0%') * 100:.4g} % more"


def _batch(step: StepCounts) -> Batch:
    return Batch(step.treatment_total, step.treatment_events, step.comparison_total, step.comparison_events)


def _short(number: float) -> float:
    return float(f"{number:.4g}")


def _range(interval: Interval) -> str:
    return f"{interval.low:.3g}-{interval.high:.3g}" if interval.high is not None else f"from {interval.low:.3g}"


def _e_value(log_e: float) -> str:
    return "over 1,000,000" if log_e > _LARGEST else f"{math.exp(log_e):,.3g}" if log_e < math.log(1000) else f"{math.exp(log_e):,.0f}"
