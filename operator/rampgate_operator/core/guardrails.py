"""From the answers of Prometheus to a verdict, and from verdicts to evidence.

"No data" is a verdict, not an exception and not a pass. Knows answers and guardrails; must not know how either is fetched or what a
verdict does to the ramp (waiting.py and decide.py).
"""

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from rampgate_operator.core.counted import needed
from rampgate_operator.core.guardrail_spec import Breaches, Guardrail, OnBreach
from rampgate_operator.core.judgement import Judgement, failed, without_data, worst
from rampgate_operator.core.looks import Answer, Exposed, Failed, Increases, NoData, Running, Value
from rampgate_operator.core.measuring import measure
from rampgate_operator.core.observation import MOST_REMEMBERED, Look, digest
from rampgate_operator.core.quantities import timestamp
from rampgate_operator.core.remember import remember
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import GuardrailStatus, Phase, Status, Verdict
from rampgate_operator.core.status_fields import MESSAGE_LIMIT
from rampgate_operator.core.weigh import is_void, weigh

RECENT_LIMIT, RECENT_OF_COUNTED = 10, 2
"""Verdicts that are kept: for `breaches`, and of what is counted for readings that stay away."""
_WITHOUT_DATA = frozenset({Verdict.NO_DATA, Verdict.ERROR})
_NO_READING = _WITHOUT_DATA | {Verdict.NO_COMPARISON}
"""Nothing that was read: only after a reading is its absence something to roll back for."""


def guardrail_digest(guardrail: Guardrail, spec: Spec) -> str:
    """Identify a guardrail's definition: evidence for another one is void. What it *does* is no part of what it measures."""
    return _digest(guardrail.definition, needed(spec) if guardrail.is_counted else None)


@remember(characters=MOST_REMEMBERED)
def _digest(definition: str, bar: float | None) -> str:
    return digest(json.loads(definition) | ({} if bar is None else {"needed": bar}))


def look_known(status: Status, guardrail: Guardrail, spec: Spec) -> GuardrailStatus | None:
    """Give the last look at this guardrail as it is defined now."""
    known = status.guardrail(guardrail.name)
    return known if known is not None and known.digest == guardrail_digest(guardrail, spec) else None


def with_factor(guardrail: Guardrail, status: Status, spec: Spec) -> Guardrail | None:
    """Give a guardrail to weigh by, with its dispersion as a number; None while that is still to be measured."""
    if guardrail.measured_over is None:
        return guardrail
    wanted = (guardrail.name, guardrail_digest(guardrail, spec))
    measured = next((known for known in status.dispersions if (known.guardrail, known.digest) == wanted), None)
    return None if measured is None else guardrail.with_factor(measured.factor)


def blocking(spec: Spec) -> tuple[Guardrail, ...]:
    """Give the guardrails that may stop a ramp; `Notify` never blocks."""
    return tuple(guardrail for guardrail in spec.guardrails or () if guardrail.on_breach is not OnBreach.NOTIFY)


def judge(guardrail: Guardrail, answer: Answer, treatment: str) -> Judgement:
    """Give the verdict on one answer, by the guardrail's limits."""
    whose = f" of {treatment}" if treatment else ""
    match answer:
        case Failed():
            return failed(f"query{whose}", answer)
        case NoData(why=why):
            return without_data(f"{whose}: {why}")
        case Increases() | Exposed() | Running():
            return Judgement(verdict=Verdict.ERROR, message=f"query{whose} failed: counts where one number is needed")
        case Value(value=value, warnings=warnings) if warnings:
            told = judge(guardrail, Value(value), treatment)
            return replace(told, message=f"{told.message} (the source warns: {warnings[0]})")
        case Value(value=value) if not math.isfinite(value):  # a NaN is above no limit and below none: it must not pass for that
            return without_data(f"{whose}: {value} is no number to judge by")
        case Value(value=value) if guardrail.max is not None and value > guardrail.max:
            return Judgement(verdict=Verdict.BREACH, message=f"{value:.4g}{whose} is above max {guardrail.max:g}", value=value)
        case Value(value=value) if guardrail.min is not None and value < guardrail.min:
            return Judgement(verdict=Verdict.BREACH, message=f"{value:.4g}{whose} is below min {guardrail.min:g}", value=value)
        case Value(value=value):
            return Judgement(verdict=Verdict.PASS, message=f"{value:.4g}{whose} is within {_limits(guardrail)}", value=value)


def take_in(status: Status, spec: Spec, looks: Iterable[Look], *, now: datetime) -> Status:
    """Add new looks to the evidence; a changed guardrail starts again, a removed one is forgotten, a void or late look is ignored."""
    in_order = sorted((look for look in looks if look.attempt == status.attempt), key=lambda look: look.at)
    kept, marks = [], set()
    for guardrail in spec.guardrails or ():
        mark = guardrail_digest(guardrail, spec)
        marks.add((guardrail.name, mark))
        known = look_known(status, guardrail, spec) or _begin(guardrail, status, spec, now)
        for look in in_order:
            if (look.guardrail, look.digest) == (guardrail.name, mark) and _is_news(known, look, now):
                known, status = _add(known, guardrail, look, status=status, spec=spec), _measured(status, guardrail, look, spec)
        if known is not None:
            kept.append(known)
    dispersions = tuple(each for each in status.dispersions if (each.guardrail, each.digest) in marks)
    return status.model_copy(update={"guardrails": tuple(kept), "dispersions": dispersions})


