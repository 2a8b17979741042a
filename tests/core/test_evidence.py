"""core/evidence: what is counted, and what it says."""

import math
from datetime import timedelta
from typing import Any

import pytest

from rampgate_operator.core.counted import needed
from rampgate_operator.core.guardrails import any_breach
from rampgate_operator.core.looks import Answer, Increases, NoData
from rampgate_operator.core.questions import ask
from rampgate_operator.core.sequential import NO_EVIDENCE, Batch, add_harm
from rampgate_operator.core.status import read_status
from tests.core.shop import AWAY, EQUAL, HARM, LOOKBACKS, TOTALS, Counts, begun, count, known, look_of
from tests.core.story import COUNTED, NOON, Story, make_spec, steps

OFF = {"name": "off", "value": 0}
NONE = "on 0 % of 1,000 against 0 % of 3,000: no event to compare with, e = 1 < 20, look 1"
PASSED = "on 1 % of 1,000 against 1 % of 3,000: ratio 1, e = 0.576 < 20, look 1"
VERDICTS: list[tuple[str, Counts | Answer, Counts | Answer, str, str]] = [
    ("equal rates", TOTALS, EQUAL, "Inconclusive", PASSED),
    ("no event yet", TOTALS, {}, "Inconclusive", NONE),
    ("no series of events", TOTALS, NoData("none"), "Inconclusive", NONE),
    ("twice the rate", TOTALS, HARM, "Breach", "on 6 % of 1,000 against 3 % of 3,000: ratio 2 (90 % always-valid 1."),
    ("no baseline", {"on": 1000, "off": 3000}, {"on": 10, "off": 30}, "Inconclusive", PASSED),
    ("no control", {"on": 1000, "baseline": 3000}, {"on": 10, "baseline": 30}, "Inconclusive", PASSED),
    ("units that are not analysed", {**TOTALS, "override": 9, "none": 9}, {**EQUAL, "override": 9}, "Inconclusive", PASSED),
    ("no series at all", NoData("none"), NoData("none"), "NoData", "no data: total has no sample of on"),
    ("no treatment", {"off": 5}, {}, "NoData", "no data: total has no sample of on"),
    ("nothing to compare with", {"on": 5}, {}, "NoData", "no data: total has no sample of off or baseline"),
    ("no request of treatment", {**TOTALS, "on": 0}, {}, "NoData", "no data: total of on did not rise"),
    ("no request at all", dict.fromkeys(TOTALS, 0), {}, "NoData", "no data: total rose in no variant: see that the application is in use"),
    ("no request of the others", {"on": 5, "off": 0}, {}, "NoData", "no data: total of off and baseline did not rise"),
    ("a source that is away", AWAY, EQUAL, "Error", "counting total failed (Timeout): no answer in 5 s"),
    ("events that are away", TOTALS, AWAY, "Error", "counting events failed (Timeout): no answer in 5 s"),
    ("more events than requests", TOTALS, {"on": 1001}, "Error", "events of on rose by 1001, and total by 1000: what is counted as events"),
    ("more of the others' events", {"on": 5, "off": 5}, {"off": 6}, "Error", "events of off and baseline rose by 6, and total by 5"),
    ("a window whose events began before", TOTALS, {"baseline": 2001}, "Pass", "on 0 % of 1,000 against 66.7 % of 3,000"),
    ("as many as nobody can count", {**TOTALS, "off": 1e13}, EQUAL, "Error", "a counter of off rose by 1e+13: no counter does"),
    ("a fall", {**TOTALS, "off": -3}, EQUAL, "Error", "a counter of off rose by -3: no counter does"),
    ("a fall without end", {**TOTALS, "off": -math.inf}, EQUAL, "Error", "a counter of off rose by -inf: no counter does"),
    ("no number", {**TOTALS, "off": math.nan}, EQUAL, "Error", "a counter of off rose by nan: no counter does"),
]  # fmt: skip


@pytest.mark.parametrize(("total", "events", "verdict", "sentence"), [row[1:] for row in VERDICTS], ids=[row[0] for row in VERDICTS])
def test_the_verdict_on_the_first_window(total: Any, events: Any, verdict: str, sentence: str) -> None:
    story = begun()
    count(story, total, events)
    assert (known(story).verdict, known(story).message[: len(sentence)]) == (verdict, sentence)


