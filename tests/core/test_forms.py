"""What each form of a guardrail that counts asks for, and what it makes of the answers."""

import math
from typing import Any

import pytest

from rampgate_operator.core import weigh
from rampgate_operator.core.checkpoint import for_people
from rampgate_operator.core.guardrails import guardrail_digest
from rampgate_operator.core.limits import log_above
from rampgate_operator.core.looks import Failed, FailureReason, Metric, NoData
from rampgate_operator.core.questions import ask
from rampgate_operator.core.sequential import NO_EVIDENCE, Batch, add_harm, add_safety, log_mean
from tests.core.shop import AWAY, LOOKBACKS, SERVED, UNITS, answer, begun, known, story_of
from tests.core.story import COUNTED, make_spec, steps

REQUESTS = {"name": "failed", "errorRate": {"per": "Request"}, "maxIncrease": "10%", "onBreach": "Hold"}
SLOW = {"name": "failed", "slowerThan": "300ms", "maxIncrease": "10%", "onBreach": "Hold"}
LATENCY = {"name": "failed", "latency": {"buckets": ["100ms", "300ms", "1s"]}, "maxIncrease": "10%", "onBreach": "Hold"}
LIMIT = {**COUNTED, "max": 0.05, "onBreach": "Hold"}
LIMIT_ALONE = {name: value for name, value in LIMIT.items() if name != "maxIncrease"}
DURATIONS = "rampgate_request_duration_seconds"


def metric(name: str, *labels: tuple[str, str]) -> Metric:
    return Metric(name=name, gate="new-checkout", labels=labels)


FORMS: list[tuple[str, dict[str, Any], dict[str, Metric]]] = [
    (
        "an error rate of units",
        UNITS,
        {
            "events": metric("rampgate_first_errors_total"),
            "total": metric("rampgate_first_exposures_total"),
            "requests": metric("rampgate_requests_total"),
        },
    ),
    (
        "an error rate of requests",
        REQUESTS,
        {"events": metric("rampgate_requests_total", ("outcome", "error")), "total": metric("rampgate_requests_total")},
    ),
    (
        "requests that are slow",
        SLOW,
        {"total": metric(f"{DURATIONS}_count"), "within 300ms": metric(f"{DURATIONS}_bucket", ("le", "0.3"))},
    ),
    (
        "the latency",
        LATENCY,
        {
            "total": metric(f"{DURATIONS}_count"),
            "within 100ms": metric(f"{DURATIONS}_bucket", ("le", "0.1")),
            "within 300ms": metric(f"{DURATIONS}_bucket", ("le", "0.3")),
            "within 1s": metric(f"{DURATIONS}_bucket", ("le", "1")),
        },
    ),
]


@pytest.mark.parametrize(("guardrail", "metrics"), [row[1:] for row in FORMS], ids=[row[0] for row in FORMS])
def test_a_form_asks_for_the_sdks_own_counters(guardrail: dict[str, Any], metrics: dict[str, Metric]) -> None:
    (question,) = ask(begun(guardrails=[COUNTED]).edit(guardrails=[guardrail]).wait("30s").situation(), LOOKBACKS).guardrails
    assert {name: request.metric for name, request in question.requests.items()} == metrics
    assert {(request.query, request.tenant) for request in question.requests.values()} == {("", "shop")}


# Durations: what is slower than a bound is all but what its bucket holds.


def test_slower_than_a_bound_is_what_is_not_in_its_bucket() -> None:
    story = story_of(SLOW)
    answer(story, total=SERVED, within_300ms={"on": 900.0, "off": 950.0, "baseline": 1900.0})
    (step,) = known(story).evidence[0].steps
    assert (step.treatment_total, step.treatment_events, step.comparison_total, step.comparison_events) == (1000, 100, 3000, 150)
    assert known(story).message.startswith("on 10 % of 1,000 requests slower than 300ms against 5 % of 3,000: ratio 2")


