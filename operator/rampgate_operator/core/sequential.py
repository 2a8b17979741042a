"""Anytime-valid evidence from counts: is treatment worse than the comparison, is it not, and by how much?

Each function here works on natural logarithms of e-values. An e-value of a hypothesis is a number whose expectation is at most 1 while the
hypothesis holds, whatever was looked at before; so the chance that their product over batches ever reaches 1/alpha is at most alpha
(Ville 1939), for any number of looks at any times. Evidence is multiplied over disjoint batches and never pooled over steps, because shares
of traffic change between them (Simpson's paradox).

Knows counts. Must not know guardrails, Prometheus, time or status.
"""

from collections.abc import Callable, Sequence
from math import exp, fsum, inf, log, log1p
from statistics import NormalDist
from typing import NamedTuple

GRID_SIZE = 24
_SCALE = 0.5
GRID: tuple[float, ...] = tuple(exp(_SCALE * NormalDist().inv_cdf(0.5 + (i + 0.5) / (2 * GRID_SIZE))) for i in range(GRID_SIZE))
"""Ratios by which treatment may be worse, equally likely beforehand: their logarithms are quantiles of a half-normal with scale 0.5."""

NO_EVIDENCE: tuple[float, ...] = (0.0,) * GRID_SIZE
"""Where evidence starts: one log e-value for each ratio of the grid."""

_WIDEST = log(1e6)
_EXACT = 1e-12
_ROUGHLY = 8


class Batch(NamedTuple):
    """What one window brought: requests or units in each arm, and how many of them had an event. Not necessarily whole, after scaling."""

    treatment_total: float
    treatment_events: float
    control_total: float
    control_events: float

    @property
    def is_comparable(self) -> bool:
        """Whether both arms had anything; a batch that had not is no evidence."""
        return self.treatment_total > 0 and self.control_total > 0

    def scaled(self, dispersion: float) -> "Batch":
        """The batch with events divided by `dispersion` (≥ 1), for events that come in clusters."""
        return self._replace(treatment_events=self.treatment_events / dispersion, control_events=self.control_events / dispersion)


class Interval(NamedTuple):
    """An always-valid interval of the ratio of rates; `high` may be infinite, `low` 0."""

    low: float
    high: float


def add_harm(evidence: Sequence[float], batch: Batch, *, limit: float = 1.0) -> tuple[float, ...]:
    """Evidence against "treatment's rate is at most `limit` times the comparison's", after one more batch.

    Conditional on the batch's events, each falls to treatment with the probability theta = T r / (T r + C) when its rate is r times the
    comparison's (Lindon & Malek 2022, arXiv 2011.03567, with the batch's own shares T and C). Exact for independent Bernoulli and Poisson
    events, whatever the rates are and however shares change between batches.
    """
    return _add(evidence, batch, limit, lambda ratio: limit * ratio)


def add_safety(evidence: Sequence[float], batch: Batch, *, limit: float) -> tuple[float, ...]:
    """Evidence against "treatment's rate is at least `limit` times the comparison's", after one more batch: for non-inferiority."""
    return _add(evidence, batch, limit, lambda ratio: limit / ratio)


def _add(evidence: Sequence[float], batch: Batch, limit: float, alternative: Callable[[float], float]) -> tuple[float, ...]:
    if not batch.is_comparable:
        return tuple(evidence)
    return tuple(before + log_likelihood_ratio(batch, alternative(ratio), limit) for before, ratio in zip(evidence, GRID, strict=True))


def log_likelihood_ratio(batch: Batch, ratio: float, null: float) -> float:
    """How much better `ratio` explains to which arm a batch's events fell than `null` does, as a logarithm."""
    treatment, control = batch.treatment_total, batch.control_total
    # theta(ratio) / theta(null) and (1 - theta(ratio)) / (1 - theta(null)), without their differences of nearly equal numbers.
    wider = log((treatment * null + control) / (treatment * ratio + control))
    return batch.treatment_events * (log(ratio / null) + wider) + batch.control_events * wider


