"""From exact counts of both arms to evidence, look by look, and from evidence to a verdict.

A look counts a window `(reads_from, counted_to]` that no other look of its evidence overlaps. What it brought to a treatment and to the
comparison, control and baseline together, is one batch; evidence is multiplied over the batches of an attempt, never pooled over steps.
Knows counts, and where the evidence of one guardrail stands. Must not know how counts are fetched or what a verdict does to the ramp.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rampgate_operator.core.evidence_text import describe
from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.judgement import Judgement, failed, without_data, worst
from rampgate_operator.core.looks import Answer, Failed, Increases
from rampgate_operator.core.observation import Look
from rampgate_operator.core.quantities import duration, share
from rampgate_operator.core.sequential import NO_EVIDENCE, Batch, add_harm, log_mean
from rampgate_operator.core.spec import BASELINE, Spec
from rampgate_operator.core.status import Evidence, GuardrailStatus, Phase, Status, StepCounts, Verdict

EVENTS, TOTAL = "events", "total"
MOST_STEPS = 20
LONGEST_QUIET, QUIET_INTERVALS = timedelta(minutes=2), 2
"""A window without requests of both arms, or between two scrapes, is no news for this long (the longer one); then it is no data."""
_DECIMALS = 1e6
_ROUNDING = 1e-9
"""Counts are sums of floating-point numbers."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Where the evidence of one guardrail stands."""

    counted_to: datetime | None
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """What the evidence of one look is made of."""

    spec: Spec
    limit: float
    """The ratio that treatment's rate may have to the comparison's."""
    started_at: datetime
    """When the step began."""
    counted_to: datetime
    totals: Mapping[str, float]
    events: Mapping[str, float]


def needed(spec: Spec) -> float:
    """Give the e-value of a breach: the false rollback rate is shared evenly (Bonferroni) by guardrails with counters and treatments."""
    tests = sum(guardrail.counters is not None for guardrail in spec.guardrails or ()) * len(spec.drawn_treatments)
    return tests / spec.false_rollback_rate


def watermark(status: Status, known: GuardrailStatus | None) -> datetime | None:
    """Say from when on counts are still to be taken in: a step begins a new window. None while no step runs."""
    started = status.step_started_at
    if status.phase is not Phase.RAMPING or started is None:
        return None
    return started if known is None or known.counted_to is None else max(started, known.counted_to)


def is_void(look: Look, status: Status, known: GuardrailStatus | None) -> bool:
    """Tell whether a look counted something again, or comes when the attempt is over: then its breach stands as it is."""
    since = watermark(status, known)
    return status.phase not in {Phase.PENDING, Phase.RAMPING} or (since is not None and look.reads_from < since)


def weigh(guardrail: Guardrail, look: Look, known: GuardrailStatus | None, *, status: Status, spec: Spec) -> tuple[Judgement | None, Tally]:
    """Take in one look. What could not be counted is counted by the next one; what was counted, never again.

    There is no judgement when the window was quiet, as between two scrapes: what is known stays, and grows old.
    """
    stays = Tally(counted_to=known.counted_to if known else None, evidence=known.evidence if known else ())
    since, counted_to = watermark(status, known), look.counted_to
    trouble = _trouble(look.answers)
    if trouble is not None:
        return trouble, stays
    if since is None or counted_to is None or status.step_started_at is None:
        return _no_comparison("no step has begun: there is nothing to compare yet"), stays
    if status.percent == 100 and spec.control not in spec.arms:
        return _no_comparison("at 100 % with control at weight 0 nobody is left to compare with"), replace(stays, counted_to=counted_to)
    weighing = Weighing(
        spec=spec,
        limit=1 + share(guardrail.max_increase or "0%"),
        started_at=status.step_started_at,
        counted_to=counted_to,
        totals=_counts(look.answers[TOTAL]),
        events=_counts(look.answers[EVENTS]),
    )
    impossible = _impossible(weighing)
    return (impossible, stays) if impossible is not None else _add_up(weighing, stays, _remarks(look, since))


def _add_up(weighing: Weighing, before: Tally, remarks: list[str]) -> tuple[Judgement | None, Tally]:
    evidence = tuple(_add_all(weighing, before.evidence))
    judgement = worst(_judge(weighing, evidence))
    tally = Tally(counted_to=weighing.counted_to, evidence=evidence)
    if evidence == before.evidence and judgement.verdict is not Verdict.NO_DATA:
        return None, tally
    return replace(judgement, message="; ".join([judgement.message, *remarks])), tally


def _remarks(look: Look, since: datetime) -> list[str]:
    skipped = look.reads_from - since
    remarks = [f"{skipped.total_seconds():.0f} s before were not counted"] if skipped >= timedelta(seconds=1) else []
    remarks += [
        f"the source warns: {answer.warnings[0]}" for answer in look.answers.values() if isinstance(answer, Increases) and answer.warnings
    ]
    return remarks[:2]


def _trouble(answers: Mapping[str, Answer]) -> Judgement | None:
    for name, answer in answers.items():
        if isinstance(answer, Failed):
            return failed(f"counting {name}", answer)
    return None


