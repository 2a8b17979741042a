"""From evidence to a verdict: is a treatment worse than allowed, is it shown not to be, or can neither be told yet?

Knows evidence and a guardrail's limits. Must not know how counts are fetched or what a verdict does to the ramp.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rampgate_operator.core.counted import TOTAL, Window, failure, impossible, is_per_unit, needed, windows
from rampgate_operator.core.evidence import Weighing, add_all
from rampgate_operator.core.evidence_text import Test, describe
from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.judgement import Judgement, failed, without_data, worst
from rampgate_operator.core.limits import log_above
from rampgate_operator.core.looks import Increases
from rampgate_operator.core.observation import Look
from rampgate_operator.core.quantities import duration
from rampgate_operator.core.sequential import log_mean
from rampgate_operator.core.spec import BASELINE, Spec
from rampgate_operator.core.status import Evidence, GuardrailStatus, Phase, Status, Verdict

LONGEST_QUIET, QUIET_INTERVALS = timedelta(minutes=2), 2
"""A window without requests of both arms, or between two scrapes, is no news for this long (the longer one); then it is no data."""


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
        return _no_comparison("no step has begun: there is nothing to compare yet"), stays
    counted = windows(guardrail, look.answers)
    weighing = Weighing(
        guardrail=guardrail,
        spec=spec,
        started_at=status.step_started_at,
        percent=status.percent,
        counted_to=counted_to,
        windows=counted,
        exposed_before=_exposed_before(status, counted) if look.reads_from > status.step_started_at else {},
    )
    if not weighing.has_comparison and guardrail.max is None:
        return _no_comparison("at 100 % with control at weight 0 nobody is left to compare with"), replace(stays, counted_to=counted_to)
    nonsense = next(filter(None, (impossible(guardrail, window, spec.arms) for window in counted)), None)
    if nonsense is not None:
        return Judgement(verdict=Verdict.ERROR, message=nonsense), stays
    return _add_up(weighing, stays, _remarks(look, since))


def _exposed_before(status: Status, counted: tuple[Window, ...]) -> Mapping[str, float]:
    """Give the units that the step had exposed before these windows, as far as that was counted for `minExposures`."""
    exposures = status.exposures
    seen = {each.variant: float(each.count) for each in exposures.variants} if exposures else {}
    return {arm: max(0.0, count - sum(window.totals.get(arm, 0.0) for window in counted)) for arm, count in seen.items()}


def _add_up(weighing: Weighing, before: Tally, remarks: list[str]) -> tuple[Judgement | None, Tally]:
    evidence = add_all(weighing, before.evidence)
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
        safe = min(log_mean(known.log_safe_values or (0.0,)) for known in evidence)  # safe only where every bound is
        tests.append(Test(log_e=harm, log_safe=safe, needed=bar, enough=enough, max_increase=guardrail.max_increase, cluster=cluster))
    if evidence and guardrail.max is not None:
        # both, for the rate is what is tested: so many samples are worth one that is independent
        total, events = evidence[0].total / cluster, min(evidence[0].events, evidence[0].total) / cluster
        harm, safe = log_above(events, total, limit=guardrail.max), log_above(total - events, total, limit=1 - guardrail.max)
        tests.append(Test(log_e=harm, log_safe=safe, needed=bar, enough=enough, limit=guardrail.max, cluster=cluster))
    return tests


def _judge_one(weighing: Weighing, treatment: str, evidence: list[Evidence], tests: list[Test]) -> Judgement:
    quiet = max(LONGEST_QUIET, QUIET_INTERVALS * duration(weighing.spec.interval))
    counted_to = max((known.counted_to for known in evidence), default=None)
    if counted_to is None or counted_to <= max(weighing.started_at, weighing.counted_to - quiet):
        return without_data(f": {_what_is_missing(weighing, treatment)}")
    verdict = Verdict.INCONCLUSIVE
    if any(test.is_breach for test in tests):
        verdict = Verdict.BREACH
    elif all(test.is_safe for test in tests):
        verdict = Verdict.PASS
    message, numbers = describe(weighing.guardrail, evidence, tests, verdict=verdict)
    return Judgement(verdict=verdict, message=message, compared=numbers)


def _what_is_missing(weighing: Weighing, treatment: str) -> str:
    what = "requests" if is_per_unit(weighing.guardrail) else TOTAL
    counted = {arm for window in weighing.windows for arm in window.totals if arm in window.requests}
    if treatment not in counted:
        return f"{what} has no sample of {treatment}"
    if not counted & set(weighing.others):
        return f"{what} has no sample of {weighing.spec.control} or {BASELINE}"
    is_quiet = not sum(window.requests.get(treatment, 0.0) for window in weighing.windows)
    return f"{what} of {treatment if is_quiet else ' and '.join(weighing.others)} did not rise"
