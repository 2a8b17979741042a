"""A status that is not there: begin, or rebuild it from the gate's entry, never higher than what is served (design §4, "Lost status")."""

from datetime import datetime

from rampgate_operator.core.compile import ASSIGNMENT_FIELDS, compile_content, digest
from rampgate_operator.core.experiment import Experiment
from rampgate_operator.core.observation import Entry, Observation
from rampgate_operator.core.ramp import highest_step, start_step
from rampgate_operator.core.reasons import Reason, percent_text, say
from rampgate_operator.core.status import Latch, LatchCause, Phase, Rules, Status, Transition


def restore(experiment: Experiment, observation: Observation) -> Status:
    """Give the status to start from: as the entry says, or Pending at 0 % when there is no entry either."""
    now, entry = observation.now, observation.rules.entry
    if entry is None:
        return Status(attempt=experiment.attempt, attempt_started_at=now)
    rules = Rules(generation=entry.generation, digest=digest(entry.content), rendered_at=now)
    known = Status(attempt=entry.content["attempt"], attempt_started_at=now, rules=rules)
    rebuilt = _ended(known, entry, now) or _shipped(known, experiment, entry) or _ramping(known, experiment, entry, now)
    message = say(Reason.STATUS_REBUILT, phase=rebuilt.phase, percent=percent_text(rebuilt.percent))
    note = Transition(at=now, from_=Phase.PENDING, to=rebuilt.phase, percent=rebuilt.percent, reason=Reason.STATUS_REBUILT, message=message)
    return rebuilt.model_copy(update={"history": (note,)})


def _ended(known: Status, entry: Entry, now: datetime) -> Status | None:
    if not {"latch", "serve"} & entry.content.keys():
        return None
    causes: dict[object, LatchCause] = {cause.value: cause for cause in LatchCause}
    cause = causes.get(entry.content.get("latch"), LatchCause.GUARDRAIL)  # a newer operator's word ends an attempt all the same
    message = say(Reason.ROLLED_BACK, attempt=known.attempt, needed=known.attempt + 1)
    latch = Latch(attempt=known.attempt, at=now, cause=cause, from_percent=0.0, message=message)
    phase = Phase.KILLED if cause is LatchCause.KILL else Phase.ROLLED_BACK
    return known.model_copy(update={"phase": phase, "latch": latch})


def _shipped(known: Status, experiment: Experiment, entry: Entry) -> Status | None:
    if "ship" not in entry.content:
        return None
    variant, spec = entry.content["ship"], experiment.spec
    if spec is None or variant not in spec.variant_names or not _draws_alike(known, experiment, entry):
        return known
    return known.model_copy(update={"phase": Phase.SHIPPED, "shipped": variant, "percent": 100.0})


def _ramping(known: Status, experiment: Experiment, entry: Entry, now: datetime) -> Status:
    if experiment.spec is None or not _draws_alike(known, experiment, entry):
        return known
    steps = experiment.spec.ramp.steps
    step = highest_step(steps, entry.content["percent"])
    return known if step < 0 else start_step(known, step, steps=steps, now=now)


def _draws_alike(known: Status, experiment: Experiment, entry: Entry) -> bool:
    """Tell whether the spec would draw the units as the entry does; otherwise its percentage means other people."""
    wanted = compile_content(experiment, known, entry) or {}
    return all(wanted.get(field) == entry.content.get(field) for field in ASSIGNMENT_FIELDS)
