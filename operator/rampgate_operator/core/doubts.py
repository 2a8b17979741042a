"""What a spec may say and most likely does not mean: warnings, never a reason to refuse it.

An ordered tuple of small checks, each named after what it finds. Knows specs that can be run; no YAML, no cluster, no clock: when a ramp
begins is an argument, and without it nothing is said about times.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from rampgate_operator.core.eligibility import Item
from rampgate_operator.core.eligibility_doubts import conditions_that_exclude_each_other, negations_of_negations
from rampgate_operator.core.guardrail_spec import Guardrail, OnBreach, OnInconclusive, OnMissing
from rampgate_operator.core.guardrails import blocking
from rampgate_operator.core.problems import Problem
from rampgate_operator.core.promql_parse import parse
from rampgate_operator.core.promql_tree import Node
from rampgate_operator.core.quantities import duration, share, timestamp
from rampgate_operator.core.query_doubts import blind_step, matchers_of, passes_for_ever, reads_series
from rampgate_operator.core.questions import EXPOSURES_SOURCE
from rampgate_operator.core.reasons import percent_text
from rampgate_operator.core.spec import OnDeadline, Schedule, Spec, Step
from rampgate_operator.core.windows import is_open, next_opening


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a doubt may look at.

    Attributes:
        spec: one that can be run.
        reaches: how far back each guardrail's query reads, by the guardrail's name; counters are counted from the step's start.
        begins: before this no step begins; None when that is not known.
        sources: the sources that the operator knows; None when that is not known.
    """

    spec: Spec
    reaches: Mapping[str, timedelta]
    begins: datetime | None
    sources: Collection[str] | None = None

    @cached_property
    def queries(self) -> tuple[tuple[str, Guardrail, Node], ...]:
        """The path, guardrail and tree of every query."""
        guardrails = enumerate(self.spec.guardrails or ())
        return tuple((f"spec.guardrails[{index}].query", each, parse(each.query)) for index, each in guardrails if each.query is not None)

    @property
    def items(self) -> tuple[tuple[str, Item], ...]:
        """The path and test of everything that is said of who is eligible."""
        return tuple((f"spec.eligibility[{index}]", item) for index, item in enumerate(self.spec.eligibility or ()))

    @property
    def schedule(self) -> Schedule:
        """The schedule, an empty one when there is none."""
        return self.spec.schedule or Schedule()

    def slowest(self) -> tuple[timedelta, str]:
        """Give the longest reach of a guardrail that blocks, and its name."""
        named = [(self.reaches[each.name], each.name) for each in blocking(self.spec) if each.name in self.reaches]
        return max(named, default=(timedelta(0), ""))

    def starts(self, begins: datetime) -> tuple[datetime, ...]:
        """Say when each step begins at the earliest, and when the last is over: windows, holds and readings; approvals take no time."""
        windows, moment, starts = self.schedule.windows, begins, list[datetime]()
        for step in self.spec.ramp.steps:
            if windows and not is_open(windows, moment):
                moment = next_opening(windows, moment) or moment
            starts.append(moment)
            moment += max(duration(step.hold), self.slowest()[0])
        return (*starts, moment)


def find_doubts(plan: Plan) -> tuple[Problem, ...]:
    """Give what is doubtful, each with its field."""
    return tuple(doubt for check in DOUBTS for doubt in check(plan))


def never_gets_there(plan: Plan) -> Iterator[Problem]:
    """A step, or the end of the last one, lies behind the deadline."""
    schedule, steps = plan.schedule, plan.spec.ramp.steps
    if schedule.deadline is None or plan.begins is None:
        return
    *starts, end = plan.starts(plan.begins)
    for index, (step, start) in enumerate(zip(steps, starts, strict=True)):
        if start >= schedule.deadline:
            yield Problem(f"spec.ramp.steps[{index}]", _too_late(step, start, schedule.deadline))
            return
    if end >= schedule.deadline:
        then = "rolls back" if schedule.on_deadline is OnDeadline.ROLLBACK else "holds"
        text = f"the last step's hold is over at {timestamp(end)} at the earliest: before it is Completed, onDeadline {then} the attempt"
        yield Problem("spec.schedule.deadline", f"{text}; set it later, or shorten holds")


def step_lasts_longer(plan: Plan) -> Iterator[Problem]:
    """A hold is shorter than what a guardrail reads: no step ends without a reading that lies wholly on it."""
    reach, name = plan.slowest()
    for index, step in enumerate(plan.spec.ramp.steps):
        if duration(step.hold) < reach:
            text = f"the query of guardrail {name!r} reads {_seconds(reach)} back, and a step ends only after a reading wholly on it"
            yield Problem(f"spec.ramp.steps[{index}].hold", f"{text}: it lasts at least {_seconds(reach)}, not {step.hold}")


def compares_with_nobody(plan: Plan) -> Iterator[Problem]:
    """On some step there is neither control nor baseline left that the query asks for."""
    for path, guardrail, query in plan.queries:
        found = blind_step(plan.spec, query)
        if found is not None:
            yield Problem(path, _blind(plan.spec, guardrail, step=found[0], asked=matchers_of(found[1])))


