"""What a person reads: the conditions of an Experiment, by the conventions of metav1.Condition, and what is announced as an Event."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rampgate_operator.core.experiment import Experiment
from rampgate_operator.core.exposures import counts_exposures
from rampgate_operator.core.observation import Observation
from rampgate_operator.core.ramp import Change
from rampgate_operator.core.reasons import Reason, percent_text, say
from rampgate_operator.core.sample_ratio import describe_ratio, worst_ratio
from rampgate_operator.core.status import Condition, LatchCause, Phase, Status, Verdict, WaitingFor
from rampgate_operator.core.status_fields import MESSAGE_LIMIT
from rampgate_operator.core.waiting import (
    LAST_ACCEPTED,
    RAMPS,
    Finding,
    Situation,
    is_failing,
    metrics_missing,
    rules_behind,
    rules_out,
    sample_ratio_off,
)

VALID, RULES_RENDERED, GUARDRAILS_PASSING, PROGRESSING = "Valid", "RulesRendered", "GuardrailsPassing", "Progressing"
RESULTS_VALID, FLAGD_RENDERED, PODS_NUDGED = "ResultsValid", "FlagdRendered", "PodsNudged"
# waits that are part of a ramp that goes well
_EXPECTED = frozenset(
    {
        Reason.HOLD, Reason.SAMPLES, Reason.NOT_BEFORE, Reason.WINDOW, Reason.LOOK_DUE, Reason.NO_DATA_YET, Reason.READING_TOO_EARLY,
        Reason.MEASURING_DISPERSION, Reason.PODS,
    }
)  # fmt: skip
# reasons that call for a person when they come up; transitions are announced on their own
_ANNOUNCED = frozenset(
    {
        Reason.INVALID, Reason.BREAK_GLASS, Reason.FOREIGN_CONFIG_MAP, Reason.CONFIG_MAP_FULL, Reason.METRICS, Reason.GUARDRAIL,
        Reason.SAMPLE_RATIO, Reason.DEADLINE, Reason.APPROVAL, Reason.SHIP_REFUSED, Reason.CONFIG_MAP_IMMUTABLE, Reason.RULES_BEHIND,
        Reason.NOT_RENDERABLE, Reason.FOREIGN_FLAGD_CONFIG_MAP, Reason.FLAGD_BEHIND, Reason.NOT_SHOWN_SAFE,
        Reason.NUDGE_FORBIDDEN, Reason.PODS_BEHIND, Reason.STILL_KILLED,
    }
)  # fmt: skip
_ASKED = frozenset({Reason.APPROVAL, Reason.NOT_SHOWN_SAFE, Reason.STILL_KILLED})  # for a person's consent: nothing is wrong
_ALARMING = frozenset({Reason.KILLED, Reason.GUARDRAIL_BREACHED, Reason.READINGS_MISSING, Reason.DEADLINE_PASSED})


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """Something to tell people once the status is persisted."""

    reason: Reason
    message: str
    warning: bool
    is_transition: bool = False
    """Whether it is something that happened, not a state that may come and go."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A condition before it has a time."""

    type: str
    status: str
    reason: Reason
    message: str


def describe(situation: Situation, findings: Sequence[Finding]) -> tuple[Condition, ...]:
    """Give the conditions; `lastTransitionTime` moves only when a condition's status does."""
    judged = (_valid(situation), _rules_rendered(situation), _guardrails_passing(situation), _progressing(situation, findings))
    dated = (_dated(condition, situation.status, situation.experiment.generation, situation.now) for condition in judged)
    return (*dated, *_results_valid(situation), *_flagd_rendered(situation), *_pods_nudged(situation))


def describe_invalid(experiment: Experiment, status: Status, observation: Observation) -> Status:
    """Describe an Experiment of which no spec was ever accepted by this process: what is served is left as it is, unless it is over."""
    judged, waiting = [_judged(VALID, "False", Reason.INVALID, instead="and none was accepted before", problem=experiment.problem)], None
    if status.phase in RAMPS:
        waiting = WaitingFor.INVALID
    else:
        behind = rules_behind(experiment, status, observation)
        judged.append(_as_rendered(behind, experiment))
        waiting = behind.waiting_for if behind is not None else None
    dated = tuple(_dated(each, status, experiment.generation, observation.now) for each in judged)
    conditions = (*dated, *(known for known in status.conditions if known.type not in {each.type for each in judged}))
    return status.model_copy(update={"observed_generation": experiment.generation, "waiting_for": waiting, "conditions": conditions})