def _begin(guardrail: Guardrail, status: Status, spec: Spec, now: datetime) -> GuardrailStatus | None:
    """Begin to count now for a guardrail that came or was changed under way: what made somebody change it is no evidence."""
    if not guardrail.is_counted or status.phase is not Phase.RAMPING or with_factor(guardrail, status, spec) is None:
        return None
    return GuardrailStatus(
        name=guardrail.name,
        digest=guardrail_digest(guardrail, spec),
        verdict=Verdict.NO_DATA,
        message="no data: counting begins now",
        looked_at=now,
        reads_from=now,
        counted_to=now,
    )


def any_breach(spec: Spec, looks: Iterable[Look], status: Status | None) -> bool:
    """Tell whether one of the looks may call for a rollback, so that it goes first; counts do so with the evidence of `status`."""
    by_name = {guardrail.name: guardrail for guardrail in spec.guardrails or ()}
    pairs = ((by_name.get(look.guardrail), look) for look in looks)
    return any(guardrail is not None and _may_breach(guardrail, look, status=status, spec=spec) for guardrail, look in pairs)


def is_broken(guardrail: Guardrail, known: GuardrailStatus) -> bool:
    """Tell whether so many of the last looks breached that the guardrail acts."""
    return recent_breaches(guardrail, known) >= breaches_of(guardrail).count


def breaches_of(guardrail: Guardrail) -> Breaches:
    """Say how many looks must breach: one, when nothing is said."""
    return guardrail.breaches or Breaches()


def recent_breaches(guardrail: Guardrail, known: GuardrailStatus) -> int:
    """Count the breaches among the last looks that `breaches.of` takes into account."""
    return known.recent[-breaches_of(guardrail).of :].count(Verdict.BREACH)


def _is_news(known: GuardrailStatus | None, look: Look, now: datetime) -> bool:
    """Tell whether a look is later than what is known; after a clock was set back, what is known may lie in the future."""
    return known is None or known.looked_at < look.at or look.at <= now < known.looked_at


def _may_breach(guardrail: Guardrail, look: Look, *, status: Status | None, spec: Spec) -> bool:
    if not guardrail.is_counted:
        return any(judge(guardrail, answer, "").verdict is Verdict.BREACH for answer in look.answers.values())
    known = look_known(status, guardrail, spec) if status else None
    added = _add(known, guardrail, look, status=status, spec=spec) if status else None
    return added is not None and added is not known and added.verdict is Verdict.BREACH


def _add(known: GuardrailStatus | None, guardrail: Guardrail, look: Look, *, status: Status, spec: Spec) -> GuardrailStatus | None:
    if not guardrail.is_counted:
        return _noted(known, look, _judge_look(guardrail, look, status.attempt_started_at))
    weighed = with_factor(guardrail, status, spec)
    if is_void(look, status, known) or look.measures != (weighed is None):
        return known
    if weighed is None:
        found = measure(guardrail, look, spec=spec, percent=status.percent)
        over = {"without_data_since": look.at} if found.measured else {}  # from now on it is treatments that data is missing of
        return _noted(known, look, found.judgement).model_copy(update={"counted_to": look.counted_to, **over})  # no evidence before that
    judgement, tally = weigh(weighed, look, known, status=status, spec=spec)
    noted = known if judgement is None else _noted(known, look, judgement)
    return noted and noted.model_copy(update={"counted_to": tally.counted_to, "evidence": tally.evidence})


def _measured(status: Status, guardrail: Guardrail, look: Look, spec: Spec) -> Status:
    """Add the factor that a look measured."""
    if not look.measures or is_void(look, status, None) or with_factor(guardrail, status, spec) is not None:
        return status
    measured = measure(guardrail, look, spec=spec, percent=status.percent).measured
    others = tuple(each for each in status.dispersions if each.guardrail != guardrail.name)
    return status if measured is None else status.model_copy(update={"dispersions": (*others, measured)})


def _noted(known: GuardrailStatus | None, look: Look, judgement: Judgement) -> GuardrailStatus:
    missing = judgement.verdict in _WITHOUT_DATA
    kept = RECENT_LIMIT if judgement.compared is None else RECENT_OF_COUNTED
    missing_since = min((known.without_data_since if known else None) or look.at, look.at)
    return GuardrailStatus(
        name=look.guardrail,
        digest=look.digest,
        verdict=judgement.verdict,
        message=judgement.message[:MESSAGE_LIMIT],
        value=judgement.value,
        **(vars(judgement.compared) if judgement.compared else {}),
        looked_at=look.at,
        reads_from=look.reads_from,
        last_data_at=(known.last_data_at if known else None) if judgement.verdict in _NO_READING else look.at,
        without_data_since=missing_since if missing else None,
        recent=(*(known.recent if known else ()), judgement.verdict)[-kept:],
    )


def _judge_look(guardrail: Guardrail, look: Look, attempt_started_at: datetime) -> Judgement:
    """Give the worst verdict of the treatments; a breach that may be older than the attempt is not held against it."""
    judgement = worst(judge(guardrail, answer, treatment) for treatment, answer in look.answers.items())
    if judgement.verdict is Verdict.BREACH and look.reads_from < attempt_started_at:
        reaches = f", but the reading goes back to {timestamp(look.reads_from)}, before this attempt began"
        return replace(judgement, verdict=Verdict.INCONCLUSIVE, message=judgement.message + reaches)
    return judgement


def _limits(guardrail: Guardrail) -> str:
    limits = (("min", guardrail.min), ("max", guardrail.max))
    return " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)