def _no_comparison(message: str) -> Judgement:
    return Judgement(verdict=Verdict.NO_COMPARISON, message=message)


def _counts(answer: Answer) -> Mapping[str, float]:
    return answer.by_variant if isinstance(answer, Increases) else {}


def _impossible(weighing: Weighing) -> Judgement | None:
    """Events that are no part of the total make nonsense of any rate."""
    for arm in weighing.spec.arms:
        total, events = weighing.totals.get(arm, 0.0), weighing.events.get(arm, 0.0)
        for rose in (total, events):
            if not 0 <= rose < math.inf:
                return Judgement(verdict=Verdict.ERROR, message=f"a counter of {arm} rose by {rose:g}: no counter does")
        if events > total * (1 + _ROUNDING):
            both = f"events of {arm} rose by {events:g}, and total by {total:g}"
            return Judgement(verdict=Verdict.ERROR, message=f"{both}: what is counted as events must be counted in total as well")
    return None


def _batch(weighing: Weighing, treatment: str) -> Batch | None:
    """Give what the window brought; None when the total of an arm is missing, which is something else than 0."""
    totals, events = weighing.totals, weighing.events
    others = [arm for arm in (weighing.spec.control, BASELINE) if arm in totals and arm in weighing.spec.arms]
    if treatment not in totals or not others:
        return None
    return Batch(
        totals[treatment],
        events.get(treatment, 0.0),
        sum(totals[arm] for arm in others),
        sum(events.get(arm, 0.0) for arm in others),
    )


def _add_all(weighing: Weighing, before: tuple[Evidence, ...]) -> list[Evidence]:
    known = {evidence.treatment: evidence for evidence in before}
    for treatment in weighing.spec.drawn_treatments:
        batch = _batch(weighing, treatment.name)
        if batch is not None and batch.is_comparable:
            known[treatment.name] = _add(known.get(treatment.name), batch, treatment.name, weighing)
    return list(known.values())


def _add(before: Evidence | None, batch: Batch, treatment: str, weighing: Weighing) -> Evidence:
    """Multiply by one more batch. Rounded down, so that it stays evidence: never more than the exact one."""
    logs = add_harm(before.log_e_values if before else NO_EVIDENCE, batch, limit=weighing.limit)
    return Evidence(
        treatment=treatment,
        log_e_values=tuple(math.floor(each * _DECIMALS) / _DECIMALS for each in logs),
        looks=(before.looks if before else 0) + 1,
        counted_to=weighing.counted_to,
        steps=_add_to_step(before.steps if before else (), batch, weighing.started_at),
    )


def _add_to_step(steps: tuple[StepCounts, ...], batch: Batch, started_at: datetime) -> tuple[StepCounts, ...]:
    same = bool(steps) and steps[-1].started_at == started_at
    last = steps[-1] if same else None
    counts = StepCounts(
        started_at=started_at,
        treatment_total=batch.treatment_total + (last.treatment_total if last else 0),
        treatment_events=batch.treatment_events + (last.treatment_events if last else 0),
        comparison_total=batch.control_total + (last.comparison_total if last else 0),
        comparison_events=batch.control_events + (last.comparison_events if last else 0),
    )
    return (*(steps[:-1] if same else steps), counts)[-MOST_STEPS:]


def _judge(weighing: Weighing, evidence: tuple[Evidence, ...]) -> list[Judgement]:
    """Judge each treatment, the one with the most evidence first."""
    known = {each.treatment: each for each in evidence}
    names = sorted((each.name for each in weighing.spec.drawn_treatments), key=lambda name: -_log_e(known.get(name)))
    return [_judge_one(weighing, name, known.get(name)) for name in names]


def _log_e(evidence: Evidence | None) -> float:
    return log_mean(evidence.log_e_values) if evidence else -math.inf


def _judge_one(weighing: Weighing, treatment: str, evidence: Evidence | None) -> Judgement:
    quiet = max(LONGEST_QUIET, QUIET_INTERVALS * duration(weighing.spec.interval))
    if evidence is None or evidence.counted_to <= max(weighing.started_at, weighing.counted_to - quiet):
        return without_data(f": {_what_is_missing(weighing, treatment)}")
    log_e, bound = _log_e(evidence), needed(weighing.spec)
    is_breach = log_e >= math.log(bound)
    message, compared = describe(evidence, log_e=log_e, needed=bound, is_breach=is_breach)
    return Judgement(verdict=Verdict.BREACH if is_breach else Verdict.PASS, message=message, compared=compared)


def _what_is_missing(weighing: Weighing, treatment: str) -> str:
    if treatment not in weighing.totals:
        return f"total has no sample of {treatment}"
    if _batch(weighing, treatment) is None:
        return f"total has no sample of {weighing.spec.control} or {BASELINE}"
    whose = treatment if not weighing.totals[treatment] else f"{weighing.spec.control} and {BASELINE}"
    return f"total of {whose} did not rise"
