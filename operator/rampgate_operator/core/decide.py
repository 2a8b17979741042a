"""What the status must be now, and why: a pure function of the Experiment, its status and what was seen.

No I/O, no clock, no logging. What moves an attempt stands in triggers.py by precedence, what each move does in the table of ramp.py,
what holds a step in waiting.py.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rampgate_operator.core.compile import compile_content, compile_draw, draw_digest
from rampgate_operator.core.conditions import Announcement, announce, describe, describe_invalid
from rampgate_operator.core.convergence import is_awaited, look_at_pods_every, take_in_pods
from rampgate_operator.core.experiment import Experiment
from rampgate_operator.core.exposures import take_in_exposures
from rampgate_operator.core.guardrails import take_in
from rampgate_operator.core.lost import restore
from rampgate_operator.core.observation import Entry, Observation, digest
from rampgate_operator.core.quantities import duration
from rampgate_operator.core.questions import is_looking, lag
from rampgate_operator.core.ramp import LATCHED, STARTED, move, restart_clock
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.revision import spec_digest
from rampgate_operator.core.status import Phase, Rules, Status
from rampgate_operator.core.triggers import first_change, kill
from rampgate_operator.core.waiting import RAMPS, Finding, Situation, break_glass, find_all, hold_ends, rules_out


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The status that must be persisted, what to tell people once it is, and when to decide again."""

    status: Status
    announcements: tuple[Announcement, ...] = ()
    recheck_at: datetime | None = None
    """When time alone could change the decision."""
    look_every: timedelta | None = None
    """How often to look at the guardrails; None when nothing is to be read."""
    look_at_pods_every: timedelta | None = None
    """How often to look which rules pods run; None when that is not wanted."""
    look_from: datetime | None = None
    """Looks are due at this instant and whole multiples of `look_every` from it: as soon as a window of the grid is over."""


def decide(experiment: Experiment, status: Status | None, observation: Observation, *, may_move: bool = True) -> Decision:
    """Decide once: at most one transition, so at most one step, however late it runs; none when what was decided cannot be carried out.

    1. Without a status: rebuild it from the gate's entry, or begin at 0 %.
    2. Take in what was seen: clocks that make no sense, rules that were not served, readings.
    3. Carry out the first trigger that fires.
    4. Say what the ramp waits for, in words a person can act on.
    5. Number the rules anew if their content changed.
    """
    before = status if status is not None else restore(experiment, observation)
    current = _without_future_clocks(before, observation.now)
    if experiment.spec is None:
        return _decide_without_spec(experiment, status, current, observation)
    situation = Situation(experiment=experiment, spec=experiment.spec, status=current, observation=observation)
    situation = situation.with_status(_take_in(situation))
    change = first_change(situation) if may_move else None
    if change is not None:
        moved = move(situation.status, change, steps=situation.steps, now=situation.now)
        situation = situation.with_status(moved)
    findings = find_all(situation)
    explained = number_rules(experiment, _explain(situation, findings), observation)
    return Decision(
        status=explained,
        announcements=announce(status, explained, change),
        recheck_at=_recheck_at(situation, findings),
        look_every=duration(situation.spec.interval) if is_looking(situation, findings) else None,
        look_at_pods_every=look_at_pods_every(situation.spec, explained, situation.now),
        look_from=(explained.step_started_at or explained.attempt_started_at) + lag(situation.spec),
    )


def number_rules(experiment: Experiment, status: Status, observation: Observation) -> Status:
    """Raise the generation when the entry's content changed; the first one is the Unix time, and it only rises."""
    seen = observation.rules.entry
    content = compile_content(experiment, status, seen)
    if content is None or (status.rules is not None and status.rules.digest == digest(content) and not _overwritten(status.rules, seen)):
        return status
    first = int(observation.now.timestamp()) if status.rules is None else 0
    floor = max(observation.rules.floor, status.rules.generation if status.rules else 0, seen.generation if seen else 0)
    rules = Rules(generation=max(first, floor + 1), digest=digest(content), rendered_at=observation.now)
    return status.model_copy(update={"rules": rules})


def _overwritten(rules: Rules, seen: Entry | None) -> bool:
    """Tell whether somebody else put an entry there that pods may have taken for a newer one than ours."""
    if seen is None or seen.generation < rules.generation:
        return False
    return seen.generation > rules.generation or seen.digest != rules.digest


