"""What many simulated ramps say together: how often they were rolled back, and when.

Knows how ramps ended. Must not know how that is shown.
"""

import math
from dataclasses import dataclass

import numpy as np

from rampgate_operator.core.quantities import duration
from rampgate_operator.simulation.plan import Plan
from rampgate_operator.simulation.twin import Ended


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Shares are of all ramps, medians of those that were rolled back.

    Attributes:
        rolled_back: how many were.
        standard_error: how far chance takes that from what endless simulation would give, one standard deviation.
        minutes: until then; None when none was.
        requests: that treatments had served until then.
        steps: by percentage, the share of the rolled back that ended there.
        held: how many were still on a step after three times the scheduled looks.
        inconclusive: how many of the others ended with a guardrail that had shown neither harm nor its absence.
    """

    rolled_back: float
    standard_error: float
    minutes: float | None
    requests: float | None
    steps: tuple[tuple[float, float], ...]
    held: float
    inconclusive: float


def summarise(planned: Plan, ended: Ended) -> Summary:
    """Summarise ramps of one plan."""
    is_back = ended.by >= 0
    share = float(is_back.mean())
    minutes_a_look = duration(planned.spec.interval).total_seconds() / 60
    percents = planned.percents[ended.step[is_back]]
    return Summary(
        rolled_back=share,
        standard_error=math.sqrt(share * (1 - share) / is_back.size),
        minutes=float(np.median(ended.looks[is_back])) * minutes_a_look if share else None,
        requests=float(np.median(ended.treated[is_back])) if share else None,
        steps=tuple((float(percent), float((percents == percent).mean())) for percent in np.unique(percents)),
        held=float(ended.held.mean()),
        inconclusive=float((ended.open & ~is_back).mean()),
    )
