"""Why a ramp is not advancing: an ordered tuple of small checks, each named after what it finds; the first is `status.waitingFor`.

A step needs that none of them finds anything. They only ever hold a ramp; what moves it is decide.py's.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rampgate_operator.core.compile import compile_entry, fits
from rampgate_operator.core.convergence import describe_pods, is_awaited
from rampgate_operator.core.experiment import Experiment
from rampgate_operator.core.guardrail_spec import Guardrail, OnInconclusive
from rampgate_operator.core.guardrails import blocking, breaches_of, is_broken, recent_breaches, with_factor
from rampgate_operator.core.observation import ROOM, Entry, Observation, Ownership
from rampgate_operator.core.quantities import duration, share, timestamp
from rampgate_operator.core.reasons import Reason, percent_text, say
from rampgate_operator.core.sample_ratio import describe_ratio, is_mismatch, worst_ratio
from rampgate_operator.core.spec import Spec, Step
from rampgate_operator.core.status import GuardrailStatus, Phase, Rules, Status, Verdict, WaitingFor
from rampgate_operator.core.windows import is_open, next_opening

LAST_ACCEPTED = "the last accepted one stays in force"
RAMPS = frozenset({Phase.PENDING, Phase.RAMPING})
LONGEST_WRITE = timedelta(seconds=10)
"""An entry that is not written by then is no write under way, but trouble."""
FRESH_INTERVALS = 2
"""A reading counts for this many intervals."""
READINGS = frozenset({WaitingFor.METRICS, WaitingFor.GUARDRAIL})
"""What readings alone can end: before the first step, they are taken only while nothing else holds it."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a check may look at. `spec` is the last accepted one."""

    experiment: Experiment
    spec: Spec
    status: Status
    observation: Observation

    def with_status(self, status: Status) -> "Situation":
        """Give the same situation with another status."""
        return replace(self, status=status)

    @property
    def now(self) -> datetime:
        """The time of this decision."""
        return self.observation.now

    @property
    def steps(self) -> list[Step]:
        """The steps of the ramp."""
        return self.spec.ramp.steps

    @property
    def current_step(self) -> Step | None:
        """The step that is served; None before the first, and while an edit has not been taken in."""
        return self.steps[self.status.step] if 0 <= self.status.step < len(self.steps) else None

    @property
    def next_step(self) -> Step | None:
        """The step that would begin next; None on the last one, which only bakes."""
        following = self.status.step + 1
        return self.steps[following] if following < len(self.steps) else None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that holds the ramp; `until` is when time alone may end it, `reason` a closer word than `waiting_for`."""

    waiting_for: WaitingFor
    message: str
    reason: Reason
    until: datetime | None = None


Check = Callable[[Situation], Finding | None]


def find_all(situation: Situation) -> tuple[Finding, ...]:
    """Give everything that holds the ramp, in the order of `status.waitingFor`; once it is over, why pods do not obey its end."""
    ramps = situation.status.phase in RAMPS
    asked = (check(situation) for check in (CHECKS if ramps else (rules_out,)))
    findings = tuple(finding for finding in asked if finding is not None)
    if situation.status.phase is Phase.PENDING and any(finding.waiting_for not in READINGS for finding in findings):
        # nothing is looked at then (questions.py): a look that is not even due must not hide what a person can change
        return tuple(finding for finding in findings if finding.reason is not Reason.LOOK_DUE)
    return findings


def invalid(situation: Situation) -> Finding | None:
    """The newest spec is not accepted: the last accepted one is guarded, but goes no further."""
    problem = situation.experiment.problem
    return None if problem is None else _found(Reason.INVALID, instead=LAST_ACCEPTED, problem=problem)


def break_glass(situation: Situation) -> Finding | None:
    """A person holds the gate on control at the ConfigMap."""
    rules = situation.observation.rules
    return _found(Reason.BREAK_GLASS, config_map=situation.experiment.config_map_name) if rules.break_glass else None


def rules_not_served(situation: Situation) -> Finding | None:
    """What pods can read is not what the status says: older, or changed by somebody else."""
    return rules_behind(situation.experiment, situation.status, situation.observation)


def rules_behind(experiment: Experiment, status: Status, observation: Observation) -> Finding | None:
    """Give the same of an Experiment of which no spec can be run: an attempt that is over must have ended in pods too."""
    seen, wanted, name = observation.rules, status.rules, experiment.config_map_name
    if seen.ownership is Ownership.FOREIGN:
        return _found(Reason.RULES, closer=Reason.FOREIGN_CONFIG_MAP, config_map=name)
    if wanted is not None and seen.entry is not None and _says(seen.entry, wanted):
        return None
    obeyed = _what_is_obeyed(seen.entry)
    if seen.immutable:
        return _found(Reason.RULES, closer=Reason.CONFIG_MAP_IMMUTABLE, config_map=name, obeyed=obeyed)
    line = compile_entry(experiment, status, seen.entry)
    if line is not None and not fits(line, seen):
        return _found(Reason.RULES, closer=Reason.CONFIG_MAP_FULL, config_map=name, limit=ROOM)
    known = status.condition("RulesRendered")
    since = known.last_transition_time if known is not None and known.status == "False" else observation.now
    if observation.now - since >= LONGEST_WRITE:
        why = seen.refusal or "the operator's log says why"
        return _found(Reason.RULES, closer=Reason.RULES_BEHIND, config_map=name, obeyed=obeyed, since=timestamp(since), why=why)
    return _found(Reason.RULES, until=since + LONGEST_WRITE, config_map=name, obeyed=obeyed)


def rules_out(situation: Situation) -> Finding | None:
    """What pods obey is not what the status says; break-glass says nothing new of a gate that is on control anyway."""
    ended = situation.status.latch is not None
    return (None if ended else break_glass(situation)) or rules_not_served(situation)


def metrics_missing(situation: Situation) -> Finding | None:
    """A guardrail that may block has no reading to go by.

    Before the first step data may be missing, but the query must answer, and a dispersion that is measured must have been.
    """
    found = {each.name: finding for each in blocking(situation.spec) if (finding := _reading_missing(situation, each)) is not None}
    first = next(iter(found.values()), None)
    others = [name for name, finding in found.items() if finding.reason is Reason.METRICS and finding is not first]
    if first is None or first.reason is not Reason.METRICS or not others:
        return first
    return replace(first, message=f"{first.message} So it is with {', '.join(others)}; status.guardrails says why.")


def guardrail_not_passing(situation: Situation) -> Finding | None:
    """A guardrail that may block breaches, or breached so often lately that a step would be taken back at once."""
    for guardrail in blocking(situation.spec):
        known = situation.status.guardrail(guardrail.name)
        if known is not None and is_failing(guardrail, known):
            return _found(Reason.GUARDRAIL, guardrail=guardrail.name, message=known.message)
        if known is not None and is_broken(guardrail, known):
            message = f"{recent_breaches(guardrail, known)} of its last {breaches_of(guardrail).of} looks breached"
            return _found(Reason.GUARDRAIL, guardrail=guardrail.name, message=message)
    return None


def sample_ratio_off(situation: Situation) -> Finding | None:
    """First exposures do not fall to the arms as they are drawn: who is compared is no random choice any more."""
    ratio = worst_ratio(situation.status.sample_ratios)
    if ratio is None or not is_mismatch(ratio, situation.spec):
        return None
    return _found(Reason.SAMPLE_RATIO, ratio=describe_ratio(ratio, situation.spec), needed=situation.status.attempt + 1)


def paused(situation: Situation) -> Finding | None:
    """A person stopped the ramp where it is."""
    return _found(Reason.PAUSED, percent=percent_text(situation.status.percent)) if situation.experiment.paused else None


def deadline_passed(situation: Situation) -> Finding | None:
    """The deadline has passed; with `onDeadline: Rollback` it only holds an attempt that began after it."""
    schedule = situation.spec.schedule
    if schedule is None or schedule.deadline is None or situation.now < schedule.deadline:
        return None
    return _found(Reason.DEADLINE, deadline=timestamp(schedule.deadline), percent=percent_text(situation.status.percent))


def before_not_before(situation: Situation) -> Finding | None:
    """The schedule has not begun."""
    schedule = situation.spec.schedule
    if situation.next_step is None or schedule is None or schedule.not_before is None or situation.now >= schedule.not_before:
        return None
    return _found(Reason.NOT_BEFORE, until=schedule.not_before, not_before=timestamp(schedule.not_before))


def outside_windows(situation: Situation) -> Finding | None:
    """Steps up happen inside the windows only; the bake may end at any time."""
    windows = situation.spec.schedule.windows if situation.spec.schedule else None
    if situation.next_step is None or not windows or is_open(windows, situation.now):
        return None
    opens = next_opening(windows, situation.now)
    return _found(Reason.WINDOW, until=opens, opens=timestamp(opens) if opens else "no time that can be foreseen")


def approval_missing(situation: Situation) -> Finding | None:
    """The next step wants a person's consent, given for this attempt."""
    step, approved = situation.next_step, situation.spec.approved
    if step is None or not step.approval:
        return None
    if approved is not None and approved.attempt == situation.status.attempt and approved.up_to >= step.percent:
        return None
    return _found(Reason.APPROVAL, next=percent_text(step.percent), attempt=situation.status.attempt)


