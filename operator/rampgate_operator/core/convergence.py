"""Whether pods run the rules that they should: what a look at their generations says, and for how long one goes on looking.

After the end of an attempt a person wants to know that all obey it; a step whose `ramp.confirm` asks for it starts its clock by it.
Generations only rise, so a series that tells one proves it, however old the sample. Knows the answer to one look. Must not know how it was
asked.
"""

from datetime import datetime, timedelta

from rampgate_operator.core.looks import Failed, NoData, Running
from rampgate_operator.core.observation import PodsLook
from rampgate_operator.core.quantities import share
from rampgate_operator.core.ramp import LATCHED, restart_clock
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Phase, Rules, Status
from rampgate_operator.core.status_fields import MESSAGE_LIMIT

OFTEN, SELDOM, YOUNG = timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=1)
"""Between two looks: while the rules are young, and from then on."""
LONGEST_LOOKING = timedelta(minutes=10)
"""An ended attempt costs nothing after this, whether all pods obey it or not."""


def is_awaited(spec: Spec, status: Status) -> bool:
    """Tell whether a step's clock waits for pods."""
    return spec.ramp.confirm is not None and status.phase is Phase.RAMPING and status.step_confirmed_at is None


def look_at_pods_every(spec: Spec, status: Status, now: datetime) -> timedelta | None:
    """Say how often to look; None when there is nothing to find out."""
    rules = status.rules
    if rules is None:
        return None
    age = now - rules.rendered_at
    has_ended = status.phase in LATCHED and rules.converged_at is None and age < LONGEST_LOOKING
    if not has_ended and not is_awaited(spec, status):
        return None
    return OFTEN if age < YOUNG else SELDOM


def take_in_pods(status: Status, spec: Spec, look: PodsLook | None, *, now: datetime) -> Status:
    """Note how many run the rules, and start the clock that waited for them. A look at other rules than those in force is void."""
    rules = status.rules
    if rules is None:
        return status
    awaited = is_awaited(spec, status)
    if look is not None and look.generation == rules.generation and rules.converged_at is None and (awaited or status.phase in LATCHED):
        goal = spec.ramp.confirm.pods if awaited and spec.ramp.confirm is not None else "100%"
        rules = _counted(rules, look, goal=goal, now=now) if awaited or isinstance(look.answer, Running) else rules
        status = status.model_copy(update={"rules": rules})
    if awaited and rules.converged_at is not None:
        return restart_clock(status, now).model_copy(update={"step_confirmed_at": now})
    return status


def describe_pods(rules: Rules | None) -> str:
    """Say how many pods run the rules."""
    if rules is None or (rules.pods_seen is None and rules.pods_problem is None):
        return "they have not been looked at yet"
    if rules.pods_problem is not None:
        return rules.pods_problem.rstrip(".")
    behind = f"; not yet {', '.join(rules.pods_behind)}" if rules.pods_behind else ""
    return f"{rules.pods_on_generation} of {rules.pods_seen} do{behind}"


def _counted(rules: Rules, look: PodsLook, *, goal: str, now: datetime) -> Rules:
    match look.answer:
        case Running(seen=seen, on=on, behind=behind) if seen:
            is_enough = on * 100 >= round(share(goal) * 100) * seen
            found = {"pods_on_generation": on, "pods_seen": seen, "pods_behind": behind or None, "pods_problem": None}
            return rules.model_copy(update={**found, "converged_at": now if is_enough else None})
        case Failed(message=why) | NoData(why=why):
            return rules.model_copy(update={"pods_problem": why[:MESSAGE_LIMIT]})
        case _:
            return rules.model_copy(update={"pods_problem": "an answer to another question"})