def _decide_without_spec(experiment: Experiment, before: Status | None, status: Status, observation: Observation) -> Decision:
    """No spec was ever accepted by this process: what is served stays, but a kill is obeyed."""
    change = kill(experiment, status)
    after = status if change is None else move(status, change, steps=(), now=observation.now)
    after = describe_invalid(experiment, after, observation)
    after = number_rules(experiment, after, observation)
    return Decision(status=after, announcements=announce(before, after, change))


def _take_in(situation: Situation) -> Status:
    spec, observation, status = situation.spec, situation.observation, situation.status
    if not situation.experiment.killed:  # a kill needs no reading, and none may stand in its way
        status = _restart_after_outage(situation)
        # whom pods expose before they can read a step's rules is exposed by others
        is_unserved = status.exposures is None and rules_out(situation) is not None
        status = take_in_exposures(status, spec, () if is_unserved else observation.exposures)
        status = take_in(status, spec, observation.looks, now=observation.now)
    return take_in_pods(status, spec, observation.pods, now=observation.now)  # last: what was counted before the clock starts counts


def _without_future_clocks(status: Status, now: datetime) -> Status:
    """A clock that was set back must neither stretch a hold for ever nor keep a breach from counting."""
    clocks = {"attempt_started_at": status.attempt_started_at, "step_started_at": status.step_started_at}
    update: dict[str, object] = {field: now for field, value in clocks.items() if value is not None and value > now}
    if status.exposures is not None and status.exposures.counted_to > now:
        update["exposures"] = None  # counted anew from the step's start: rather too few than twice
    update["guardrails"] = tuple(known for known in status.guardrails if known.counted_to is None or known.counted_to <= now)
    if status.rules is not None and status.rules.rendered_at > now:
        update["rules"] = status.rules.model_copy(update={"rendered_at": now})
    return status.model_copy(update=update)


def _restart_after_outage(situation: Situation) -> Status:
    """Once pods obey the rules again (break-glass removed, entry repaired), the step's clock starts again.

    So does one that waited for pods which nobody waits for any more: an edit under way must not count that time as held.
    After break-glass evidence does too, for nobody knows why it was broken; an entry that was late changes nothing of what was seen.
    """
    status, rendered = situation.status, situation.status.condition("RulesRendered")
    outage = rendered.reason if rendered is not None and rendered.status == "False" else None
    had_to_wait = outage is not None or (status.next_step_at is None and not is_awaited(situation.spec, status))
    if not had_to_wait or situation.current_step is None or status.phase is not Phase.RAMPING:
        return status
    if outage == Reason.BREAK_GLASS and break_glass(situation) is None:
        status = status.model_copy(update={"guardrails": ()})
    return status if rules_out(situation) is not None else restart_clock(status, situation.now)


def _explain(situation: Situation, findings: tuple[Finding, ...]) -> Status:
    status = situation.status
    update = {
        "draw_digest": status.draw_digest or (_draw_digest(situation) if status.phase in STARTED else ""),
        "observed_generation": situation.experiment.generation,
        "spec_digest": _spec_in_force(situation),
        "waiting_for": findings[0].waiting_for if findings else None,
        "next_step_at": None
        if rules_out(situation) or is_awaited(situation.spec, status)
        else hold_ends(situation),  # its clock is to start
        "conditions": describe(situation, findings),
    }
    return status.model_copy(update=update)


def _spec_in_force(situation: Situation) -> str:
    """Name the version in force. An ended attempt has none that is new: a kill waits for nothing, and what comes next begins again."""
    status = situation.status
    if situation.experiment.problem is not None or status.phase in LATCHED:
        return status.spec_digest
    return spec_digest(situation.spec)


def _draw_digest(situation: Situation) -> str:
    return draw_digest(compile_draw(situation.spec, situation.experiment.salt))


def _recheck_at(situation: Situation, findings: tuple[Finding, ...]) -> datetime | None:
    schedule, ramps = situation.spec.schedule, situation.status.phase in RAMPS
    if ramps and not findings:
        return situation.now  # nothing holds the next step; this decision has already made its one transition
    times = [finding.until for finding in findings if finding.until is not None]
    if ramps and schedule is not None and schedule.deadline is not None:
        times.append(schedule.deadline)
    return min((moment for moment in times if moment > situation.now), default=None)