def announce(before: Status | None, after: Status, change: Change | None) -> tuple[Announcement, ...]:
    """Say what people should hear of: a transition, and each condition whose reason newly calls for a person."""
    said: dict[Reason, Announcement] = {}
    if before is None and after.history and after.history[0].reason == Reason.STATUS_REBUILT:
        said[Reason.STATUS_REBUILT] = Announcement(
            reason=Reason.STATUS_REBUILT, message=after.history[0].message, warning=True, is_transition=True
        )
    if change is not None:
        warning = change.reason in _ALARMING
        said[change.reason] = Announcement(reason=change.reason, message=change.message, warning=warning, is_transition=True)
    for condition in after.conditions:
        known = before.condition(condition.type) if before else None
        if condition.reason not in _ANNOUNCED or condition.reason in said:
            continue
        if known is None or known.reason != condition.reason:
            reason = Reason(condition.reason)
            said[reason] = Announcement(reason=reason, message=condition.message, warning=reason not in _ASKED)
    return tuple(said.values())


def _valid(situation: Situation) -> Judged:
    experiment, status = situation.experiment, situation.status
    if experiment.problem is not None:
        return _judged(VALID, "False", Reason.INVALID, instead=LAST_ACCEPTED, problem=experiment.problem)
    if experiment.attempt < status.attempt:
        facts = {"asked": experiment.attempt, "attempt": status.attempt, "needed": status.attempt + 1}
        return _judged(VALID, "True", Reason.ATTEMPT_TOO_LOW, **facts)
    if experiment.killed and experiment.attempt > status.attempt:
        return _judged(VALID, "True", Reason.STILL_KILLED, asked=experiment.attempt)
    for field, meant in (("ship", situation.spec.ship), ("approved", situation.spec.approved)):
        if meant is not None and meant.attempt != status.attempt:
            return _judged(VALID, "True", Reason.PARTLY_VOID, field=field, asked=meant.attempt, attempt=status.attempt)
    return _judged(VALID, "True", Reason.ACCEPTED)


def _rules_rendered(situation: Situation) -> Judged:
    return _as_rendered(rules_out(situation), situation.experiment)


def _as_rendered(finding: Finding | None, experiment: Experiment) -> Judged:
    if finding is not None:
        return Judged(type=RULES_RENDERED, status="False", reason=finding.reason, message=finding.message)
    return _judged(RULES_RENDERED, "True", Reason.RENDERED, config_map=experiment.config_map_name)


def _results_valid(situation: Situation) -> Iterator[Condition]:
    """Give the condition of what was counted in this attempt, also after its end; none where exposures are not counted."""
    status, spec = situation.status, situation.spec
    ratio, mismatch = worst_ratio(status.sample_ratios), sample_ratio_off(situation)
    if mismatch is not None:
        judged = Judged(type=RESULTS_VALID, status="False", reason=mismatch.reason, message=mismatch.message)
    elif ratio is not None:
        judged = _judged(RESULTS_VALID, "True", Reason.AS_DRAWN, ratio=describe_ratio(ratio, spec))
    elif counts_exposures(spec):
        problem = status.exposures.problem if status.exposures else None
        judged = _judged(RESULTS_VALID, "Unknown", Reason.NOT_COUNTED, problem=f" ({problem.rstrip('.')})" if problem else "")
    else:
        return
    yield _dated(judged, status, situation.experiment.generation, situation.now)


def _flagd_rendered(situation: Situation) -> Iterator[Condition]:
    """Give the condition of the flagd document; as it was while it is being written, none where none is rendered."""
    seen, status = situation.observation.flagd, situation.status
    if seen is not None and seen.reason is not None:
        said = "True" if seen.reason is Reason.RENDERED_FOR_FLAGD else "False"
        yield _dated(_judged(FLAGD_RENDERED, said, seen.reason, **seen.facts), status, situation.experiment.generation, situation.now)
    elif seen is not None:
        yield from _as_it_was(status, FLAGD_RENDERED)


