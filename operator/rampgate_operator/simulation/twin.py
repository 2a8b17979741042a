"""Thousands of ramps at once, as arrays: the twin of decide.py, as far as guardrails that compare move or hold a ramp.

Knows when a step ends. Must not know where counts come from, or how they become evidence.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rampgate_operator.simulation.plan import Plan
from rampgate_operator.simulation.tally import Tally
from rampgate_operator.simulation.world import Counts, Draw, Flags, Numbers, Whole, shares

MOST_TIMES = 3
"""A ramp that has taken so many times its scheduled looks is called held."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How each ramp ended.

    Attributes:
        looks: how many it took.
        step: the index of the step it ended on.
        treated: requests that treatments served.
        by: the index of the guardrail that rolled it back; -1 for none.
        held: whether it was still held when patience ended.
        open: whether some guardrail had shown neither harm nor its absence.
        log_e: the logarithm of its evidence of harm, ramps × guardrails × treatments.
    """

    looks: Whole
    step: Whole
    treated: Whole
    by: Whole
    held: Flags
    open: Flags
    log_e: Numbers


class Ramps:
    """Ramps under way; arrays lose the rows of those that ended."""

    def __init__(self, planned: Plan, number: int) -> None:
        self.planned = planned
        treatments = len(planned.spec.drawn_treatments)
        self.number = np.arange(number)
        self.step, self.look, self.over, self.treated = (np.zeros(number, int) for _ in range(4))
        self.seen = np.zeros((number, treatments), int)
        self.samples = np.zeros((number, treatments))
        self.tallies = [Tally(tested, ramps=number, treatments=treatments) for tested in planned.guardrails]

    @property
    def percent(self) -> Numbers:
        """What each serves."""
        percents: Numbers = self.planned.percents[self.step]
        return percents

    @property
    def is_blind(self) -> Flags:
        """Whether nobody is left to compare with."""
        return np.asarray((self.percent == 100) & self.planned.blind)

    def take(self, counts: Counts) -> None:
        """Take in one look."""
        self.look += 1
        self.over += 1
        treated, others = counts.totals[:, :-1], counts.totals[:, -1:]
        self.treated += treated.sum(axis=1)
        self.samples += treated
        comparable = np.asarray((treated > 0) & (others > 0) & ~self.is_blind[:, None])
        self.seen = np.where(comparable, self.look[:, None], self.seen)
        drawn = shares(self.planned.spec, self.percent)
        for tally in self.tallies:
            tally.add(counts.totals.astype(float), counts.events[tally.tested.name].astype(float), comparable, drawn=drawn)

    def breached(self) -> Flags:
        """Tell which guardrails breach, ramps × guardrails."""
        found = [tally.is_harmful(self.planned.harmful) & ~self.is_blind for tally in self.tallies]
        return np.column_stack(found) if found else np.zeros((self.number.size, 0), bool)

    def held(self, breached: Flags) -> Flags:
        """Tell which may not begin their next step."""
        held: Flags = np.asarray((self.samples < self.planned.samples[self.step][:, None]).any(axis=1))
        quiet = ((self.seen == 0) | (self.look[:, None] - self.seen >= self.planned.quiet)).any(axis=1) & ~self.is_blind
        for index, tally in enumerate(self.tallies):
            if tally.tested.blocks:
                held = held | quiet | breached[:, index] | self._lacks_proof(tally)
        return held

    def _lacks_proof(self, tally: Tally) -> Flags:
        wanted: Flags = tally.tested.proof[self.step] & ~self.is_blind
        return np.asarray(wanted & ~tally.is_safe(self.planned.safe)) if wanted.any() else wanted

    def advance(self, held: Flags) -> Flags:
        """Begin the next step where the hold is over and nothing holds; tell which ramps have completed."""
        due = (self.look >= self.planned.looks[self.step]) & ~held
        is_last = self.step == len(self.planned.percents) - 1
        rising = due & ~is_last
        self.step[rising] += 1
        for counter in (self.look, self.seen, self.samples):
            counter[rising] = 0
        return np.asarray(due & is_last)

    def keep(self, rows: Flags) -> None:
        """Go on with these."""
        for name in ("number", "step", "look", "over", "seen", "samples", "treated"):
            setattr(self, name, getattr(self, name)[rows])
        for tally in self.tallies:
            tally.keep(rows)


def run(planned: Plan, draw: Draw, *, number: int, most_looks: int | None = None, progress: Callable[[], object] = lambda: None) -> Ended:
    """Play so many ramps to their end, or for `most_looks`; `progress` is called at every look."""
    ramps, ended = Ramps(planned, number), _none_yet(planned, number)
    patience = most_looks or MOST_TIMES * planned.scheduled
    acting = np.array([tested.rolls_back for tested in planned.guardrails], bool)
    while ramps.number.size:
        ramps.take(draw(ramps.number, ramps.percent, ramps.over / planned.scheduled))
        breached = ramps.breached()
        rolled_back = np.asarray((breached & acting).any(axis=1))
        completed = ramps.advance(ramps.held(breached) | rolled_back)
        done = completed | rolled_back | (ramps.over >= patience)
        if done.any():
            ended.by[ramps.number[rolled_back]] = (breached & acting)[rolled_back].argmax(axis=1) if acting.size else -1
            ended.held[ramps.number] = ~completed & ~rolled_back & done
            _note(ended, ramps, done)
            ramps.keep(~done)
        progress()
    return ended


def _none_yet(planned: Plan, number: int) -> Ended:
    treatments = len(planned.spec.drawn_treatments)
    return Ended(
        looks=np.zeros(number, int),
        step=np.zeros(number, int),
        treated=np.zeros(number, int),
        by=np.full(number, -1),
        held=np.zeros(number, bool),
        open=np.zeros(number, bool),
        log_e=np.zeros((number, len(planned.guardrails), treatments)),
    )


def _note(ended: Ended, ramps: Ramps, done: Flags) -> None:
    rows = ramps.number[done]
    ended.looks[rows], ended.step[rows], ended.treated[rows] = ramps.over[done], ramps.step[done], ramps.treated[done]
    for index, tally in enumerate(ramps.tallies):
        ended.log_e[rows, index] = tally.log_e()[done]
        shown = tally.is_harmful(ramps.planned.harmful) | tally.is_safe(ramps.planned.safe)
        ended.open[rows] |= ~shown[done]
