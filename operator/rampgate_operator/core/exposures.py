"""First exposures at the percentage that is served: how many each arm had, and whether they fall to the arms as drawn.

Counted in disjoint windows up to a watermark that is kept in status, so that a restart repeats none, and loses none unless nobody counted
for longer than LONGEST_WINDOW: rather too few than twice (design §9). Knows the answer to one look. Must not know how it was asked.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from rampgate_operator.core.counted import MOST_COUNTED
from rampgate_operator.core.looks import Exposed, Failed, NoData
from rampgate_operator.core.observation import ExposureLook
from rampgate_operator.core.quantities import duration
from rampgate_operator.core.sample_ratio import add_window
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Exposures, Phase, SampleRatio, Status, VariantExposures
from rampgate_operator.core.status_fields import MESSAGE_LIMIT

METRIC = "rampgate_first_exposures_total"
LONGEST_WINDOW = timedelta(minutes=10)
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


def take_in_exposures(status: Status, spec: Spec, looks: Iterable[ExposureLook]) -> Status:
    """Add the windows of looks; none is counted while no step runs."""
    if status.phase is not Phase.RAMPING or status.step_started_at is None:
        return status.model_copy(update={"exposures": None})
    for look in looks:
        status = _take_in(status, spec, look, since=status.step_started_at)
    return status


def _take_in(status: Status, spec: Spec, look: ExposureLook, *, since: datetime) -> Status:
    """Add a look's windows, up to the last one that has a sample; what comes after it is asked again.

    A look that begins before the watermark is void. One that failed changes nothing, and says so.
    """
    known = status.exposures or Exposures(counted_to=since, variants=())
    if look.since < known.counted_to:
        return status
    windows = _windows(look)
    problem = _problem(look, windows, known, spec)
    if problem is not None:
        return status.model_copy(update={"exposures": known.model_copy(update={"problem": problem[:MESSAGE_LIMIT]})})
    if not windows:
        return status
    counted = _counted(known, spec, windows)
    return status.model_copy(update={"exposures": counted, "sample_ratios": _compared(status, spec, windows, look.processes)})


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
        if not 0 <= rose <= MOST_COUNTED:  # the status, and with it a kill, would be refused for a number that is none
            return f"{METRIC} of {variant} rose by {rose:g}: no counter does"
    if windows or look.until - known.counted_to < max(LONGEST_QUIET, QUIET_INTERVALS * duration(spec.interval)):
        return None
    return look.answer.why if isinstance(look.answer, NoData) else f"{METRIC} of this gate has no sample"


def _counted(known: Exposures, spec: Spec, windows: tuple[Window, ...]) -> Exposures:
    before = {seen.variant: seen.count for seen in known.variants}
    rose = {arm: round(sum(window.counts.get(arm, 0.0) for window in windows)) for arm in spec.arms}
    counts = tuple(VariantExposures(variant=arm, count=before.get(arm, 0) + rose[arm]) for arm in spec.arms)
    return Exposures(counted_to=windows[-1].ends, variants=counts)


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