def test_a_bound_that_is_no_bucket_is_an_error_that_says_so() -> None:
    refused = Failed(FailureReason.REFUSED, "0.3 s is no bucket of rampgate_request_duration_seconds: the nearest are 0.25 s and 0.5 s.")
    story = story_of(SLOW)
    answer(story, total=SERVED, within_300ms=refused)
    assert known(story).message == f"counting within 300ms failed (Refused): {refused.message.rstrip('.')}"
    answer(story, total=SERVED, within_300ms=NoData("none"))
    assert (known(story).verdict, known(story).message) == ("Error", "total of off rose by 1000, but no bucket 300ms was counted")


def test_more_in_a_bucket_than_in_all_is_an_error() -> None:
    story = story_of(SLOW)
    answer(story, total=SERVED, within_300ms={**SERVED, "on": 1001.0})
    assert known(story).message == "a counter of on rose by -1: no counter does"


def test_latency_is_the_average_of_the_evidence_at_its_bounds() -> None:
    story = story_of(LATENCY)
    slower = {"100ms": (500.0, 900.0), "300ms": (200.0, 300.0), "1s": (20.0, 30.0)}
    answer(
        story,
        total=SERVED,
        **{f"within_{bound}": {"on": 1000 - on, "off": 1000 - off, "baseline": 2000.0} for bound, (on, off) in slower.items()},
    )
    logs = [add_harm(NO_EVIDENCE, Batch(1000, on, 3000, off), limit=1.1) for on, off in slower.values()]
    wanted = log_mean([each for evidence in logs for each in evidence])
    assert {each.bound for each in known(story).evidence} == set(slower)
    assert "requests slower than 100ms against 30 %" in known(story).message
    assert (
        f"on average of 3 bounds e = {'over 1,000,000' if wanted > math.log(1e6) else f'{math.exp(wanted):,.0f}'}" in known(story).message
    )


def test_a_bound_that_nobody_passes_neither_hides_the_others_nor_waits_for_ever() -> None:
    story = story_of({**LATENCY, "maxIncrease": "100%"})
    slower = {"100ms": (50.0, 50.0), "300ms": (20.0, 20.0), "1s": (0.0, 0.0)}
    rose: dict[str, Any] = {
        f"within_{bound}": {"on": 1000 - on, "off": 1000 - off, "baseline": 2000 - 2 * off} for bound, (on, off) in slower.items()
    }
    for _ in range(3):
        answer(story, total=SERVED, **rose)
    assert known(story).verdict == "Pass"
    assert "slower than 1s" not in known(story).message


# Limits: what is allowed to anybody.


@pytest.mark.parametrize("guardrail", [LIMIT, LIMIT_ALONE])
def test_a_rate_above_its_limit_breaches_also_where_control_is_no_better(guardrail: dict[str, Any]) -> None:
    story = story_of(guardrail)
    answer(story, total=SERVED, events={"on": 90.0, "off": 90.0, "baseline": 180.0})
    assert known(story).verdict == "Breach"
    assert "against a limit of 5 %" in known(story).message


def test_a_limit_is_tested_on_all_counts_of_the_attempt() -> None:
    story = story_of(LIMIT_ALONE)
    for events in (3.0, 9.0):
        answer(story, total={"on": 100.0}, events={"on": events})
    (found,) = known(story).evidence
    assert (found.total, found.events, found.log_e_values) == (200, 12, None)
    wanted = math.exp(log_above(12, 200, limit=0.05))
    assert f"on 6 % of 200 against a limit of 5 %, e = {wanted:.3g} < 20, look 2" in known(story).message
    assert (known(story).treatment, known(story).control, known(story).ratio) == (0.06, None, None)


def test_a_limit_goes_on_where_nobody_is_left_to_compare_with() -> None:
    weightless = [{"name": "off", "value": False, "weight": 0}, {"name": "on", "value": True}]
    story = story_of(LIMIT, variants=weightless, ramp=steps(50, 100, hold="1m"))
    answer(story, total={"on": 5000.0, "baseline": 5000.0}, events={"on": 50.0, "baseline": 50.0}, wait="1m")
    story.edit(guardrails=[{**LIMIT, "onInconclusive": "Advance"}]).decide()
    assert story.known.percent == 100
    answer(story, total={"on": 5000.0}, events={"on": 600.0})
    assert known(story).verdict == "Breach"


# Neither harm nor its absence.


