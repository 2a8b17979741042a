"""How a guardrail's dispersion is measured before its counts are weighed: in which windows, and what a look at them says.

Those windows lie before what is compared, and hold control and baseline alone; none of them is evidence. Knows the answers to one look.
Must not know what evidence is made of, or what is done while there is no factor.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rampgate_operator.core.counted import Window, bounds, failure, has_comparison, impossible, others, windows
from rampgate_operator.core.dispersion import WINDOWS, Counted, dispersion
from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.judgement import Judgement, failed
from rampgate_operator.core.observation import Look
from rampgate_operator.core.quantities import duration
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import MeasuredDispersion, Verdict

_STEPS_OF_ONE = 1000


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one look says. There is no reading of treatments in it, so the verdict is never one on them."""

    judgement: Judgement
    measured: MeasuredDispersion | None = None
    """None while too few windows had requests."""


def edges_of(over: str, until: datetime) -> tuple[datetime, ...]:
    """Cut what lies before `until` in equal windows."""
    span = duration(over)
    return tuple(until - span + span * window / WINDOWS for window in range(WINDOWS + 1))


def measure(guardrail: Guardrail, look: Look, *, spec: Spec, percent: float) -> Measurement:
    """Measure the dispersion of the comparison's events; of several bounds of a histogram, the largest."""
    trouble = failure(look.answers)
    if trouble is not None:
        return Measurement(judgement=failed(f"counting {trouble[0]}", trouble[1]))
    counted = windows(guardrail, look.answers)
    nonsense = next(filter(None, (impossible(window, spec.arms) for window in counted)), None)
    if nonsense is not None:
        return Measurement(judgement=Judgement(verdict=Verdict.ERROR, message=nonsense))
    served = [window for window in counted if _total(window, spec) > 0]
    if len(served) >= WINDOWS:
        return _measured(guardrail, look, max(dispersion(column) for column in _columns(guardrail, served, spec)))
    if not has_comparison(spec, percent):
        return _without_factor(Verdict.NO_COMPARISON, "at 100 % with control at weight 0 nobody is left to measure dispersion by")
    return _without_factor(Verdict.NO_DATA, f"{_over(guardrail, 'is')}: {len(served)} of {WINDOWS} windows have requests")


def _measured(guardrail: Guardrail, look: Look, factor: float) -> Measurement:
    factor = math.ceil(factor * _STEPS_OF_ONE) / _STEPS_OF_ONE  # rounded up, so that it stays a bound
    message = f"{_over(guardrail, 'was')}: events weigh as if {factor:.3g} times fewer had been counted; nothing is compared yet"
    measured = MeasuredDispersion(guardrail=look.guardrail, digest=look.digest, factor=factor, windows=WINDOWS)
    return Measurement(judgement=Judgement(verdict=Verdict.NO_DATA, message=message), measured=measured)


def _without_factor(verdict: Verdict, message: str) -> Measurement:
    return Measurement(judgement=Judgement(verdict=verdict, message=message))


def _over(guardrail: Guardrail, verb: str) -> str:
    return f"dispersion {verb} measured over {guardrail.measured_over}"


def _total(window: Window, spec: Spec) -> float:
    return sum(window.totals.get(arm, 0.0) for arm in others(spec))


def _columns(guardrail: Guardrail, served: list[Window], spec: Spec) -> Iterator[list[Counted]]:
    for bound in bounds(guardrail):
        yield [Counted(sum(window.events[bound].get(arm, 0.0) for arm in others(spec)), _total(window, spec)) for window in served]
