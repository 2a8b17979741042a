"""What moves an attempt: an ordered tuple of small questions, each giving the change it calls for, or nothing.

The order is the precedence of design §4: kill > new attempt > latch > ship > breach > deadline > (edited steps) > pause > step.
"""

from collections.abc import Callable

from rampgate_operator.core.experiment import Experiment
from rampgate_operator.core.guardrail_spec import Guardrail, OnBreach, OnMissing
from rampgate_operator.core.guardrails import is_broken
from rampgate_operator.core.quantities import duration, timestamp
from rampgate_operator.core.ramp import Change, Trigger, highest_step, is_allowed, steps_digest
from rampgate_operator.core.reasons import Reason, percent_text, say
from rampgate_operator.core.spec import OnDeadline
from rampgate_operator.core.status import GuardrailStatus, Phase, Status, Verdict
from rampgate_operator.core.waiting import RAMPS, Situation, break_glass, find_all

MISSING_INTERVALS = 2
"""Readings may be away for this many intervals before `onNoData` or `onError: Rollback` acts."""


def first_change(situation: Situation) -> Change | None:
    """Give the first change that is called for and that the table of ramp.py allows."""
    changes = (trigger(situation) for trigger in TRIGGERS)
    return next((change for change in changes if change is not None and is_allowed(situation.status.phase, change.trigger)), None)


def kill(experiment: Experiment, status: Status) -> Change | None:
    """A person wants everybody on control; needs no spec that can be understood."""
    if not experiment.killed or not is_allowed(status.phase, Trigger.KILL):
        return None
    message = say(Reason.KILLED, percent=percent_text(status.percent), needed=status.attempt + 1)
    return Change(trigger=Trigger.KILL, reason=Reason.KILLED, message=message, by=experiment.managers.get("killed"))


def killed(situation: Situation) -> Change | None:
    """A person wants everybody on control."""
    return kill(situation.experiment, situation.status)


def new_attempt(situation: Situation) -> Change | None:
    """A person raised `attempt`: back to 0 %, and the latch is gone. Never while `killed` is set or the newest spec cannot be run."""
    attempt, experiment = situation.spec.attempt, situation.experiment
    if experiment.killed or experiment.problem is not None or attempt <= situation.status.attempt:
        return None
    message = say(Reason.ATTEMPT_STARTED, attempt=attempt)
    by = experiment.managers.get("attempt")
    return Change(trigger=Trigger.NEW_ATTEMPT, reason=Reason.ATTEMPT_STARTED, message=message, attempt=attempt, by=by)


def shipped(situation: Situation) -> Change | None:
    """A person decided for a variant, for this attempt."""
    ship, status = situation.spec.ship, situation.status
    if ship is None or ship.attempt != status.attempt or status.shipped == ship.variant:
        return None
    message = say(Reason.SHIPPED, variant=ship.variant)
    by = situation.experiment.managers.get("ship")
    return Change(trigger=Trigger.SHIP, reason=Reason.SHIPPED, message=message, variant=ship.variant, by=by)


def breached(situation: Situation) -> Change | None:
    """A guardrail with `onBreach: Rollback` is broken."""
    for guardrail, known in _looked_at(situation):
        if guardrail.on_breach is OnBreach.ROLLBACK and is_broken(guardrail, known):
            return _rollback(situation, Trigger.BREACH, Reason.GUARDRAIL_BREACHED, guardrail.name, message=known.message)
    return None


def readings_missing(situation: Situation) -> Change | None:
    """A guardrail that was told to roll back without readings has had none for two intervals, and had some in this attempt."""
    if break_glass(situation) is not None:
        return None
    patience = MISSING_INTERVALS * duration(situation.spec.interval)
    for guardrail, known in _looked_at(situation):
        since = known.without_data_since
        if known.last_data_at and since and known.looked_at - since >= patience and _calls_for_rollback(guardrail, known):
            facts = {"message": known.message, "since": timestamp(known.last_data_at)}
            return _rollback(situation, Trigger.READINGS_MISSING, Reason.READINGS_MISSING, guardrail.name, **facts)
    return None


def deadline_passed(situation: Situation) -> Change | None:
    """The deadline has passed and was told to roll back; one that was past when the attempt began only holds."""
    schedule, status = situation.spec.schedule, situation.status
    if schedule is None or schedule.deadline is None or schedule.on_deadline is not OnDeadline.ROLLBACK:
        return None
    if not status.attempt_started_at < schedule.deadline <= situation.now:
        return None
    return _rollback(situation, Trigger.DEADLINE, Reason.DEADLINE_PASSED, None, deadline=timestamp(schedule.deadline))


def steps_changed(situation: Situation) -> Change | None:
    """The steps were edited under way: the highest one that raises nothing is served, and its clock starts."""
    status = situation.status
    if status.phase is not Phase.RAMPING or status.steps_digest == steps_digest(situation.steps):
        return None
    step = highest_step(situation.steps, status.percent)
    percent = situation.steps[step].percent if step >= 0 else 0
    return Change(
        trigger=Trigger.STEPS_CHANGED if step >= 0 else Trigger.STEPS_ALL_HIGHER,
        reason=Reason.STEPS_CHANGED,
        message=say(Reason.STEPS_CHANGED, percent=percent_text(percent)),
        step=step,
        by=situation.experiment.managers.get("ramp"),
    )


def step_due(situation: Situation) -> Change | None:
    """Nothing holds the ramp: the next step begins, or the last one's bake is over."""
    if situation.status.phase not in RAMPS or find_all(situation):
        return None
    before, step = percent_text(situation.status.percent), situation.next_step
    if step is None:
        return Change(trigger=Trigger.COMPLETE, reason=Reason.COMPLETED, message=say(Reason.COMPLETED, percent=before))
    message = say(Reason.STEPPED, before=before, percent=percent_text(step.percent))
    by = situation.experiment.managers.get("approved") if step.approval else None
    return Change(trigger=Trigger.STEP, reason=Reason.STEPPED, message=message, step=situation.status.step + 1, by=by)


TRIGGERS: tuple[Callable[[Situation], Change | None], ...] = (
    killed,
    new_attempt,
    shipped,
    breached,
    readings_missing,
    deadline_passed,
    steps_changed,
    step_due,
)


def _looked_at(situation: Situation) -> list[tuple[Guardrail, GuardrailStatus]]:
    pairs = ((guardrail, situation.status.guardrail(guardrail.name)) for guardrail in situation.spec.guardrails or ())
    return [(guardrail, known) for guardrail, known in pairs if known is not None]


def _calls_for_rollback(guardrail: Guardrail, known: GuardrailStatus) -> bool:
    """Tell whether the last looks all failed in a way that was told to roll back: one error after hours without data is no outage."""
    policies = {Verdict.NO_DATA: guardrail.on_no_data, Verdict.ERROR: guardrail.on_error}
    return all(policies.get(verdict) is OnMissing.ROLLBACK for verdict in known.recent[-MISSING_INTERVALS:])


def _rollback(situation: Situation, trigger: Trigger, reason: Reason, guardrail: str | None, **facts: object) -> Change:
    status = situation.status
    message = say(reason, percent=percent_text(status.percent), needed=status.attempt + 1, guardrail=guardrail, **facts)
    return Change(trigger=trigger, reason=reason, message=message, guardrail=guardrail)