def pods_behind(situation: Situation) -> Finding | None:
    """Fewer pods than `ramp.confirm` asks for run the step's rules: its clock has not started."""
    confirm, status = situation.spec.ramp.confirm, situation.status
    if confirm is None or status.step_started_at is None or not is_awaited(situation.spec, status):
        return None
    until = status.step_started_at + duration(confirm.timeout)
    is_late, generation = situation.now >= until, status.rules.generation if status.rules else 0
    return _found(
        Reason.PODS,
        closer=Reason.PODS_BEHIND if is_late else None,
        until=None if is_late else until,
        timeout=confirm.timeout,
        wanted=confirm.pods,
        generation=generation,
        found=describe_pods(status.rules),
    )


def too_few_samples(situation: Situation) -> Finding | None:
    """A treatment has not been seen by enough units on this step."""
    needed = situation.current_step.min_exposures if situation.current_step else None
    if needed is None:
        return None
    exposures = situation.status.exposures
    counts = {seen.variant: seen.count for seen in exposures.variants} if exposures else {}
    drawn = [variant.name for variant in situation.spec.drawn_treatments]
    fewest = min(drawn, key=lambda name: counts.get(name, 0))
    if counts.get(fewest, 0) >= needed:
        return None
    problem = f" (not counted now: {exposures.problem})" if exposures and exposures.problem else ""
    return _found(Reason.SAMPLES, variant=fewest, count=counts.get(fewest, 0), needed=needed, problem=problem)


