"""The evidence of one guardrail in many ramps at once: what evidence.py and sequential.py do, for arrays.

Not rounded down as in status, by up to a millionth at every look. Knows counts. Must not know steps' holds, or what evidence leads to.
"""

import numpy as np

from rampgate_operator.core.sequential import GRID, GRID_SIZE
from rampgate_operator.simulation.plan import Compared
from rampgate_operator.simulation.world import Flags, Numbers

_GRID = np.array(GRID)


def log_likelihood_ratios(totals: Numbers, events: Numbers, *, null: float, ratios: Numbers) -> Numbers:
    """Give how much better each ratio explains batches than the null does, batches × ratios; columns: treatment and comparison."""
    treatment, comparison = totals[:, :1], totals[:, 1:]
    wider = np.log((treatment * null + comparison) / (treatment * ratios + comparison))
    found: Numbers = events.sum(axis=1, keepdims=True) * wider + events[:, :1] * np.log(ratios / null)
    return found


def log_means(logs: Numbers) -> Numbers:
    """Give the logarithm of the mean over the last axis."""
    largest = logs.max(axis=-1, keepdims=True)
    means: Numbers = largest[..., 0] + np.log(np.exp(logs - largest).mean(axis=-1))
    return means


def reached(logs: Numbers, bound: float) -> Flags:
    """Tell where the mean over the last axis reaches a bound; it is taken only where the largest does, for no mean is larger."""
    high: Flags = np.asarray(logs.max(axis=-1) >= bound)
    if high.any():
        high[high] = log_means(logs[high]) >= bound
    return high


class Tally:
    """Evidence of harm, and of its absence: ramps × treatments × bounds × grid."""

    def __init__(self, tested: Compared, *, ramps: int, treatments: int) -> None:
        self.tested = tested
        shape = (ramps, treatments, len(tested.bounds), GRID_SIZE)
        self.harm = np.zeros(shape)
        self.safe = np.zeros(shape)
        self.happened = np.zeros(shape[:3], bool)

    def add(self, totals: Numbers, events: Numbers, comparable: Flags, *, drawn: Numbers) -> None:
        """Take in one look: totals and shares drawn are ramps × arms, events have bounds behind; the last arm is the comparison."""
        of = drawn if self.tested.is_per_unit else totals
        for treatment in range(comparable.shape[1]):
            rows = np.flatnonzero(comparable[:, treatment])
            pair = [treatment, -1]
            for bound in range(events.shape[2]):
                self._multiply((rows, treatment, bound), of[rows][:, pair], events[rows][:, pair, bound] / self.tested.cluster)

    def _multiply(self, place: "tuple[np.ndarray[tuple[int], np.dtype[np.int64]], int, int]", total: Numbers, events: Numbers) -> None:
        limit = self.tested.limit
        self.harm[place] += log_likelihood_ratios(total, events, null=limit, ratios=limit * _GRID)
        self.safe[place] += log_likelihood_ratios(total, events, null=limit, ratios=limit / _GRID)
        self.happened[place] |= events.any(axis=-1)

    def is_harmful(self, bound: float) -> Flags:
        """Tell in which ramps a treatment is shown to be worse than allowed; bounds are averaged."""
        return np.asarray(reached(self.harm.reshape(*self.harm.shape[:2], -1), bound).any(axis=1))

    def is_safe(self, bound: float) -> Flags:
        """Tell in which ramps every treatment is shown not to be, at every bound that anybody has passed."""
        shown = reached(self.safe, bound) | (~self.happened & self.happened.any(axis=-1, keepdims=True))
        return np.asarray(shown.all(axis=(1, 2)))

    def log_e(self) -> Numbers:
        """Give the logarithms of the evidence of harm, ramps × treatments."""
        return log_means(self.harm.reshape(*self.harm.shape[:2], -1))

    def keep(self, rows: Flags) -> None:
        """Go on with these ramps."""
        self.harm, self.safe, self.happened = self.harm[rows], self.safe[rows], self.happened[rows]