def compares_with_nobody_at_the_end(plan: Plan) -> Iterator[Problem]:
    """What is counted is compared with control and baseline, and on the last step there is neither."""
    spec = plan.spec
    if spec.control in spec.arms or spec.ramp.steps[-1].percent < 100:
        return
    for index, guardrail in enumerate(spec.guardrails or ()):
        if guardrail.is_counted and guardrail.max is None:
            text = "at 100 % nobody is left to compare with: the verdict is NoComparison there, which neither holds nor rolls back"
            remedy = f"give {spec.control} a weight above 0, add max, or end the ramp below 100 %"
            yield Problem(f"spec.guardrails[{index}].maxIncrease", f"{text}; {remedy}")


def never_shown(plan: Plan) -> Iterator[Problem]:
    """A step waits for what no counts can show."""
    for index, guardrail in enumerate(plan.spec.guardrails or ()):
        is_nothing = guardrail.max_increase is not None and share(guardrail.max_increase) == 0
        if is_nothing and guardrail.on_inconclusive is OnInconclusive.HOLD and guardrail.on_breach is not OnBreach.NOTIFY:
            text = "Hold waits until treatment is shown not to be worse, and with maxIncrease: 0% no counts show that unless it is better"
            yield Problem(f"spec.guardrails[{index}].onInconclusive", f"{text}; allow a little, such as maxIncrease: 10%")


def passes_without_series(plan: Plan) -> Iterator[Problem]:
    """An invented value passes, whatever becomes of the metric."""
    for path, guardrail, query in plan.queries:
        value = passes_for_ever(guardrail, query)
        if value is None:
            continue
        if reads_series(query):
            remedy = "put `or vector(…)` on a numerator alone, beside a denominator that has no such thing"
            yield Problem(path, f"reads {value:g} when its series are gone, which passes for ever: {remedy}")
        else:
            yield Problem(path, f"reads no series: it is always {value:g}, which passes for ever")


def notifies_and_rolls_back(plan: Plan) -> Iterator[Problem]:
    """A breach is only reported, but silence ends the attempt."""
    for index, guardrail in enumerate(plan.spec.guardrails or ()):
        for field, policy in (("onNoData", guardrail.on_no_data), ("onError", guardrail.on_error)):
            if guardrail.on_breach is OnBreach.NOTIFY and policy is OnMissing.ROLLBACK:
                text = "Rollback still acts with onBreach: Notify: a breach is only reported, but missing readings end the attempt"
                yield Problem(f"spec.guardrails[{index}].{field}", f"{text}; leave it out if that is not meant")


def never_confirmed(plan: Plan) -> Iterator[Problem]:
    """Nobody can say which rules pods run."""
    if plan.spec.ramp.confirm is not None and plan.sources is not None and EXPOSURES_SOURCE not in plan.sources:
        text = f"which rules pods run is read from the source {EXPOSURES_SOURCE!r}, and the operator has none of that name"
        yield Problem("spec.ramp.confirm", f"no step's clock ever starts: {text}; configure it, or leave confirm out")


def killed_in_a_file(plan: Plan) -> Iterator[Problem]:
    """A kill is an act, not a state to keep."""
    if plan.spec.killed:
        text = "every sync of the file kills again, and no new attempt begins while it stands here"
        yield Problem("spec.killed", f"is for `kubectl patch`, not for a file: {text}; remove it")


def ship_in_a_file(plan: Plan) -> Iterator[Problem]:
    """A decision is made on what an attempt showed, which a file cannot know."""
    if plan.spec.ship is not None:
        text = f"it gives everybody {plan.spec.ship.variant!r} as soon as attempt {plan.spec.ship.attempt} is there, without a ramp"
        yield Problem("spec.ship", f"is for `kubectl patch`, not for a file: {text}; remove it")


def negates_a_negation(plan: Plan) -> Iterator[Problem]:
    """A `not` around what is a negation itself."""
    yield from negations_of_negations(plan.items)


def never_matches(plan: Plan) -> Iterator[Problem]:
    """Two conditions that must both hold cannot."""
    yield from conditions_that_exclude_each_other(plan.items)


DOUBTS: tuple[Callable[[Plan], Iterator[Problem]], ...] = (
    never_gets_there,
    step_lasts_longer,
    compares_with_nobody,
    compares_with_nobody_at_the_end,
    never_shown,
    passes_without_series,
    notifies_and_rolls_back,
    negates_a_negation,
    never_matches,
    never_confirmed,
    killed_in_a_file,
    ship_in_a_file,
)


def _too_late(step: Step, start: datetime, deadline: datetime) -> str:
    percent = percent_text(step.percent)
    return (
        f"is never reached: by notBefore, windows, holds and what guardrails read, {percent} % begins at {timestamp(start)} at the "
        f"earliest, and the deadline is {timestamp(deadline)}"
    )


def _blind(spec: Spec, guardrail: Guardrail, *, step: Step, asked: str) -> str:
    percent = percent_text(step.percent)
    weight = next(variant.weight for variant in spec.variants if variant.name == spec.control)
    remedy = f"ask for {spec.control} as well"
    if not weight:
        other = "end the ramp below 100 %" if step.percent == 100 else "ask for baseline as well"
        remedy = f"give {spec.control} a weight above 0, or {other}"
    then = "the ramp waits there for data"
    if guardrail.on_no_data is OnMissing.ROLLBACK:
        then = "onNoData then rolls back"
    elif guardrail.on_breach is OnBreach.NOTIFY:
        then = "it has nothing to report there"
    return f"is blind at {percent} %: nobody is served {asked} there, so nothing is left to compare with, and {then}; {remedy}"


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():g}s"
