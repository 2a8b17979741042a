"""When a status is worth a write: what a person or a restart would miss, not every look (design §8)."""

from datetime import datetime, timedelta

from rampgate_operator.core.counted import needed
from rampgate_operator.core.evidence_text import interval
from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.guardrails import with_factor
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import GuardrailStatus, Rules, Status

LONGEST_SILENCE = timedelta(minutes=5)
"""Looks are persisted at least this often while they come in."""


def must_persist(persisted: Status | None, decided: Status) -> bool:
    """Tell whether the decided status differs in more than its readings, or its readings were last persisted long ago."""
    if persisted is None or _outline(persisted) != _outline(decided):
        return True
    return _last_reading(decided) - _last_reading(persisted) >= LONGEST_SILENCE


def for_people(status: Status, spec: Spec | None) -> Status:
    """Add to a status that is about to be written what is there to be read alone: the interval of each guardrail that counts."""
    if spec is None:
        return status
    guardrails = {guardrail.name: guardrail for guardrail in spec.guardrails or ()}
    known = tuple(_with_interval(each, guardrails.get(each.name), status, spec) for each in status.guardrails)
    return status.model_copy(update={"guardrails": known})


def _with_interval(known: GuardrailStatus, guardrail: Guardrail | None, status: Status, spec: Spec) -> GuardrailStatus:
    weighed = guardrail and with_factor(guardrail, status, spec)
    if known.interval or weighed is None:
        return known
    weighed = weighed.among(max((each.processes for each in known.evidence), default=1.0))
    return known.model_copy(update={"interval": interval(weighed, known.evidence, needed=needed(spec))})


def _outline(status: Status) -> Status:
    return status.model_copy(
        update={
            "guardrails": tuple((known.name, known.digest, known.verdict) for known in status.guardrails),
            "conditions": tuple((known.type, known.status, known.reason) for known in status.conditions),
            "exposures": status.exposures.problem if status.exposures else None,
            "sample_ratios": (),  # what they come to is a condition
            "rules": _outline_of(status.rules),
        }
    )


def _outline_of(rules: Rules | None) -> Rules | None:
    """How many pods run the rules is worth a write, and that they cannot be counted; which are behind changes with every look."""
    if rules is None:
        return None
    return rules.model_copy(update={"pods_behind": None, "pods_problem": "some" if rules.pods_problem else None})


def _last_reading(status: Status) -> datetime:
    times = [known.looked_at for known in status.guardrails]
    times += [status.exposures.counted_to] if status.exposures else []
    return max(times, default=status.attempt_started_at)
