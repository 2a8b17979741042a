"""How much more events vary than independent ones would, measured where nobody is treated yet.

Knows counts of windows. Must not know guardrails, where counts come from, or what is done with the number.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import fsum, sqrt
from statistics import NormalDist
from typing import NamedTuple

WINDOWS = 30
"""How many windows with requests a measurement needs."""
CONFIDENCE = 0.9
"""How sure it is that events do not vary more than measured."""


class Counted(NamedTuple):
    """What one window brought."""

    events: float
    total: float


def dispersion(windows: Sequence[Counted]) -> float:
    """Give the factor by which the variance of events is above that of independent ones, with CONFIDENCE at most; at least 1.

    Each window's events are standardised by the rate of all. Half the mean square of successive differences is their variance, and a rate
    that drifts over the windows hardly adds to it (von Neumann 1941). Divided by a quantile of chi-square it is an upper bound; the degrees
    of freedom, 2 (K - 1)² / (3 K - 4), are those of a chi-square that varies as much. Without any event there is nothing to measure: 1.

    Args:
        windows: in their order, each with a total above 0; at least three.
    """
    rate = fsum(window.events for window in windows) / fsum(window.total for window in windows)
    if not 0 < rate < 1:
        return 1.0
    errors = [(window.events - window.total * rate) / sqrt(window.total * rate * (1 - rate)) for window in windows]
    differences = len(errors) - 1
    variance = fsum((after - before) ** 2 for before, after in pairwise(errors)) / (2 * differences)
    freedom = 2 * differences**2 / (3 * differences - 1)
    return max(1.0, variance * freedom / chi_square_quantile(1 - CONFIDENCE, freedom))


def chi_square_quantile(probability: float, freedom: float) -> float:
    """Give a quantile of chi-square, by its cube root, which is nearly normal (Wilson & Hilferty 1931): within 1 % from 10 degrees on."""
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + NormalDist().inv_cdf(probability) * sqrt(spread)) ** 3
