"""Thousands of ramps at once, as arrays: the twin of evidence.py, guardrails.py and decide.py for counted guardrails.

Schedules, approvals and freezes do not hold these ramps: what is simulated is what guardrails do. Evidence is not rounded down as status
has it, by up to a millionth per look. Knows arrays of counts. Must not know where they come from.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rampgate_operator.core.evidence import LONGEST_QUIET, QUIET_INTERVALS, needed
from rampgate_operator.core.guardrail_spec import Guardrail, OnBreach
from rampgate_operator.core.quantities import duration, share
from rampgate_operator.core.sequential import GRID, GRID_SIZE
from rampgate_operator.core.spec import Spec
from rampgate_operator.simulation.world import Counts, Flags, Numbers, Whole

_GRID = np.array(GRID)
MOST_TIMES = 3
"""A ramp that has taken so many times its scheduled looks is called held."""

Draw = Callable[[Whole, Numbers, Numbers], Counts]
"""What a look brings: the numbers of the ramps, the percentage of each, and how much of its scheduled looks each has behind it."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What of a spec matters to its guardrails.

    Attributes:
        percents: of each step.
        looks: of each step, scheduled.
        samples: how many requests of each treatment a step needs at least.
        guardrails: those that are counted.
        bound: the e-value of a breach.
        quiet: for how many looks a window without requests is no lack of data.
        blind: whether nobody is left to compare with at 100 %.
    """

    spec: Spec
    percents: Numbers
    looks: Whole
    samples: Numbers
    guardrails: tuple[Guardrail, ...]
    bound: float
    quiet: int
    blind: bool

    @property
    def scheduled(self) -> int:
        """Looks of a ramp that nothing holds."""
        return int(self.looks.sum())


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How each ramp ended.

    Attributes:
        looks: how many it took.
        step: the index of the step it ended on.
        treated: requests that treatments served.
        by: the index of the guardrail that rolled it back; -1 for none.
        held: whether it was still held when patience ended.
        log_e: the logarithm of its evidence, guardrails × treatments.
    """

    looks: Whole
    step: Whole
    treated: Whole
    by: Whole
    held: Flags
    log_e: Numbers


def plan(spec: Spec) -> Plan:
    """Read what matters."""
    interval = duration(spec.interval)
    steps = spec.ramp.steps
    return Plan(
        spec=spec,
        percents=np.array([step.percent for step in steps]),
        looks=np.array([max(1, math.ceil(duration(step.hold) / interval)) for step in steps]),
        samples=np.array([step.min_exposures or 0 for step in steps], float),
        guardrails=counted(spec),
        bound=needed(spec),
        quiet=math.ceil(max(LONGEST_QUIET, QUIET_INTERVALS * interval) / interval),
        blind=spec.control not in spec.arms,
    )


def counted(spec: Spec) -> tuple[Guardrail, ...]:
    """Give the guardrails whose evidence is made of counts."""
    return tuple(guardrail for guardrail in spec.guardrails or () if guardrail.counters is not None)


def log_likelihood_ratios(totals: Numbers, events: Numbers, *, limit: float) -> Numbers:
    """Give what a batch adds to the evidence of harm, ramps × grid; columns are treatment and comparison. See sequential.py."""
    treatment, comparison = totals[:, :1], totals[:, 1:]
    ratios = limit * _GRID
    wider = np.log((treatment * limit + comparison) / (treatment * ratios + comparison))
    added: Numbers = events.sum(axis=1, keepdims=True) * wider + events[:, :1] * np.log(_GRID)
    return added


def log_means(logs: Numbers) -> Numbers:
    """Give the logarithm of the mean over the last axis."""
    largest = logs.max(axis=-1, keepdims=True)
    means: Numbers = largest[..., 0] + np.log(np.exp(logs - largest).mean(axis=-1))
    return means


def reach(logs: Numbers, bound: float) -> Flags:
    """Tell where evidence reaches a bound; its mean is taken only where its largest does, for a mean is no larger."""
    high: Flags = np.asarray(logs.max(axis=-1) >= bound)
    if high.any():
        high[high] = log_means(logs[high]) >= bound
    return high