def hold_not_over(situation: Situation) -> Finding | None:
    """The step's least time is not over."""
    ends = hold_ends(situation)
    if ends is None or situation.now >= ends:
        return None
    return _found(Reason.HOLD, until=ends, percent=percent_text(situation.status.percent))


def reading_older_than_step(situation: Situation) -> Finding | None:
    """A pass counts only if it lies wholly after the step began. Asked last: while the hold lasts this is nothing to report."""
    started = situation.status.step_started_at
    if started is None:
        return None
    for guardrail in blocking(situation.spec):
        known = situation.status.guardrail(guardrail.name)
        if known is not None and known.reads_from < started:
            ripe = started + (known.looked_at - known.reads_from)
            facts = {"guardrail": guardrail.name, "ripe": timestamp(ripe)}
            return _found(Reason.METRICS, closer=Reason.READING_TOO_EARLY, until=ripe, **facts)
    return None


def not_shown_safe(situation: Situation) -> Finding | None:
    """What was counted shows no harm, but this step needs that it is shown to be none. Asked last: until the hold is over it may yet be."""
    step = situation.next_step
    if step is None:
        return None
    looked_at = ((guardrail, situation.status.guardrail(guardrail.name)) for guardrail in blocking(situation.spec))
    undecided = [
        known
        for guardrail, known in looked_at
        if known is not None and known.verdict is Verdict.INCONCLUSIVE and _is_awaited(guardrail, known, step)
    ]
    if not undecided:
        return None
    message, others = undecided[0].message, ", ".join(known.name for known in undecided[1:])
    return _found(
        Reason.GUARDRAIL,
        closer=Reason.NOT_SHOWN_SAFE,
        guardrail=undecided[0].name,
        message=f"{message} (and {others} as well)" if others else message,
        next=percent_text(step.percent),
    )


def is_failing(guardrail: Guardrail, known: GuardrailStatus) -> bool:
    """Tell whether the last look speaks against the ramp: of counts only a breach does, of one number also what cannot be told."""
    return known.verdict is Verdict.BREACH or (known.verdict is Verdict.INCONCLUSIVE and not guardrail.is_counted)