def test_a_breach_rolls_back_with_its_sentence_everywhere() -> None:
    story = begun(guardrails=[COUNTED])
    count(story, TOTALS, HARM)
    message = known(story).message
    assert story.said[0] == "RolledBack"
    assert story.known.latch is not None
    assert message in story.known.latch.message
    assert message in story.condition("GuardrailsPassing").message
    assert message in story.known.history[-1].message
    assert ", e = " in message
    assert message.endswith(" ≥ 20, look 1")


def test_the_numbers_stand_in_the_status() -> None:
    story = begun()
    count(story, TOTALS, HARM)
    found = known(story)
    assert (found.treatment, found.control, found.ratio, found.samples) == (0.06, 0.03, 2.0, 1000)
    assert found.interval is not None
    assert 1 < found.interval.low < 2 < (found.interval.high or 0)
    count(story, TOTALS, {})
    assert found.value is None


def test_the_rates_are_weighted_by_step_so_that_drift_is_no_harm() -> None:
    story = begun(ramp=steps(1, 50, hold="1m"))
    count(story, {"on": 10, "off": 10, "baseline": 1980}, {"off": 1, "on": 1, "baseline": 198}, wait="60s")
    assert story.known.percent == 50
    count(story, {"on": 1000, "off": 1000, "baseline": 0}, {"on": 10, "off": 10})
    assert known(story).message.startswith("on 1.09 % of 1,010 against 1.09 % of 2,990: ratio 1,")


def test_evidence_is_the_product_over_batches_rounded_down() -> None:
    story, exact = begun(), NO_EVIDENCE
    for events in (EQUAL, HARM, {"on": 1}, EQUAL):
        count(story, TOTALS, events)
        exact = add_harm(exact, Batch(1000, events.get("on", 0), 3000, events.get("off", 0) + events.get("baseline", 0)))
    (found,) = known(story).evidence
    assert all(0 <= wanted - held < 5e-6 for wanted, held in zip(exact, found.log_e_values, strict=True))
    assert (found.looks, found.treatment) == (4, "on")


def test_what_is_allowed_is_no_harm() -> None:
    story = begun(guardrails=[{**COUNTED, "maxIncrease": "100%"}])
    count(story, TOTALS, HARM)
    assert known(story).verdict == "Inconclusive"


@pytest.mark.parametrize(
    ("guardrails", "treatments", "rate", "wanted"),
    [(1, 1, None, 20), (3, 1, "5%", 60), (1, 2, "5%", 40), (2, 3, "0.5%", 1200), (1, 1, "20%", 5)],
)
def test_the_rate_is_shared_by_guardrails_and_treatments(guardrails: int, treatments: int, rate: str | None, wanted: float) -> None:
    spec = make_spec(
        guardrails=[{"name": "plain", "query": "a", "max": 1}, *({**COUNTED, "name": f"g{number}"} for number in range(guardrails))],
        variants=[*({"name": f"t{number}", "value": 1} for number in range(treatments)), OFF, {"name": "idle", "value": 2, "weight": 0}],
        **({"analysis": {"falseRollbackRate": rate}} if rate else {}),
    )
    assert needed(spec) == pytest.approx(wanted)


THREE = [OFF, {"name": "a", "value": 1}, {"name": "b", "value": 2}]


def test_each_treatment_has_its_own_evidence_and_the_worst_counts() -> None:
    story = begun(variants=THREE)
    count(story, {"a": 1000, "b": 1000, "off": 3000}, {"a": 20, "b": 80, "off": 60})
    assert [each.treatment for each in known(story).evidence] == ["a", "b"]
    assert known(story).message.startswith("b 8 % of 1,000 against 2 % of 3,000: ratio 4 (")
    count(story, {"b": 100, "off": 100}, {})
    assert [each.looks for each in known(story).evidence] == [1, 2]


# Which window a look counts.


def windows(story: Story) -> tuple[float, float]:
    (question,) = ask(story.situation(), LOOKBACKS).guardrails
    (window,) = {(request.since, request.at) for request in question.requests.values()}
    assert window == (question.reads_from, question.counted_to)
    return tuple((each - NOON).total_seconds() for each in window)  # type: ignore[return-value]  # there are two


