"""From evidence to a verdict: is a treatment worse than allowed, is it shown not to be, or can neither be told yet?

Knows evidence and a guardrail's limits. Must not know how counts are fetched or what a verdict does to the ramp.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from rampgate_operator.core.counted import EVENTS, TOTAL, Window, failure, impossible, more_events_than_total, needed, windows
from rampgate_operator.core.evidence import Weighing, add_all
from rampgate_operator.core.evidence_text import Test, describe
from rampgate_operator.core.exposures import LONGEST_QUIET, QUIET_INTERVALS
from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.judgement import Judgement, failed, without_data, worst
from rampgate_operator.core.limits import log_above
from rampgate_operator.core.looks import Exposed, Increases, NoData
from rampgate_operator.core.observation import Look
from rampgate_operator.core.quantities import duration
from rampgate_operator.core.sequential import log_mean
from rampgate_operator.core.spec import BASELINE, Spec
from rampgate_operator.core.status import Evidence, GuardrailStatus, Phase, Status, Verdict

LONGEST_SETTLING = timedelta(minutes=5)
"""An end of an attempt reaches every pod within this: the kubelet takes up to 90 s, and the metrics' scrapes and lookback come on top."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Where the evidence of one guardrail stands."""

    counted_to: datetime | None
    evidence: tuple[Evidence, ...]


def watermark(status: Status, known: GuardrailStatus | None) -> datetime | None:
    """Say from when on counts are still to be taken in: a step begins a new window. None while no step runs."""
    started = status.step_started_at
    if status.phase is not Phase.RAMPING or started is None:
        return None
    return started if known is None or known.counted_to is None else max(started, known.counted_to)


def is_void(look: Look, status: Status, known: GuardrailStatus | None) -> bool:
    """Tell whether a look counted something again, or comes when the attempt is over: then its breach stands as it is.

    What measures dispersion counts nothing, and looks further back.
    """
    since = watermark(status, known)
    return status.phase not in {Phase.PENDING, Phase.RAMPING} or (since is not None and look.reads_from < since and not look.measures)


def weigh(guardrail: Guardrail, look: Look, known: GuardrailStatus | None, *, status: Status, spec: Spec) -> tuple[Judgement | None, Tally]:
    """Take in one look. What could not be counted is counted by the next one; what was counted, never again.

    There is no judgement when the windows were quiet, as between two scrapes: what is known stays, and grows old.
    """
    stays = Tally(counted_to=known.counted_to if known else None, evidence=known.evidence if known else ())
    since, counted_to = watermark(status, known), look.counted_to
    trouble = failure(look.answers)
    if trouble is not None:
        return failed(f"counting {trouble[0]}", trouble[1]), stays
    if since is None or counted_to is None or status.step_started_at is None:
        return _no_comparison("before the first step there is nothing to compare"), stays
    counted, total = windows(guardrail, look.answers), look.answers[TOTAL]
    seen = total.processes if isinstance(total, Exposed) else 1.0
    processes = max(seen, *(each.processes for each in stays.evidence), 1.0)  # what was counted by many stays so when they are fewer
    weighing = Weighing(
        guardrail=guardrail.among(processes),
        processes=processes,
        spec=spec,
        started_at=status.step_started_at,
        percent=status.percent,
        highest_percent=_highest_percent(status),
        counted_to=counted_to,
        windows=counted,
        exposed_before=_exposed_before(status, look, counted),
    )
    if not weighing.has_comparison and guardrail.max is None:
        return _no_comparison("at 100 % with control at weight 0 nobody is left to compare with"), replace(stays, counted_to=counted_to)
    nonsense = next(filter(None, (impossible(window, spec.arms) for window in counted)), None)
    if nonsense is not None:
        return Judgement(verdict=Verdict.ERROR, message=nonsense), stays
    return _add_up(weighing, stays, _remarks(look, since, counted))


def _highest_percent(status: Status) -> float:
    """Give the highest percentage that some process may still go by: one of this attempt, or of the last minutes before it."""
    superseded = [*(each.at for each in status.history[1:]), datetime.max.replace(tzinfo=UTC)]
    since = status.attempt_started_at - LONGEST_SETTLING
    return max((each.percent for each, until in zip(status.history, superseded, strict=False) if until >= since), default=status.percent)


def _exposed_before(status: Status, look: Look, counted: tuple[Window, ...]) -> Mapping[str, float]:
    """Give the units that were exposed at this percentage before these windows: for evidence that begins when the step has begun long ago.

    What a unit guardrail counts and what the status counts comes in at its own time, so it may be a window too few.
    """
    exposures = status.exposures
    if exposures is None:
        return {}
    together = counted if exposures.counted_to > look.reads_from else ()
    brought = {each.variant: sum(window.totals.get(each.variant, 0.0) for window in together) for each in exposures.variants}
    return {each.variant: max(0.0, each.count - brought[each.variant]) for each in exposures.variants}


def _add_up(weighing: Weighing, before: Tally, remarks: list[str]) -> tuple[Judgement | None, Tally]:
    evidence = add_all(weighing, before.evidence)
    judgement = worst(_judge(weighing, evidence))
    tally = Tally(counted_to=weighing.counted_to, evidence=evidence)
    if evidence == before.evidence and judgement.verdict is not Verdict.NO_DATA:
        return None, tally
    return replace(judgement, message="; ".join([judgement.message, *remarks])), tally


