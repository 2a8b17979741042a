"""Sample ratios: how often a ramp is accused of losing exposures for nothing, and how soon when it does lose a twentieth."""

import math
from collections.abc import Callable

import numpy as np

from benchmarks.guardrails.cells import RATES, SEED
from rampgate_operator.core.sequential import NO_SRM_EVIDENCE, add_sample_ratio, log_mean
from tests.guardrails.ramps import LOOKS, RAMP

ALARM = math.log(1000)
LOSS, LOSS_RATE, SECONDS = 0.05, 100, 60


def first_alarm(exposed: "np.ndarray[tuple[int, int], np.dtype[np.int64]]", shares: list[float]) -> int:
    """Give the look at which exposures of treatment and comparison, looks × 2, do not fit their shares any more; 0 for never."""
    evidence = NO_SRM_EVIDENCE
    for look, ((treatment, comparison), share) in enumerate(zip(exposed.tolist(), shares, strict=True), start=1):
        evidence = add_sample_ratio(evidence, treatment=treatment, control=comparison, share=share)
        if log_mean(evidence) >= ALARM:
            return look
    return 0


def alarms(rate: float, loss: float, *, ramps: int) -> list[int]:
    """Give the look of the first alarm of so many ramps; one process counts."""
    chance = np.random.default_rng((SEED, int(rate), round(100 * loss)))
    shares = [percent / 100 for percent, looks in RAMP for _ in range(looks)]
    expected = rate * SECONDS * np.column_stack([np.array(shares) * (1 - loss), 1 - np.array(shares)])
    drawn = chance.poisson(expected, size=(ramps, LOOKS, 2))
    return [first_alarm(one, shares) for one in drawn]


def sample_ratio_figures(ramps: int, say: Callable[[str], None]) -> dict[str, float]:
    """Measure, and tell."""
    false = {rate: float(np.mean(np.array(alarms(rate, 0.0, ramps=ramps)) > 0)) for rate in RATES}
    found = np.array(alarms(LOSS_RATE, LOSS, ramps=ramps))
    look = float(np.median(np.where(found, found, math.inf)))
    say(f"sample ratio, nothing lost: {', '.join(f'{100 * share:.3f} % at {rate}/s' for rate, share in false.items())}")
    say(f"sample ratio, {LOSS:.0%} of treatment's exposures lost, {LOSS_RATE}/s: found in {(found > 0).mean():.1%}, median look {look:g}")
    return {"srm_false_alarm_worst": max(false.values()), "srm_5pct_loss_median_look": look}