def test_a_counter_is_asked_once_for_all_arms() -> None:
    story = begun().wait("30s")
    (question,) = ask(story.situation(), LOOKBACKS).guardrails
    assert {name: request.query for name, request in question.requests.items()} == {
        "events": 'failed{gate="new-checkout",variant=~"off|on|baseline",namespace="shop"}',
        "total": 'orders{gate="new-checkout",variant=~"off|on|baseline",namespace="shop"}',
    }


def test_windows_follow_each_other_a_little_in_the_past() -> None:
    story = begun()
    assert ask(story.wait("19s").situation(), LOOKBACKS).guardrails == ()
    assert windows(story.wait("1s")) == (0, 10)
    count(story, wait="11s")
    assert windows(story.wait("21s")) == (20, 40)


def test_windows_are_cut_on_the_grid_of_the_step_however_late_a_look_comes() -> None:
    story = begun().wait("47s")
    (question,) = ask(story.situation(), LOOKBACKS).guardrails
    edges = {tuple((edge - NOON).total_seconds() for edge in request.edges) for request in question.requests.values()}
    assert edges == {(0, 10, 20, 30)}


def test_several_windows_in_one_look_are_the_same_evidence_as_one_look_for_each() -> None:
    apart, together = begun(), begun()
    apart.wait("10s")
    for events in (EQUAL, HARM, {}):
        count(apart, TOTALS, events, wait="10s")
    together.wait("40s").decide(look_of(together, Increases((TOTALS,) * 3), Increases((EQUAL, HARM, {}))))
    assert known(together).evidence == known(apart).evidence != ()
    assert known(together).evidence[0].looks == 3


def test_before_the_first_step_any_window_will_do_and_nothing_is_counted() -> None:
    story = Story(guardrails=[COUNTED], paused=True)
    story.decide()
    assert windows(story) == (-20, -10)
    count(story)
    assert (known(story).verdict, known(story).evidence, known(story).last_data_at) == ("NoComparison", (), None)
    assert known(story).message == "before the first step there is nothing to compare"
    assert story.condition("GuardrailsPassing").status == "Unknown", "nothing has passed yet"
    count(story, AWAY)
    assert (story.edit(paused=None).decide().status.waiting_for, known(story).verdict) == ("Metrics", "Error")


@pytest.mark.parametrize("had", [True, False])
def test_counts_that_stay_away_roll_back_only_after_there_were_some(had: bool) -> None:
    story = begun(guardrails=[{**COUNTED, "onNoData": "Rollback"}])
    if had:
        count(story)
    for _ in range(8):
        count(story, NoData("none"), NoData("none"))
    assert story.said[0] == ("RolledBack" if had else "Ramping")


def test_a_step_begins_a_new_window_and_keeps_the_evidence() -> None:
    story = begun(ramp=steps(1, 10, hold="1m"))
    count(story, wait="60s")
    assert story.known.percent == 10
    assert windows(story.wait("20s")) == (60, 70)
    count(story, wait="0s")
    assert [(step.started_at - NOON).seconds for step in known(story).evidence[0].steps] == [0, 60]
    assert known(story).evidence[0].looks == 2


def test_a_look_asked_before_the_step_is_void() -> None:
    story = begun(ramp=steps(1, 10, hold="1m"))
    count(story, wait="30s")
    late = look_of(story.wait("30s"), TOTALS, HARM)
    story.decide(look_of(story, TOTALS, EQUAL))
    before = known(story)
    assert story.known.percent == 10
    story.wait("1s").decide(late)
    assert known(story) == before


def test_of_several_treatments_one_may_be_quiet_for_a_while() -> None:
    story = begun(variants=THREE)
    count(story, {"a": 1000, "b": 1000, "off": 3000}, {})
    count(story, {"a": 1000, "off": 3000}, {}, wait="1m")
    assert (known(story).verdict, known(story).looked_at) == ("Inconclusive", story.now)
    count(story, {"a": 1000, "off": 3000}, {}, wait="1m")
    assert known(story).message == "no data: total has no sample of b"