def _is_awaited(guardrail: Guardrail, known: GuardrailStatus, step: Step) -> bool:
    """Tell whether a step waits for proof. By default not for proof that no counts can give: of what has never happened to anybody."""
    has_events = guardrail.max_increase is None or bool(known.treatment or known.control)
    return needs_proof(guardrail, step) and (has_events or guardrail.on_inconclusive is OnInconclusive.HOLD)


def needs_proof(guardrail: Guardrail, step: Step) -> bool:
    """Tell whether a step must not begin on a guardrail that is inconclusive.

    By default only the one to 100 %, after which little is left to compare with: early steps are there to get the counts. No counts
    can show that nothing at all is worse.
    """
    if guardrail.on_inconclusive is not None:
        return guardrail.on_inconclusive is OnInconclusive.HOLD
    return step.percent == 100 and (guardrail.max_increase is None or share(guardrail.max_increase) > 0)


CHECKS: tuple[Check, ...] = (
    invalid,
    break_glass,
    rules_not_served,
    metrics_missing,
    guardrail_not_passing,
    sample_ratio_off,
    paused,
    deadline_passed,
    before_not_before,
    outside_windows,
    approval_missing,
    pods_behind,
    too_few_samples,
    hold_not_over,
    reading_older_than_step,
    not_shown_safe,
)


def hold_ends(situation: Situation) -> datetime | None:
    """Say when the step's hold is over, by the spec in force; None before the first step."""
    started, step = situation.status.step_started_at, situation.current_step
    ramps = situation.status.phase is Phase.RAMPING
    return started + duration(step.hold) if ramps and started and step else None


def _what_is_obeyed(entry: Entry | None) -> str:
    if entry is None:
        return "no entry"
    if "serve" in entry.content:
        return "control for everybody"
    return f"the shipped {entry.content['ship']}" if "ship" in entry.content else f"{percent_text(entry.content['percent'])} %"


def _says(entry: Entry, wanted: Rules) -> bool:
    return entry.generation >= wanted.generation and entry.digest == wanted.digest


def _reading_missing(situation: Situation, guardrail: Guardrail) -> Finding | None:
    name = guardrail.name
    known, fresh = situation.status.guardrail(name), FRESH_INTERVALS * duration(situation.spec.interval)
    failing = known is not None and known.verdict is Verdict.ERROR and situation.status.phase is Phase.RAMPING
    # a source that times out answers later than two short intervals: what is wrong with it must not give way to "a look is due"
    if known is None or (not failing and not timedelta(0) <= situation.now - known.looked_at <= fresh):
        since = "yet" if known is None else f"since {timestamp(known.looked_at)}"
        return _found(Reason.METRICS, closer=Reason.LOOK_DUE, guardrail=name, since=since)
    if known.verdict is Verdict.ERROR:
        return _found(Reason.METRICS, guardrail=name, message=known.message)
    if known.verdict is not Verdict.NO_DATA:
        return None
    missing = known.looked_at - (known.without_data_since or known.looked_at)
    if with_factor(guardrail, situation.status, situation.spec) is None:
        # once it takes longer than what it is measured over, requests are missing, or are not scraped in each window
        is_measuring = missing <= duration(guardrail.measured_over or "0s")
        return _found(Reason.METRICS, closer=Reason.MEASURING_DISPERSION if is_measuring else None, guardrail=name, message=known.message)
    if situation.status.phase is not Phase.RAMPING:
        # counting that only began has asked nothing: whether the query answers is not known
        return None if known.recent else _found(Reason.METRICS, closer=Reason.LOOK_DUE, guardrail=name, since="yet")
    started, had = situation.status.step_started_at, known.last_data_at
    # a step's first units need a moment to be counted and scraped: nothing to tell a person
    young = started is not None and known.looked_at - started <= fresh and (had is None or had <= started)
    measured = guardrail.measured_over is not None and not known.evidence and missing <= fresh
    closer = Reason.NO_DATA_YET if young else Reason.MEASURING_DISPERSION if measured else None
    return _found(Reason.METRICS, closer=closer, guardrail=name, message=known.message)


def _found(reason: Reason, *, closer: Reason | None = None, until: datetime | None = None, **facts: object) -> Finding:
    if until is not None:
        facts.setdefault("until", timestamp(until))
    return Finding(waiting_for=WaitingFor(reason.value), message=say(closer or reason, **facts), reason=closer or reason, until=until)
