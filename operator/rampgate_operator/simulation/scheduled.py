"""Counts drawn beforehand, by a ramp's schedule: the same for the product's path and for its twin, so that the two can be compared.

What holds a ramp is not foreseen: its counts go on as scheduled. Knows the looks of a schedule. Must not know what is made of them.
"""

from collections.abc import Mapping

import numpy as np

from rampgate_operator.core.counted import EVENTS, REQUESTS, TOTAL, within
from rampgate_operator.core.spec import BASELINE
from rampgate_operator.simulation.plan import Plan
from rampgate_operator.simulation.world import Counts, Numbers, Whole, World, draw


class Scheduled:
    """What every look of so many ramps brings."""

    def __init__(self, planned: Plan, world: World, *, number: int, chance: np.random.Generator) -> None:
        self.planned = planned
        self.looks = planned.scheduled
        percent = np.tile(np.repeat(planned.percents, planned.looks), number)
        over = np.tile(np.arange(self.looks) / self.looks, number)
        self.counts = draw(planned.spec, world, percent=percent, over=over, chance=chance)
        self._bounds = {tested.name: tested.bounds for tested in planned.guardrails}
        self._arms = (*(treatment.name for treatment in planned.spec.drawn_treatments), BASELINE)

    def of(self, ramps: Whole, _percent: Numbers, over: Numbers) -> Counts:
        """Give the next look of some ramps, as the twin asks for it."""
        rows = ramps * self.looks + np.rint(over * self.looks).astype(int)
        return Counts(totals=self.counts.totals[rows], events={name: found[rows] for name, found in self.counts.events.items()})

    def at(self, ramp: int, look: int, guardrail: str) -> Mapping[str, Mapping[str, float]]:
        """Give one look of one ramp, as the product asks for it; the comparison is all baseline."""
        row, bounds = ramp * self.looks + look, self._bounds[guardrail]
        total, events = self.counts.totals[row], self.counts.events[guardrail][row]
        named = {TOTAL: total, REQUESTS: total, EVENTS: events[:, 0]}
        named |= {within(bound): total - events[:, index] for index, bound in enumerate(bounds)}
        return {name: dict(zip(self._arms, rose.tolist(), strict=True)) for name, rose in named.items()}

    def treated(self, looks: Whole) -> Whole:
        """Give how many requests treatments had served after so many looks of each ramp."""
        served = self.counts.totals[:, :-1].sum(axis=1).reshape(looks.size, self.looks).cumsum(axis=1)
        treated: Whole = served[np.arange(looks.size), looks - 1]
        return treated