def test_it_passes_once_it_is_shown_to_stay_within_its_limits() -> None:
    story = story_of({**COUNTED, "maxIncrease": "100%"})
    answer(story, total=SERVED, events={"on": 50.0, "off": 50.0, "baseline": 100.0})
    safe = log_mean(add_safety(NO_EVIDENCE, Batch(1000, 50, 3000, 150), limit=2))
    assert safe > math.log(20)
    assert known(story).verdict == "Pass"
    assert known(story).message.endswith(f", shown to stay within 100 % more (e = {math.exp(safe):,.0f} ≥ 20)")
    assert story.condition("GuardrailsPassing").status == "True"


def test_it_is_inconclusive_until_then_and_says_how_much_is_missing() -> None:
    story = story_of({**COUNTED, "maxIncrease": "50%"})
    answer(story, total=SERVED, events={"on": 10.0, "off": 10.0, "baseline": 20.0})
    more = known(story).samples_to_decision
    assert more is not None
    assert known(story).verdict == "Inconclusive"
    assert known(story).message.endswith(f", about {more:,} more of total to a decision")
    condition = story.condition("GuardrailsPassing")
    assert (condition.status, condition.reason) == ("Unknown", "Inconclusive")
    looks = 0
    while known(story).verdict == "Inconclusive":
        answer(story, total=SERVED, events={"on": 10.0, "off": 10.0, "baseline": 20.0})
        looks += 1
    assert known(story).verdict == "Pass"
    assert 0.7 * more <= looks * 1000 <= 1.1 * more + 1000


def test_it_says_how_much_is_missing_to_a_breach() -> None:
    story = story_of({**COUNTED, "maxIncrease": "10%", "onBreach": "Hold"})
    answer(story, total=SERVED, events={"on": 13.0, "off": 10.0, "baseline": 20.0})
    more, looks = known(story).samples_to_decision, 0
    assert more is not None
    while known(story).verdict == "Inconclusive":
        answer(story, total=SERVED, events={"on": 13.0, "off": 10.0, "baseline": 20.0})
        looks += 1
    assert known(story).verdict == "Breach"
    assert 0.5 * more <= looks * 1000 <= 1.1 * more + 1000


INCONCLUSIVE = [
    ("0%", None, True, True),
    ("10%", None, True, False),
    ("10%", "Advance", True, True),
    ("10%", "Hold", False, False),
    ("0%", "Hold", False, False),
]


@pytest.mark.parametrize(("increase", "policy", "early", "last"), INCONCLUSIVE)
def test_by_default_only_the_step_to_100_percent_needs_that_it_is_shown(increase: str, policy: str | None, early: bool, last: bool) -> None:
    fields = {"maxIncrease": increase, **({"onInconclusive": policy} if policy else {})}
    story = begun(guardrails=[{**COUNTED, **fields}], ramp=steps(10, 50, 100, hold="30s"))
    answer(story, total=SERVED, events={"on": 10.0, "off": 10.0, "baseline": 20.0}, wait="40s")
    assert (story.known.percent == 50) is early
    answer(story, total=SERVED, events={"on": 10.0, "off": 10.0, "baseline": 20.0}, wait="40s")
    assert (story.known.percent == 100) is last
    if not last:
        assert (story.waiting, story.condition("Progressing").reason) == ("Guardrail", "NotShownSafe")
        assert "set its onInconclusive to Advance" in story.condition("Progressing").message


@pytest.mark.parametrize(("policy", "percent"), [({}, 100), ({"onInconclusive": "Hold"}, 50)])
def test_where_nothing_ever_happens_there_is_nothing_to_wait_for_unless_one_says_so(policy: dict[str, str], percent: float) -> None:
    story = begun(guardrails=[{**COUNTED, "maxIncrease": "10%", **policy}], ramp=steps(50, 100, hold="30s"))
    answer(story, total=SERVED, events={}, wait="40s")
    assert story.known.percent == percent


def test_until_the_hold_is_over_it_is_nothing_to_report() -> None:
    story = begun(guardrails=[{**COUNTED, "onInconclusive": "Hold"}])
    answer(story, total=SERVED, events={"on": 10.0, "off": 10.0, "baseline": 20.0})
    assert (story.waiting, story.condition("Progressing").status) == ("Hold", "True")


