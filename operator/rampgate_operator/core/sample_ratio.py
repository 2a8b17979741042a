"""Do first exposures fall to the treatments as they are drawn? Evidence of a sample-ratio mismatch, over all steps of an attempt.

Each treatment is tested against everybody else, with its share at the step's percentage and one tilt of the odds that all steps have in
common. Knows counts and shares. Must not know how they are counted, or what a mismatch holds up.
"""

import math
from collections.abc import Mapping
from datetime import datetime

from rampgate_operator.core.quantities import basis_points
from rampgate_operator.core.sequential import NO_SRM_EVIDENCE, add_sample_ratio, log_mean
from rampgate_operator.core.spec import Spec, Variant
from rampgate_operator.core.status import SampleRatio

NEEDED = 1000.0
"""The e-value of a mismatch, for each treatment that is tested (Bonferroni): a false alarm in one of 1,000 attempts."""
_PLACES = 3
"""Of a count that many processes share; a window that has not so much as one of the last place tells nothing."""
_DECIMALS = 1e6
_LARGEST = math.log(1e6)


def needed(spec: Spec) -> float:
    """Give the e-value from which on a treatment's ratio is a mismatch."""
    return NEEDED * len(spec.drawn_treatments)


def is_mismatch(ratio: SampleRatio, spec: Spec) -> bool:
    """Tell whether the exposures are not as drawn, beyond doubt."""
    return log_mean(ratio.log_e_values) >= math.log(needed(spec))


def worst_ratio(ratios: tuple[SampleRatio, ...]) -> SampleRatio | None:
    """Give the one with the most evidence against it; None when nothing was counted."""
    return max(ratios, key=lambda ratio: log_mean(ratio.log_e_values), default=None)


def share_due(treatment: Variant, spec: Spec, percent: float) -> float:
    """Give the part of all analysed units that is drawn into the treatment."""
    return basis_points(percent) / 10_000 * treatment.weight / sum(variant.weight for variant in spec.variants)


def add_window(
    known: tuple[SampleRatio, ...], counts: Mapping[str, float], *, spec: Spec, percent: float, counted_to: datetime
) -> tuple[SampleRatio, ...]:
    """Add the first exposures of one window, by variant, to each treatment's evidence.

    Evidence that has become a mismatch stays as it is until the next attempt: Ville's bound is of the highest value ever reached, what was
    lost until then stays lost to the analysis, and people find the numbers that it was told with.
    """
    ratios, analysed = {ratio.treatment: ratio for ratio in known}, sum(counts.get(arm, 0.0) for arm in spec.arms)
    for treatment in spec.drawn_treatments:
        before, share = ratios.get(treatment.name), share_due(treatment, spec, percent)
        is_told = before is not None and is_mismatch(before, spec)
        if round(analysed, _PLACES) and share < 1 and not is_told:  # a treatment that everybody gets has nobody to be compared with
            mine = counts.get(treatment.name, 0.0)
            ratios[treatment.name] = _add(before, treatment.name, mine=mine, others=analysed - mine, share=share, counted_to=counted_to)
    return tuple(ratios.values())


def describe_ratio(ratio: SampleRatio, spec: Spec) -> str:
    """Say how the exposures fell: "on has 48.1 % of 12,300 first exposures per process where 50 % are due (e = 2,310 ≥ 1,000)"."""
    log_e = log_mean(ratio.log_e_values)
    e_value = "over 1,000,000" if log_e > _LARGEST else f"{math.exp(log_e):,.0f}" if log_e >= math.log(10) else f"{math.exp(log_e):.2g}"
    return (
        f"{ratio.treatment} has {100 * ratio.exposures / ratio.of:.3g} % of {ratio.of:,.0f} first exposures per process "
        f"where {100 * ratio.due / ratio.of:.3g} % are due (e = {e_value} {'≥' if is_mismatch(ratio, spec) else '<'} {needed(spec):,.0f})"
    )


def _add(before: SampleRatio | None, treatment: str, *, mine: float, others: float, share: float, counted_to: datetime) -> SampleRatio:
    """Multiply by one more window. Rounded down, so that it stays evidence: never more than the exact one."""
    logs = add_sample_ratio(before.log_e_values if before else NO_SRM_EVIDENCE, treatment=mine, control=others, share=share)
    return SampleRatio(
        treatment=treatment,
        log_e_values=tuple(math.floor(each * _DECIMALS) / _DECIMALS for each in logs),
        exposures=round((before.exposures if before else 0) + mine, _PLACES),
        due=round((before.due if before else 0) + share * (mine + others), _PLACES),
        of=round((before.of if before else 0) + mine + others, _PLACES),
        counted_to=counted_to,
    )
