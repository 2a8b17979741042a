"""From exact counts of both arms to evidence, window by window.

A look counts windows that no other look of its evidence overlaps. What one brought to a treatment and to the comparison, which is
control and baseline together, is one batch; evidence is multiplied over the batches of an attempt, never pooled over steps.
Knows counts, and how evidence is kept. Must not know how counts are fetched, nor verdicts (weigh.py).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rampgate_operator.core.counted import Window, bounds, has_comparison, others
from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.quantities import share
from rampgate_operator.core.sample_ratio import share_due
from rampgate_operator.core.sequential import NO_EVIDENCE, Batch, add_harm, add_safety
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Evidence
from rampgate_operator.core.status_fields import StepCounts

MOST_STEPS = 20
_DECIMALS = 1e6
_NOTHING = Batch(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """What the evidence of one look is made of."""

    guardrail: Guardrail
    spec: Spec
    started_at: datetime
    """When the step began."""
    percent: float
    """What is served."""
    counted_to: datetime
    windows: tuple[Window, ...]
    exposed_before: Mapping[str, float]
    """Units exposed at this percentage before the windows, by arm: for evidence that begins in the middle of a step."""
    highest_percent: float = 0.0
    """What some process may still go by, where not all have taken up the step's rules."""
    processes: float = 1.0
    """How many counted them, each a unit once."""

    @property
    def limit(self) -> float:
        """The ratio that treatment's rate may have to the comparison's."""
        return 1 + share(self.guardrail.max_increase or "0%")

    @property
    def has_comparison(self) -> bool:
        """Whether anybody is served control's value."""
        return has_comparison(self.spec, self.percent)

    @property
    def others(self) -> tuple[str, ...]:
        """Whom treatments are compared with, as far as they are served."""
        return others(self.spec)


def add_all(weighing: Weighing, before: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Take in what all windows brought to each treatment."""
    known = {(evidence.treatment, evidence.bound): evidence for evidence in before}
    for window in weighing.windows:
        for treatment in weighing.spec.drawn_treatments:
            for bound in bounds(weighing.guardrail):
                key = (treatment.name, bound)
                batch = _batch(weighing, window, treatment.name, bound)
                if batch is not None:
                    known[key] = _add(weighing, known.get(key), batch, key, is_settled=window.is_settled)
    return tuple(known.values())


def compared(weighing: Weighing, window: Window) -> list[str]:
    """Give the arms of the comparison that were counted."""
    return [arm for arm in weighing.others if arm in window.totals]


def _batch(weighing: Weighing, window: Window, treatment: str, bound: str) -> Batch | None:
    """Give what a window brought; None when an arm is missing or had nothing to do, which is no evidence of anything."""
    others, events = compared(weighing, window), window.events[bound]
    if treatment not in window.totals or not window.requests.get(treatment):
        return None
    if weighing.guardrail.max is None and not sum(window.requests.get(arm, 0.0) for arm in others):
        return None
    return Batch(
        window.totals[treatment],
        events.get(treatment, 0.0),
        sum(window.totals[arm] for arm in others),
        sum(events.get(arm, 0.0) for arm in others),
    )


def _add(weighing: Weighing, before: Evidence | None, batch: Batch, key: tuple[str, str], *, is_settled: bool) -> Evidence:
    steps = _add_to_step(weighing, before.steps if before else (), batch, key[0])
    tested = _as_drawn(weighing, batch, key[0], is_settled=is_settled) if weighing.guardrail.is_per_unit else batch
    relative = weighing.guardrail.max_increase is not None
    tested = tested.scaled(weighing.guardrail.cluster)
    harm = _multiplied(add_harm, before.log_e_values if before else None, tested, weighing.limit) if relative else None
    settled = tested if is_settled else _NOTHING
    safe = _multiplied(add_safety, before.log_safe_values if before else None, settled, weighing.limit) if relative else None
    return Evidence(
        treatment=key[0],
        bound=key[1],
        log_e_values=harm,
        log_safe_values=safe,
        looks=(before.looks if before else 0) + 1,
        processes=weighing.processes,
        counted_to=weighing.counted_to,
        total=batch.treatment_total + (before.total if before else 0.0),
        events=batch.treatment_events + (before.events if before else 0.0),
        steps=steps,
    )


def _as_drawn(weighing: Weighing, batch: Batch, treatment: str, *, is_settled: bool) -> Batch:
    """Give new failures of units among all as they are drawn.

    Assignment is random by unit, so under no harm each unit that fails is treatment's with treatment's share of the draw, whoever was
    exposed when, and however often each comes. The exposed need not be known for that, only that they fell as drawn (sample_ratio.py).
    While pods take up the rules, some go by a former percentage: by the highest of them treatment's share is at least what it is.
    """
    percent = weighing.percent if is_settled else max(weighing.percent, weighing.highest_percent)
    due = {variant.name: share_due(variant, weighing.spec, percent) for variant in weighing.spec.variants}
    return batch._replace(treatment_total=due[treatment], control_total=due[weighing.spec.control] + 1 - percent / 100)


def _multiplied(add: Callable[..., tuple[float, ...]], before: Sequence[float] | None, batch: Batch, limit: float) -> tuple[float, ...]:
    """Multiply by one more batch. Rounded down, so that it stays evidence: never more than the exact one."""
    return tuple(math.floor(each * _DECIMALS) / _DECIMALS for each in add(before or NO_EVIDENCE, batch, limit=limit))


def _add_to_step(weighing: Weighing, steps: tuple[StepCounts, ...], batch: Batch, treatment: str) -> tuple[StepCounts, ...]:
    same = bool(steps) and steps[-1].started_at == weighing.started_at
    last = steps[-1] if same else _first_of_step(weighing, treatment, is_beginning=not steps)
    counts = StepCounts(
        started_at=weighing.started_at,
        treatment_total=batch.treatment_total + last.treatment_total,
        treatment_events=batch.treatment_events + last.treatment_events,
        comparison_total=batch.control_total + last.comparison_total,
        comparison_events=batch.control_events + last.comparison_events,
    )
    return (*(steps[:-1] if same else steps), counts)[-MOST_STEPS:]


def _first_of_step(weighing: Weighing, treatment: str, *, is_beginning: bool) -> StepCounts:
    """Begin with nobody; evidence begins with those who were exposed before. A clock that only starts again exposes nobody twice."""
    exposed = weighing.exposed_before if weighing.guardrail.is_per_unit and is_beginning else {}
    return StepCounts(
        started_at=weighing.started_at,
        treatment_total=exposed.get(treatment, 0.0),
        treatment_events=0.0,
        comparison_total=sum(exposed.get(arm, 0.0) for arm in weighing.others),
        comparison_events=0.0,
    )