@pytest.mark.parametrize(("answers", "since"), [((AWAY, EQUAL), 20), ((NoData(""), NoData("")), 50)])
def test_what_could_not_be_counted_is_counted_by_the_next_look(answers: tuple[Any, Any], since: float) -> None:
    story = begun()
    count(story)
    count(story, *answers)
    assert windows(story.wait("10s")) == (since, 60)


def test_an_old_watermark_skips_forward_and_says_so() -> None:
    story = begun()
    count(story)
    assert windows(story.wait("20m")) == (620, 1220)
    count(story, wait="0s")
    assert known(story).message.endswith("look 2; 600 s before were not counted")


def test_a_window_between_two_scrapes_is_no_news_until_two_minutes_are_over() -> None:
    story = begun()
    count(story)
    looked_at = known(story).looked_at
    for _ in range(3):
        count(story, NoData("no sample"), NoData("no sample"))
        assert (known(story).verdict, known(story).looked_at, known(story).evidence[0].looks) == ("Inconclusive", looked_at, 1)
        assert known(story).counted_to == story.looking_ahead(-10)
    count(story, NoData("no sample"), NoData("no sample"))
    assert known(story).verdict == "NoData"
    count(story)
    assert (known(story).verdict, known(story).evidence[0].looks) == ("Inconclusive", 2)


@pytest.mark.parametrize(("minutes", "verdict"), [(19, "Inconclusive"), (21, "NoData")])
def test_with_long_intervals_it_may_be_quiet_for_two_of_them(minutes: int, verdict: str) -> None:
    story = begun(interval="10m")
    count(story, wait="11m")
    count(story, wait=f"{minutes}m", total=NoData("none"), events=NoData("none"))
    assert known(story).verdict == verdict


def test_a_quiet_window_takes_nothing_away_from_counts_that_are_no_older_than_two_intervals() -> None:
    story = begun(ramp=steps(1, 10, hold="1m"))
    count(story, wait="40s")
    count(story, NoData("no sample"), NoData("no sample"), wait="20s")
    assert story.known.percent == 10


def test_quiet_windows_lead_to_no_step_once_the_last_counts_are_older_than_two_intervals() -> None:
    story = begun(ramp=steps(1, 10, hold="1m"))
    count(story)
    count(story, NoData("no sample"), NoData("no sample"))
    assert (story.known.percent, story.waiting) == (1, "Metrics")
    assert "has not been looked at since" in story.condition("Progressing").message
    count(story)
    assert story.known.percent == 10


def test_a_step_needs_counts_of_its_own() -> None:
    story = begun(ramp=steps(1, 10, 50, hold="1m"))
    count(story, wait="60s")
    count(story, NoData("no sample"), NoData("no sample"), wait="70s")
    assert (known(story).verdict, story.known.percent, story.waiting) == ("NoData", 10, "Metrics")


def test_with_nobody_left_to_compare_with_it_neither_holds_nor_rolls_back() -> None:
    weightless = [{"name": "off", "value": False, "weight": 0}, {"name": "on", "value": True}]
    story = begun(variants=weightless, ramp=steps(50, 100, hold="1m"))
    count(story, {"on": 50, "baseline": 50}, {}, wait="60s")
    count(story, {"on": 50}, {"on": 40})
    assert (story.known.percent, known(story).verdict) == (100, "NoComparison")
    passing = story.condition("GuardrailsPassing")
    assert (passing.status, passing.reason) == ("Unknown", "NoComparison")
    count(story, NoData("none"), NoData("none"))
    assert story.said[0] == "Completed"


# What begins the evidence anew, and what comes too late.


@pytest.mark.parametrize(
    ("edit", "kept"),
    [
        ({"guardrails": [{**COUNTED, "onBreach": "Notify"}]}, True),
        ({"guardrails": [{**COUNTED, "maxIncrease": "1%"}]}, False),
        ({"guardrails": [{**COUNTED, "counters": {**COUNTED["counters"], "events": 'other{variant="$variant"}'}}]}, False),
        ({"guardrails": [COUNTED, {**COUNTED, "name": "more"}]}, False),
        ({"guardrails": [COUNTED, {"name": "plain", "query": "a", "max": 1}]}, True),
        ({"analysis": {"falseRollbackRate": "1%"}}, False),
        ({"attempt": 2}, False),
    ],
)  # fmt: skip
def test_another_plan_or_attempt_begins_the_evidence_anew(edit: dict[str, Any], kept: bool) -> None:
    story = begun(guardrails=[COUNTED])
    count(story)
    story.edit(**edit).decide()
    found = story.known.guardrail("failed")
    assert (found is not None and found.evidence != ()) is kept