class Ramps:
    """The state of many ramps under way; arrays lose the rows of those that ended."""

    def __init__(self, planned: Plan, number: int) -> None:
        self.planned = planned
        treatments = len(planned.spec.drawn_treatments)
        self.number = np.arange(number)
        self.step, self.look = np.zeros(number, int), np.zeros(number, int)
        self.over = np.zeros(number, int)
        self.seen = np.zeros((number, treatments), int)
        self.samples = np.zeros((number, treatments))
        self.treated = np.zeros(number, int)
        self.evidence = np.zeros((number, len(planned.guardrails), treatments, GRID_SIZE))

    @property
    def percent(self) -> Numbers:
        """What each serves."""
        percents: Numbers = self.planned.percents[self.step]
        return percents

    def take(self, counts: Counts) -> None:
        """Take in one look."""
        self.look += 1
        self.over += 1
        treated = counts.totals[:, :-1]
        self.treated += treated.sum(axis=1)
        self.samples += treated
        comparable = (treated > 0) & (counts.totals[:, -1:] > 0)
        self.seen = np.where(comparable, self.look[:, None], self.seen)
        blind = (self.percent == 100) & self.planned.blind
        for index, guardrail in enumerate(self.planned.guardrails):
            limit = 1 + share(guardrail.max_increase or "0%")
            for treatment in range(treated.shape[1]):
                rows = np.flatnonzero(comparable[:, treatment] & ~blind)
                pair = [treatment, -1]
                totals, events = counts.totals[rows][:, pair], counts.events[guardrail.name][rows][:, pair]
                self.evidence[rows, index, treatment] += log_likelihood_ratios(totals.astype(float), events.astype(float), limit=limit)

    def breached(self) -> Flags:
        """Tell which guardrails of which ramps breach, ramps × guardrails."""
        found: Flags = np.asarray(reach(self.evidence, math.log(self.planned.bound)).any(axis=2))
        found[(self.percent == 100) & self.planned.blind] = False
        return found

    def advance(self, held: Flags) -> Flags:
        """Begin the next step where the hold is over and nothing holds; tell which ramps have completed."""
        blind = (self.percent == 100) & self.planned.blind
        is_quiet = ((self.seen == 0) | (self.look[:, None] - self.seen >= self.planned.quiet)).any(axis=1)
        short = (self.samples < self.planned.samples[self.step][:, None]).any(axis=1)
        due: Flags = (self.look >= self.planned.looks[self.step]) & ~held & ~short & (~is_quiet | blind)
        last = self.step == len(self.planned.percents) - 1
        rising = due & ~last
        self.step[rising] += 1
        for counter in (self.look, self.seen, self.samples):
            counter[rising] = 0
        completed: Flags = due & last
        return completed

    def keep(self, rows: Flags) -> None:
        """Go on with these."""
        if not rows.all():
            for name in ("number", "step", "look", "over", "seen", "samples", "treated", "evidence"):
                setattr(self, name, getattr(self, name)[rows])


def run(
    planned: Plan, draw: Draw, *, number: int, most_looks: int | None = None, progress: Callable[[int], object] = lambda _ended: None
) -> Ended:
    """Play so many ramps to their end, or for `most_looks`; `progress` is told how many have ended since it was told last."""
    ramps = Ramps(planned, number)
    acting = _indexes(planned, OnBreach.ROLLBACK)
    holding = _indexes(planned, OnBreach.ROLLBACK, OnBreach.HOLD)
    shape = ramps.evidence.shape[1:3]
    ended = Ended(
        looks=np.zeros(number, int),
        step=np.zeros(number, int),
        treated=np.zeros(number, int),
        by=np.full(number, -1),
        held=np.zeros(number, bool),
        log_e=np.zeros((number, *shape)),
    )
    patience = most_looks or MOST_TIMES * planned.scheduled
    while ramps.number.size:
        ramps.take(draw(ramps.number, ramps.percent, ramps.over / planned.scheduled))
        breached = ramps.breached()
        rolled_back = _any(breached[:, acting])
        step = ramps.step.copy()
        completed = ramps.advance(_any(breached[:, holding]) | rolled_back)
        held = ~completed & ~rolled_back & (ramps.over >= patience)
        done = completed | rolled_back | held
        _note(ended, ramps, done, step)
        ended.by[ramps.number[rolled_back]] = np.array(acting, int)[breached[rolled_back][:, acting].argmax(axis=1)] if acting else -1
        ended.held[ramps.number[held]] = True
        ramps.keep(~done)
        progress(int(done.sum()))
    return ended


def _note(ended: Ended, ramps: Ramps, done: Flags, step: Whole) -> None:
    rows = ramps.number[done]
    ended.looks[rows], ended.step[rows], ended.treated[rows] = ramps.over[done], step[done], ramps.treated[done]
    ended.log_e[rows] = log_means(ramps.evidence[done])


def _any(flags: Flags) -> Flags:
    return np.asarray(flags.any(axis=1))


def _indexes(planned: Plan, *acts: OnBreach) -> Sequence[int]:
    return [index for index, guardrail in enumerate(planned.guardrails) if guardrail.on_breach in acts]