def _pods_nudged(situation: Situation) -> Iterator[Condition]:
    """Give the condition that pods cannot be told of changes; as it was while that is not known, for a restart is no news.

    None while nothing is wrong, for most Experiments would say nothing new.
    """
    refused = situation.observation.nudge_refused
    if refused is not None:
        judged = _judged(PODS_NUDGED, "False", Reason.NUDGE_FORBIDDEN, config_map=refused.config_map, verb=refused.verb, why=refused.why)
        yield _dated(judged, situation.status, situation.experiment.generation, situation.now)
    elif not situation.observation.nudge_known:
        yield from _as_it_was(situation.status, PODS_NUDGED)


def _as_it_was(status: Status, kind: str) -> Iterator[Condition]:
    return (condition for condition in status.conditions if condition.type == kind)


def _guardrails_passing(situation: Situation) -> Judged:
    status, spec = situation.status, situation.spec
    if status.latch is not None and status.latch.cause is LatchCause.GUARDRAIL:
        return Judged(type=GUARDRAILS_PASSING, status="False", reason=Reason.GUARDRAIL_BREACHED, message=status.latch.message)
    if status.phase not in RAMPS:
        return _judged(GUARDRAILS_PASSING, "Unknown", Reason.NOT_LOOKING if status.latch else Reason.LOOKS_ENDED)
    if not spec.guardrails:
        return _judged(GUARDRAILS_PASSING, "True", Reason.NO_GUARDRAILS)
    looked_at = [(each, known) for each in spec.guardrails if (known := status.guardrail(each.name)) is not None]
    failing = next((known for each, known in looked_at if is_failing(each, known)), None)
    if failing is not None:
        return _judged(GUARDRAILS_PASSING, "False", Reason.GUARDRAIL, guardrail=failing.name, message=failing.message)
    missing = metrics_missing(situation)
    if missing is not None:
        return Judged(type=GUARDRAILS_PASSING, status="Unknown", reason=missing.reason, message=missing.message)
    for verdict, reason in ((Verdict.INCONCLUSIVE, Reason.INCONCLUSIVE), (Verdict.NO_COMPARISON, Reason.NO_COMPARISON)):
        undecided = next((known for _, known in looked_at if known.verdict is verdict), None)
        if undecided is not None:
            return _judged(GUARDRAILS_PASSING, "Unknown", reason, guardrail=undecided.name, message=undecided.message)
    return _judged(GUARDRAILS_PASSING, "True", Reason.PASSING)


def _progressing(situation: Situation, findings: Sequence[Finding]) -> Judged:
    status, spec = situation.status, situation.spec
    if status.latch is not None:
        if spec.ship is not None and spec.ship.attempt == status.attempt:
            return _judged(PROGRESSING, "False", Reason.SHIP_REFUSED, attempt=status.attempt, needed=status.attempt + 1)
        reason = Reason.KILLED if status.phase is Phase.KILLED else Reason.ROLLED_BACK
        return Judged(type=PROGRESSING, status="False", reason=reason, message=status.latch.message)
    if status.phase is Phase.SHIPPED:
        return _judged(PROGRESSING, "False", Reason.SHIPPED, variant=status.shipped)
    if status.phase is Phase.COMPLETED:
        return _judged(PROGRESSING, "False", Reason.COMPLETED, percent=percent_text(status.percent))
    if not findings:
        return _judged(PROGRESSING, "True", Reason.READY)
    first = findings[0]
    expected = "True" if first.reason in _EXPECTED else "False"
    message = " Besides: ".join(finding.message for finding in findings[:2]) if first.reason is Reason.APPROVAL else first.message
    return Judged(type=PROGRESSING, status=expected, reason=first.reason, message=message)


def _judged(kind: str, status: str, reason: Reason, **facts: object) -> Judged:
    return Judged(type=kind, status=status, reason=reason, message=say(reason, **facts))


def _dated(judged: Judged, status: Status, generation: int, now: datetime) -> Condition:
    known = status.condition(judged.type)
    kept = known is not None and known.status == judged.status
    return Condition(
        type=judged.type,
        status=judged.status,
        reason=judged.reason.value,
        message=judged.message[:MESSAGE_LIMIT],
        last_transition_time=known.last_transition_time if known is not None and kept else now,
        observed_generation=generation,
    )