@pytest.mark.parametrize("change", [{"errorRate": {"per": "Request"}}, {"max": 0.1}, {"maxIncrease": "20%"}])
def test_another_form_or_limit_is_another_plan(change: dict[str, Any]) -> None:
    before, after = story_of(UNITS), story_of({**UNITS, **change})
    digests = [guardrail_digest((story.spec.guardrails or [])[0], story.spec) for story in (before, after)]
    assert digests[0] != digests[1]


def test_a_source_that_is_away_counts_nothing() -> None:
    story = story_of(UNITS)
    answer(story, total=AWAY, events=AWAY, requests=AWAY)
    assert (known(story).verdict, known(story).evidence) == ("Error", ())


# Events in clusters: so many weigh as one.


def clustered(factor: float) -> dict[str, Any]:
    return {**REQUESTS, "dispersion": {"factor": factor}}


def test_clustered_events_weigh_as_so_many_fewer_and_are_told_as_they_are() -> None:
    story = story_of(clustered(4))
    answer(story, total=SERVED, events={"on": 80.0, "off": 30.0, "baseline": 50.0})
    (found,) = known(story).evidence
    assert found.log_e_values == pytest.approx(add_harm(NO_EVIDENCE, Batch(1000, 20, 3000, 20), limit=1.1), abs=2e-6)
    assert found.log_safe_values == pytest.approx(add_safety(NO_EVIDENCE, Batch(1000, 20, 3000, 20), limit=1.1), abs=2e-6)
    assert known(story).message.startswith("on 8 % of 1,000 requests failed against 2.67 % of 3,000: ratio 3")
    assert "look 1, dispersion 4" in known(story).message


def test_a_limit_on_clustered_events_is_tested_on_as_many_samples_as_are_independent() -> None:
    story = story_of({**clustered(4), "max": 0.05})
    answer(story, total=SERVED, events={"on": 100.0})
    (test,) = [each for each in weigh.tests_of(story.spec.guardrails[0], list(known(story).evidence), story.spec) if each.limit]  # type: ignore[index]
    assert test.log_e == pytest.approx(log_above(25, 250, limit=0.05))


def test_the_interval_of_clustered_events_is_wider() -> None:
    widths = []
    for factor in (1.0, 5.0):
        story = story_of(clustered(factor))
        answer(story, total=SERVED, events={"on": 80.0, "off": 30.0, "baseline": 50.0})
        (written,) = for_people(story.known, story.spec).guardrails
        assert written.interval is not None
        widths.append((written.interval.low, -(written.interval.high or math.inf)))
    assert widths[1] < widths[0]


@pytest.mark.parametrize("limits", [{"maxIncrease": "100%"}, {"max": 0.06}], ids=["relative", "absolute"])
def test_clustered_events_need_more_samples_to_a_decision(limits: dict[str, Any]) -> None:
    needs: list[float] = []
    for factor in (10.0, 40.0):
        bare = {name: value for name, value in clustered(factor).items() if name != "maxIncrease"}
        story = story_of({**bare, **limits})
        answer(story, total=SERVED, events={"on": 40.0, "off": 40.0, "baseline": 80.0})
        more = known(story).samples_to_decision
        assert more is not None
        needs.append(more)
    assert 3 < (1_000 + needs[1]) / (1_000 + needs[0]) < 5


def test_another_dispersion_begins_the_evidence_anew() -> None:
    story = story_of(clustered(4))
    digests = {
        guardrail_digest(each, story.spec) for factor in (4, 5) for each in make_spec(guardrails=[clustered(factor)]).guardrails or ()
    }
    assert len(digests) == 2


def test_a_rate_that_is_the_limit_but_for_a_rounding_error_foretells_nothing() -> None:
    """How much the evidence grows is then the difference of two equals, and may come out below 0."""
    story = story_of({**LIMIT_ALONE, "max": 0.1})
    answer(story, total={"on": 1e9, "off": 1e9, "baseline": 1e9}, events={"on": 1e8 - 1, "off": 1e8, "baseline": 1e8})
    assert known(story).verdict == "Inconclusive"
    assert known(story).samples_to_decision is None
    assert "to a decision" not in known(story).message