def test_a_guardrail_that_is_changed_counts_from_then_on_for_what_made_somebody_change_it_is_no_evidence() -> None:
    story = begun(guardrails=[{**COUNTED, "onBreach": "Hold"}])
    count(story)
    story.wait("5m").edit(guardrails=[{**COUNTED, "maxIncrease": "50%"}]).decide()
    assert (known(story).verdict, known(story).message) == ("NoData", "no data: counting begins now")
    assert windows(story.wait("40s")) == (330, 360)


def test_where_counting_only_began_the_first_step_waits_until_its_query_is_answered() -> None:
    story = begun(guardrails=[{**COUNTED, "onBreach": "Hold"}])
    story.wait("1m").edit(guardrails=[{**COUNTED, "maxIncrease": "50%"}], ramp=steps(20, 100)).decide()
    story.decide()
    assert (story.said[0], story.waiting) == ("Pending", "Metrics")
    assert "has not been looked at yet" in story.condition("Progressing").message
    count(story, AWAY, AWAY, wait="10s")
    assert (story.said[0], story.waiting) == ("Pending", "Metrics")
    count(story, NoData("no sample"), NoData("no sample"), wait="10s")
    assert story.said == ("Ramping", 0, 20)


def test_a_look_at_the_guardrail_as_it_was_is_void_after_the_change() -> None:
    story = begun(guardrails=[{**COUNTED, "onBreach": "Hold"}])
    late = look_of(story.wait("50s"), TOTALS, HARM)
    story.edit(guardrails=[{**COUNTED, "maxIncrease": "50%"}]).decide()
    before = known(story)
    story.wait("1s").decide(late)
    assert known(story) == before


def test_after_the_end_the_breach_stands_as_it_is() -> None:
    story = begun(guardrails=[COUNTED])
    late = look_of(story.wait("50s"), TOTALS, EQUAL)
    count(story, TOTALS, HARM, wait="0s")
    before = known(story)
    story.wait("1s").decide(late)
    assert (story.said[0], known(story)) == ("RolledBack", before)


def test_after_a_clock_was_set_back_nothing_is_counted_twice() -> None:
    story = begun()
    count(story, wait="10m")
    story.now -= timedelta(minutes=5)
    story.decide()
    assert (known(story).counted_to, known(story).evidence) == (story.now, ())
    count(story)
    assert known(story).evidence[0].looks == 1


def test_a_look_that_breaches_is_urgent_by_the_evidence_there_is() -> None:
    story = begun().wait("30s")
    some = {"on": 18, "off": 10, "baseline": 20}
    look = look_of(story, TOTALS, some)
    assert not any_breach(story.spec, [look], story.status)
    for _ in range(3):
        count(story, TOTALS, some)
    assert any_breach(story.spec, [look_of(story.wait("30s"), TOTALS, some)], story.status)
    assert not any_breach(story.spec, [look], story.status)
    assert not any_breach(story.spec, [look], None)


def test_the_counts_of_a_step_are_one_line_of_the_status() -> None:
    story = begun()
    count(story, TOTALS, EQUAL)
    wire = story.known.to_wire()
    (evidence,) = wire["guardrails"][0]["evidence"]
    assert evidence["steps"] == ["2026-12-01T12:00:00.000Z 10/1000 30/3000"]
    assert read_status(wire) == story.known


@pytest.mark.parametrize("line", ["", "nonsense", "2026-12-01T12:00:00Z 1/2", "2026-12-01T12:00:00Z 1/2 3/inf", "now 1/2 3/4"])
def test_a_line_that_is_none_begins_the_evidence_anew(line: str) -> None:
    story = begun()
    count(story, TOTALS, EQUAL)
    wire = story.known.to_wire()
    wire["guardrails"][0]["evidence"][0]["steps"] = [line]
    read = read_status(wire)
    assert read is not None
    assert (read.phase, read.guardrails) == ("Ramping", ())