def _remarks(look: Look, since: datetime, counted: tuple[Window, ...]) -> list[str]:
    skipped = look.reads_from - since
    remarks = [f"{skipped.total_seconds():.0f} s before were not counted"] if skipped >= timedelta(seconds=1) else []
    if any(window.totals and not window.is_settled for window in counted):  # one that nobody was scraped in tells nothing
        remarks.append("not every process has taken up the step's rules: until then nothing is shown to be safe")
    if isinstance(look.answers.get(EVENTS), NoData):
        remarks.append("there is no series of events yet")
    remarks += [
        f"the source warns: {answer.warnings[0]}" for answer in look.answers.values() if isinstance(answer, Increases) and answer.warnings
    ]
    return remarks[:2]


def _no_comparison(message: str) -> Judgement:
    return Judgement(verdict=Verdict.NO_COMPARISON, message=message)


def _judge(weighing: Weighing, evidence: tuple[Evidence, ...]) -> list[Judgement]:
    """Judge each treatment, the one with the most evidence first."""
    by_treatment = {each.name: [known for known in evidence if known.treatment == each.name] for each in weighing.spec.drawn_treatments}
    tests = {treatment: tests_of(weighing.guardrail, found, weighing.spec) for treatment, found in by_treatment.items()}
    names = sorted(tests, key=lambda name: -max((test.log_e for test in tests[name]), default=-math.inf))
    return [_judge_one(weighing, name, by_treatment[name], tests[name]) for name in names]


def tests_of(guardrail: Guardrail, evidence: list[Evidence], spec: Spec) -> list[Test]:
    """Give what the evidence of one treatment says to each of the guardrail's limits."""
    tests, bar, enough, cluster = [], needed(spec), 1 / spec.false_rollback_rate, guardrail.cluster
    if evidence and guardrail.max_increase is not None:
        harm = log_mean([each for known in evidence for each in known.log_e_values or ()])  # an average of e-values is one
        # safe only where every bound is; one that nobody ever passes shows nothing, and hides nothing
        safe = min(log_mean(known.log_safe_values or (0.0,)) for known in _with_events(evidence) or evidence)
        tests.append(Test(log_e=harm, log_safe=safe, needed=bar, enough=enough, max_increase=guardrail.max_increase, cluster=cluster))
    if evidence and guardrail.max is not None:
        # both, for the rate is what is tested: so many samples are worth one that is independent
        (only,) = evidence
        exposed = max(only.total, sum(step.treatment_total for step in only.steps)) if guardrail.is_per_unit else only.total
        harm = log_above(min(only.events, exposed) / cluster, exposed / cluster, limit=guardrail.max)
        kept = only.total - min(only.events, only.total)
        safe = log_above(kept / cluster, only.total / cluster, limit=1 - guardrail.max)
        tests.append(Test(log_e=harm, log_safe=safe, needed=bar, enough=enough, limit=guardrail.max, cluster=cluster))
    return tests


def _with_events(evidence: list[Evidence]) -> list[Evidence]:
    return [known for known in evidence if any(step.treatment_events or step.comparison_events for step in known.steps)]


def _judge_one(weighing: Weighing, treatment: str, evidence: list[Evidence], tests: list[Test]) -> Judgement:
    quiet = max(LONGEST_QUIET, QUIET_INTERVALS * duration(weighing.spec.interval))
    counted_to = max((known.counted_to for known in evidence), default=None)
    if counted_to is None or counted_to <= max(weighing.started_at, weighing.counted_to - quiet):
        return without_data(f": {_what_is_missing(weighing, treatment)}")
    nonsense = None if weighing.guardrail.is_per_unit else _nonsense(weighing, evidence)
    if nonsense is not None:
        return Judgement(verdict=Verdict.ERROR, message=nonsense)
    verdict = Verdict.INCONCLUSIVE
    if any(test.is_breach for test in tests):
        verdict = Verdict.BREACH
    elif all(test.is_safe for test in tests):
        verdict = Verdict.PASS
    message, numbers = describe(weighing.guardrail, evidence, tests, verdict=verdict)
    return Judgement(verdict=verdict, message=message, compared=numbers)


def _nonsense(weighing: Weighing, evidence: list[Evidence]) -> str | None:
    last = evidence[0].steps[-1]
    others = " and ".join(weighing.others)
    rose = [(evidence[0].treatment, last.treatment_events, last.treatment_total), (others, last.comparison_events, last.comparison_total)]
    return next(filter(None, (more_events_than_total(*each) for each in rose)), None)


def _what_is_missing(weighing: Weighing, treatment: str) -> str:
    what = "requests" if weighing.guardrail.is_per_unit else TOTAL
    counted = {arm for window in weighing.windows for arm in window.totals if arm in window.requests}
    if treatment not in counted:
        return f"{what} has no sample of {treatment}"
    if not counted & set(weighing.others):
        return f"{what} has no sample of {weighing.spec.control} or {BASELINE}"
    if not any(sum(window.requests.values()) for window in weighing.windows):
        return f"{what} rose in no variant: see that the application is in use, and scraped with the label `namespace`"
    is_quiet = not sum(window.requests.get(treatment, 0.0) for window in weighing.windows)
    return f"{what} of {treatment if is_quiet else ' and '.join(weighing.others)} did not rise"