def log_mean(logs: Sequence[float]) -> float:
    """Logarithm of the mean of e-values: an e-value again, however they depend on each other. For a grid, and for a histogram's buckets."""
    largest = max(logs)
    return largest if largest == -inf else largest + log(fsum(exp(each - largest) for each in logs) / len(logs))


def ratio_interval(batches: Sequence[Batch], *, alpha: float, precision: float = _EXACT) -> Interval:
    """Ratios of treatment's rate to the comparison's that evidence has not ruled out: with chance 1 - alpha the true one is always within.

    Both one-sided tests at alpha / 2, inverted by bisection over the batches; `precision` is that of the logarithm of the ends.
    """
    bound, compared = log(2 / alpha), [batch for batch in batches if batch.is_comparable]

    def is_ruled_out(log_ratio: float, direction: int) -> bool:
        null = exp(log_ratio)
        alternatives = (null * ratio**direction for ratio in GRID)
        return log_mean([fsum(log_likelihood_ratio(batch, ratio, null) for batch in compared) for ratio in alternatives]) >= bound

    low = _boundary(lambda log_ratio: is_ruled_out(log_ratio, 1), -_WIDEST, _WIDEST, precision)
    high = _boundary(lambda log_ratio: is_ruled_out(log_ratio, -1), _WIDEST, -_WIDEST, precision)
    return Interval(0.0 if low is None else exp(low), inf if high is None else exp(high))


def _boundary(is_ruled_out: Callable[[float], bool], outside: float, inside: float, precision: float) -> float | None:
    """Between a ratio that is ruled out and one that is not, the place where that changes; None when none is ruled out."""
    if not is_ruled_out(outside):
        return None
    while abs(outside - inside) > precision:
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if is_ruled_out(middle) else (outside, middle)
    return inside


def more_needed(evidence: Sequence[float], *, typical: Batch, limit: float, bound: float, is_harm: bool) -> float | None:
    """How many more of treatment's total the evidence needs to reach `bound` (a logarithm), if what comes is like `typical`.

    By the expected growth of each ratio of the grid (Lindon & Malek 2022); None when none explains `typical` better than the limit does.
    """
    growths = [
        log_likelihood_ratio(typical, limit * ratio if is_harm else limit / ratio, limit) / typical.treatment_total for ratio in GRID
    ]
    alone = bound + log(GRID_SIZE)  # by then one ratio suffices, whatever the others say
    waits = [max(0.0, alone - log_e) / growth for log_e, growth in zip(evidence, growths, strict=True) if growth > 0]
    if not waits:
        return None
    too_few, enough = 0.0, min(waits)
    for _ in range(_ROUGHLY):
        middle = (too_few + enough) / 2
        reached = log_mean([log_e + middle * growth for log_e, growth in zip(evidence, growths, strict=True)]) >= bound
        too_few, enough = (too_few, middle) if reached else (middle, enough)
    return enough


TILTS: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.5)
"""How far the share of the exposed may be off, as logarithms of odds, either way: the mixture that sample ratios are tested with."""

NO_SRM_EVIDENCE: tuple[float, ...] = (0.0,) * (2 * len(TILTS))


def add_sample_ratio(evidence: Sequence[float], *, treatment: float, control: float, share: float) -> tuple[float, ...]:
    """Evidence against "each newly exposed unit is in treatment with probability `share`", after one more batch of first exposures.

    One tilt of the odds, common to all steps of a ramp: theta = s r / (s r + 1 - s). After Lindon & Malek 2022, section 2.
    """
    return tuple(
        before + treatment * tilt - (treatment + control) * log1p(share * (exp(tilt) - 1))
        for before, tilt in zip(evidence, (*TILTS, *(-tilt for tilt in TILTS)), strict=True)
    )
