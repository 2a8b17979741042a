"""What of a spec matters when only guardrails may hold or end its ramps, as numbers.

Approvals are taken as given; schedules and windows do not exist. Knows specs. Must not know counts or evidence.
"""

import math
from dataclasses import dataclass

import numpy as np

from rampgate_operator.core.counted import bounds, needed
from rampgate_operator.core.exposures import LONGEST_QUIET, QUIET_INTERVALS
from rampgate_operator.core.guardrail_spec import Guardrail, OnBreach
from rampgate_operator.core.quantities import duration, share
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.waiting import needs_proof
from rampgate_operator.simulation.world import Flags, Numbers, Whole


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A guardrail that compares.

    Attributes:
        name: the guardrail's.
        limit: the ratio that treatment's rate may have to the comparison's.
        bounds: of the histogram's buckets; one when it is about none.
        cluster: how many events weigh as one.
        is_per_unit: whether it counts units, which fail to the arms as they are drawn.
        rolls_back: whether a breach ends the attempt.
        blocks: whether it may hold a step.
        proof: which steps must be shown to be safe before they end.
    """

    name: str
    limit: float
    bounds: tuple[str, ...]
    cluster: float
    is_per_unit: bool
    rolls_back: bool
    blocks: bool
    proof: Flags


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A ramp and its guardrails.

    Attributes:
        percents: of each step.
        looks: of each step, scheduled.
        samples: how many exposures of each treatment a step needs.
        guardrails: those that compare.
        harmful: the logarithm of the e-value of a breach.
        safe: that of a pass.
        quiet: for how many looks a window without requests is no lack of data.
        blind: whether nobody is left to compare with at 100 %.
    """

    spec: Spec
    percents: Numbers
    looks: Whole
    samples: Numbers
    guardrails: tuple[Compared, ...]
    harmful: float
    safe: float
    quiet: int
    blind: bool

    @property
    def scheduled(self) -> int:
        """Looks of a ramp that nothing holds."""
        return int(self.looks.sum())


def plan(spec: Spec) -> Plan:
    """Read what matters."""
    interval, steps = duration(spec.interval), spec.ramp.steps
    compare = compared(spec)
    return Plan(
        spec=spec,
        percents=np.array([step.percent for step in steps]),
        looks=np.array([max(1, math.ceil(duration(step.hold) / interval)) for step in steps]),
        samples=np.array([step.min_exposures or 0 for step in steps], float),
        guardrails=tuple(_tested(guardrail, spec) for guardrail in compare),
        harmful=math.log(needed(spec)) if compare else math.inf,
        safe=-math.log(spec.false_rollback_rate),
        quiet=math.ceil(max(LONGEST_QUIET, QUIET_INTERVALS * interval) / interval),
        blind=spec.control not in spec.arms,
    )


def compared(spec: Spec) -> tuple[Guardrail, ...]:
    """Give the guardrails that compare what is counted; the others cannot be simulated."""
    return tuple(guardrail for guardrail in spec.guardrails or () if guardrail.is_counted and guardrail.max_increase is not None)


def _tested(guardrail: Guardrail, spec: Spec) -> Compared:
    following = [*spec.ramp.steps[1:], None]
    return Compared(
        name=guardrail.name,
        limit=1 + share(guardrail.max_increase or "0%"),
        bounds=bounds(guardrail),
        cluster=guardrail.cluster,
        is_per_unit=guardrail.is_per_unit,
        rolls_back=guardrail.on_breach is OnBreach.ROLLBACK,
        blocks=guardrail.on_breach is not OnBreach.NOTIFY,
        proof=np.array([step is not None and needs_proof(guardrail, step) for step in following]),
    )
