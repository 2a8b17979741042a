"""First exposures since the step began: how many each arm had, and whether they fall to the arms as drawn.

Counted in disjoint windows up to a watermark that is kept in status, so that a restart repeats none, and loses none unless nobody counted
for longer than LONGEST_WINDOW: rather too few than twice (design §9). Knows the answer to one look. Must not know how it was asked.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from rampgate_operator.core.looks import Exposed, Failed, NoData
from rampgate_operator.core.observation import ExposureLook
from rampgate_operator.core.quantities import duration
from rampgate_operator.core.sample_ratio import add_window
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Exposures, Phase, SampleRatio, Status, VariantExposures
from rampgate_operator.core.status_fields import MESSAGE_LIMIT

METRIC = "rampgate_first_exposures_total"
LONGEST_WINDOW = timedelta(minutes=10)
LONGEST_SETTLING = timedelta(minutes=5)
"""New rules reach every pod within this; the kubelet takes up to 90 s, and the metrics' scrapes and lookback come on top."""
LONGEST_QUIET, QUIET_INTERVALS = timedelta(minutes=2), 2
"""Between two scrapes, and while a step's first units are still to come, no sample is no news for this long (the longer one)."""


class Window(NamedTuple):
    """What one window of a look brought, by variant."""

    begins: datetime
    ends: datetime
    counts: Mapping[str, float]
    is_settled: bool
    """Whether all who counted went by the same rules from its beginning on."""


def counts_exposures(spec: Spec) -> bool:
    """Tell whether a ramp counts them: where something is guarded or has to wait for them. Without either it costs nothing."""
    return bool(spec.guardrails) or any(step.min_exposures is not None for step in spec.ramp.steps)


def take_in_exposures(status: Status, spec: Spec, look: ExposureLook | None) -> Status:
    """Add a look's windows, up to the last one that has a sample; what comes after it is asked again.

    A look that begins before the watermark is void. One that failed changes nothing, and says so.
    """
    if status.phase is not Phase.RAMPING or status.step_started_at is None:
        return status.model_copy(update={"exposures": None})
    known = status.exposures or Exposures(counted_to=status.step_started_at, variants=())
    if look is None or look.since < known.counted_to:
        return status
    windows = _windows(look)
    problem = _problem(look, windows, known, spec)
    if problem is not None:
        return status.model_copy(update={"exposures": known.model_copy(update={"problem": problem[:MESSAGE_LIMIT]})})
    if not windows:
        return status
    counted = _counted(known, spec, windows, status.step_started_at)
    return status.model_copy(update={"exposures": counted, "sample_ratios": _compared(status, spec, windows, look.processes)})


def begin_again(known: Exposures, now: datetime) -> Exposures:
    """Count for `minExposures` from now on. Units that were exposed at this percentage are not counted anew, and stay among the exposed."""
    variants = tuple(each.model_copy(update={"count": 0}) for each in known.variants)
    return Exposures(counted_to=now, variants=variants)


def is_settled(seen: bool, *, begins: datetime, started_at: datetime) -> bool:
    """Tell whether what was counted in a window is counted by the step's rules: all processes have them, or had the time to get them.

    Else units that were exposed by a former percentage would be taken for this one's. A process that never takes them up changes no share
    any more, and must not blind a guardrail for ever.
    """
    return seen or begins - started_at >= LONGEST_SETTLING


def _windows(look: ExposureLook) -> tuple[Window, ...]:
    """Give what was counted, up to the last window that has a sample: later ones may only not have been scraped yet."""
    if not isinstance(look.answer, Exposed):
        return ()
    seen = zip(look.windows, look.answer.windows, look.answer.settled, strict=True)
    windows = [Window(*edges, counts, is_settled) for edges, counts, is_settled in seen]
    last = max((index for index, window in enumerate(windows) if window.counts), default=-1)
    return tuple(windows[: last + 1])


def _problem(look: ExposureLook, windows: tuple[Window, ...], known: Exposures, spec: Spec) -> str | None:
    """Say why nothing can be counted; None when something was, or may only be still to come."""
    if isinstance(look.answer, Failed):
        return look.answer.message
    for variant, rose in ((variant, rose) for window in windows for variant, rose in window.counts.items()):
        if not 0 <= rose < math.inf:
            return f"{METRIC} of {variant} rose by {rose:g}: no counter does"
    if windows or look.until - known.counted_to < max(LONGEST_QUIET, QUIET_INTERVALS * duration(spec.interval)):
        return None
    return look.answer.why if isinstance(look.answer, NoData) else f"{METRIC} of this gate has no sample"


def _counted(known: Exposures, spec: Spec, windows: tuple[Window, ...], started_at: datetime) -> Exposures:
    """Count for `minExposures` by whatever rules, and for rates per unit those that were exposed by the step's own."""
    before = {seen.variant: (seen.count, seen.settled) for seen in known.variants}
    counts = (
        VariantExposures(
            variant=arm,
            count=before.get(arm, (0, 0))[0] + _of(arm, windows),
            settled=before.get(arm, (0, 0))[1]
            + _of(arm, [each for each in windows if is_settled(each.is_settled, begins=each.begins, started_at=started_at)]),
        )
        for arm in spec.arms
    )
    return Exposures(counted_to=windows[-1].ends, variants=tuple(counts))


def _of(arm: str, windows: Sequence[Window]) -> int:
    return round(sum(window.counts.get(arm, 0.0) for window in windows))


def _compared(status: Status, spec: Spec, windows: tuple[Window, ...], processes: float) -> tuple[SampleRatio, ...]:
    """Add to the evidence of a mismatch what was counted by this step's rules alone: by others, other units would be due.

    Each process counts a unit once. Taken whole, the draw of a unit that meets ten processes would be weighed ten times, and chance alone
    would be an alarm sooner or later; divided by their number it weighs no more than it did.
    """
    ratios = status.sample_ratios
    for window in windows:
        # a clock that was set back makes the step count anew, but evidence is not taken back: rather too little than twice
        if window.is_settled and all(ratio.counted_to <= window.begins for ratio in status.sample_ratios):
            counts = {arm: window.counts.get(arm, 0.0) / processes for arm in spec.arms}
            ratios = add_window(ratios, counts, spec=spec, percent=status.percent, counted_to=window.ends)
    return ratios
