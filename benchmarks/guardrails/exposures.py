"""Sample ratios: how often a ramp is accused of losing exposures for nothing, and how soon when it does lose a twentieth."""

import math
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from benchmarks.guardrails.cells import RATES, SEED
from rampgate_operator.core.sample_ratio import add_window, is_mismatch
from rampgate_operator.core.spec import BASELINE
from rampgate_operator.core.status import SampleRatio
from rampgate_operator.simulation.product import BEGINS
from tests.guardrails.ramps import LOOKS, RAMP, ramp_of

LOSS, LOSS_RATE, SECONDS, CHUNK = 0.05, 100, 60, 500
PERCENTS = [percent for percent, looks in RAMP for _ in range(looks)]
SPEC = ramp_of()
TREATMENT = SPEC.drawn_treatments[0].name


def first_alarm(exposed: list[list[int]]) -> int:
    """Give the look at which exposures of treatment and comparison do not fall as they are drawn any more; 0 for never."""
    known: tuple[SampleRatio, ...] = ()
    for look, (percent, (treatment, others)) in enumerate(zip(PERCENTS, exposed, strict=True), start=1):
        known = add_window(known, {TREATMENT: treatment, BASELINE: others}, spec=SPEC, percent=percent, counted_to=BEGINS)
        if any(is_mismatch(ratio, SPEC) for ratio in known):
            return look
    return 0


def alarms(rate: float, loss: float, first: int, ramps: int) -> list[int]:
    """Give the look of the first alarm of so many ramps; one process counts."""
    chance, shares = np.random.default_rng((SEED, int(rate), round(100 * loss), first)), np.array(PERCENTS) / 100
    expected = rate * SECONDS * np.column_stack([shares * (1 - loss), 1 - shares])
    return [first_alarm(one) for one in chance.poisson(expected, size=(ramps, LOOKS, 2)).tolist()]


def sample_ratio_figures(ramps: int, say: Callable[[str], None]) -> dict[str, float]:
    """Measure on every core, and tell."""
    worlds = [(rate, 0.0) for rate in RATES] + [(LOSS_RATE, LOSS)]
    parts = [(*world, first, min(CHUNK, ramps - first)) for world in worlds for first in range(0, ramps, CHUNK)]
    found: dict[tuple[float, float], list[int]] = {world: [] for world in worlds}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for part, looks in zip(parts, pool.map(alarms, *zip(*parts, strict=True)), strict=True):
            found[part[:2]] += looks
    for (rate, loss), looks in found.items():
        alarmed = np.array(looks) > 0
        median = f", median look {_median(looks):g}" if loss else ""
        say(f"sample ratio, {loss:.0%} of treatment's exposures lost, {rate:g}/s: alarm in {alarmed.mean():.3%}{median}")
    false = max(float(np.mean(np.array(found[rate, 0.0]) > 0)) for rate in RATES)
    return {"srm_false_alarm_worst": false, "srm_5pct_loss_median_look": _median(found[LOSS_RATE, LOSS])}


def _median(looks: list[int]) -> float:
    return float(np.median([look or math.inf for look in looks]))
