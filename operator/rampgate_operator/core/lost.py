"""A status that is not there: begin, or rebuild it from the gate's entry, never higher than what is served (design §4, "Lost status")."""

from datetime import datetime

from rampgate.rules import parse_entry
from rampgate_operator.core.compile import compile_draw, draw_digest
from rampgate_operator.core.experiment import Experiment
from rampgate_operator.core.observation import Entry, Observation
from rampgate_operator.core.quantities import basis_points
from rampgate_operator.core.ramp import highest_step, start_step
from rampgate_operator.core.reasons import Reason, percent_text, say
from rampgate_operator.core.status import Latch, LatchCause, Phase, Rules, Status, Transition


def restore(experiment: Experiment, observation: Observation) -> Status:
    """Give the status to start from: as the entry says, or Pending at 0 % when there is no entry either."""
    now, entry = observation.now, observation.rules.entry
    if entry is None:
        return Status(attempt=experiment.attempt, attempt_started_at=now)
    rules = Rules(generation=entry.generation, digest=entry.digest, rendered_at=now)
    known = Status(attempt=entry.content["attempt"], attempt_started_at=now, rules=rules)
    rebuilt = _ended(known, entry, now) or _running(known, experiment, entry, now)
    message = say(Reason.STATUS_REBUILT, phase=rebuilt.phase, percent=percent_text(rebuilt.percent))
    note = Transition(at=now, from_=Phase.PENDING, to=rebuilt.phase, percent=rebuilt.percent, reason=Reason.STATUS_REBUILT, message=message)
    return rebuilt.model_copy(update={"history": (note,)})


def _ended(known: Status, entry: Entry, now: datetime) -> Status | None:
    if not {"latch", "serve"} & entry.content.keys():
        return None
    cause = LatchCause(str(entry.content.get("latch")))
    message = say(Reason.ROLLED_BACK, attempt=known.attempt, needed=known.attempt + 1)
    latch = Latch(attempt=known.attempt, at=now, cause=cause, from_percent=0.0, message=message)
    phase = Phase.KILLED if cause is LatchCause.KILL else Phase.ROLLED_BACK
    return known.model_copy(update={"phase": phase, "latch": latch})


def _running(known: Status, experiment: Experiment, entry: Entry, now: datetime) -> Status:
    spec, drawn, rule = experiment.spec, draw_digest(entry.content), parse_entry(entry.line).rule
    if rule is None or (spec is not None and draw_digest(compile_draw(spec, experiment.salt)) != drawn):
        return known  # pods serve control, or the entry's percentage means other people
    if rule.ship is not None:
        shipped = {"phase": Phase.SHIPPED, "shipped": rule.ship, "percent": 100.0, "draw_digest": drawn}
        return known.model_copy(update=shipped)
    percent = basis_points(entry.content["percent"]) / 100
    if spec is None:  # nothing is known of steps: what is served stays, and finds its step once a spec is accepted
        return known.model_copy(update={"phase": Phase.RAMPING, "percent": percent, "draw_digest": drawn}) if percent else known
    step = highest_step(spec.ramp.steps, percent)
    return known if step < 0 else start_step(known, step, steps=spec.ramp.steps, now=now)
