"""What a made-up world brings to each look: how many requests each arm serves, and how many of them fail.

Requests arrive at random and independently of each other (Poisson), so do failures (Bernoulli). Control and baseline, which are compared
with together, are one column. Knows percentages and chance. Must not know evidence or verdicts.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rampgate_operator.core.quantities import duration
from rampgate_operator.core.spec import Spec

Numbers: TypeAlias = NDArray[np.float64]
Whole: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
Pattern = Callable[[Numbers], Numbers]
"""By what factor everybody's rate of failures differs, by how much of the ramp's scheduled looks is over (0 to 1)."""

DRIFT, PERIODS, INCIDENT, INCIDENT_FROM, INCIDENT_UNTIL = 0.5, 2, 3.0, 0.48, 0.68
_NONE = 1e-300


def constant(_over: Numbers) -> Numbers:
    """Nothing changes."""
    return np.ones(1)


def drift(over: Numbers) -> Numbers:
    """It swings by half, as with the hour."""
    return np.asarray(1 + DRIFT * np.sin(2 * math.pi * PERIODS * over))


def incident(over: Numbers) -> Numbers:
    """It swings, and for a fifth of the ramp everybody fails three times as often."""
    return drift(over) * np.where((over >= INCIDENT_FROM) & (over < INCIDENT_UNTIL), INCIDENT, 1.0)


@dataclass(frozen=True, kw_only=True)
class World:
    """What is so, and what the operator is to find out.

    Attributes:
        per_second: requests of all eligible users together.
        rates: the share of requests that fail in the comparison, by guardrail; of a latency the share above each bound, falling.
        harm: how many times as many fail in the first treatment, by guardrail; 1 where none is named.
        pattern: what happens to everybody.
    """

    per_second: float
    rates: Mapping[str, tuple[float, ...]]
    harm: Mapping[str, float] = field(default_factory=dict)
    pattern: Pattern = constant


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What looks bring; the last column is the comparison, the others are the treatments in their order.

    Attributes:
        totals: requests, looks × arms.
        events: failures by guardrail, looks × arms × bounds of a histogram (one when it is about none).
    """

    totals: Whole
    events: Mapping[str, Whole]


Draw = Callable[[Whole, Numbers, Numbers], Counts]
"""What a look brings: the numbers of the ramps, the percentage of each, and how much of its scheduled looks each has behind it."""


def arriving(spec: Spec, world: World, chance: np.random.Generator) -> Draw:
    """Draw each look when it is asked for."""

    def arrive(_ramps: Whole, percent: Numbers, over: Numbers) -> Counts:
        return draw(spec, world, percent=percent, over=over, chance=chance)

    return arrive


def shares(spec: Spec, percent: Numbers) -> Numbers:
    """Give each treatment's share of the requests at a percentage, and last that of the comparison."""
    weights = np.array([variant.weight for variant in spec.drawn_treatments], float)
    enrolled = percent[:, None] / 100 * weights / sum(variant.weight for variant in spec.variants)
    return np.column_stack([enrolled, 1 - enrolled.sum(axis=1)])


def draw(spec: Spec, world: World, *, percent: Numbers, over: Numbers, chance: np.random.Generator) -> Counts:
    """Draw what looks at these percentages bring; `over` says how much of the ramp is over at each."""
    seconds = duration(spec.interval).total_seconds()
    totals = chance.poisson(world.per_second * seconds * np.clip(shares(spec, percent), 0, None))
    factor = world.pattern(over)[:, None]
    events = {}
    for guardrail, rates in world.rates.items():
        worse = np.ones(totals.shape[1])
        worse[0] = world.harm.get(guardrail, 1.0)
        events[guardrail] = _failures(totals, [np.minimum(1.0, rate * factor * worse) for rate in rates], chance)
    return Counts(totals=totals, events=events)


def _failures(totals: Whole, rates: Sequence[Numbers], chance: np.random.Generator) -> Whole:
    """Draw who fails; what is above a bound of a histogram is above every lower one."""
    columns, among, before = [], totals, np.ones(1)
    for rate in rates:
        among = chance.binomial(among, np.minimum(1.0, rate / np.maximum(before, _NONE)))
        columns.append(among)
        before = rate
    return np.stack(columns, axis=-1)
