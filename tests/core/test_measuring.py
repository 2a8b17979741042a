"""core/measuring: a dispersion is measured before anything is compared, kept for the attempt, and stands in for the factor."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from rampgate_operator.core.checkpoint import for_people, must_persist
from rampgate_operator.core.dispersion import WINDOWS, Counted, dispersion
from rampgate_operator.core.looks import Answer, Increases, NoData
from rampgate_operator.core.observation import Look
from rampgate_operator.core.questions import Question, ask, read_answers
from rampgate_operator.core.sequential import NO_EVIDENCE, Batch, add_harm
from rampgate_operator.core.status import read_status
from tests.core.shop import AWAY, LONG, LOOKBACKS, TOTALS, known
from tests.core.story import COUNTED, NOON, Story, steps

MEASURED: dict[str, Any] = {**COUNTED, "dispersion": {"measuredOver": "30m"}, "onBreach": "Hold"}
BUSY = [{"baseline": 1000.0}] * WINDOWS
CLUSTERED = [{"baseline": 40.0 if window % 2 else 10.0} for window in range(WINDOWS)]
FACTOR = dispersion([Counted(each["baseline"], 1000) for each in CLUSTERED])
Windows = Sequence[Mapping[str, float]]


def pending(guardrail: dict[str, Any] = MEASURED, **fields: Any) -> Story:
    """Nothing but readings keeps it from its first step."""
    story = Story(**{"guardrails": [guardrail], **LONG, **fields})
    story.decide()
    return story


def asked(story: Story) -> Question:
    (question,) = ask(story.situation(), LOOKBACKS).guardrails
    return question


def seen(story: Story, **rose: Windows | Answer) -> Look:
    """What the operator asks for now, answered by the name of the counter, `_` for a blank."""
    told = {name.replace("_", " "): Increases(tuple(each)) if isinstance(each, Sequence) else each for name, each in rose.items()}
    questions = replace(ask(story.situation(), LOOKBACKS), exposures=None)
    (look,), _ = read_answers(questions, {request.key: told[str(request.key[1])] for request in questions.requests})  # type: ignore[index]
    return look


def measure(story: Story, total: Windows | Answer = BUSY, events: Windows | Answer = CLUSTERED) -> None:
    story.decide(seen(story, total=total, events=events))


def begun() -> Story:
    """A ramp on its first step, with its dispersion measured."""
    story = pending()
    measure(story)
    assert story.said[0] == "Ramping"
    return story


def test_thirty_equal_windows_that_end_a_little_before_now_are_asked_for() -> None:
    story = pending()
    question = asked(story)
    assert (question.measures, question.reads_from) == (True, NOON - timedelta(minutes=30, seconds=10))
    for request in question.requests.values():
        assert request.edges[-1] == question.counted_to == NOON - timedelta(seconds=10)
        assert [after - before for before, after in pairwise(request.edges)] == [timedelta(minutes=1)] * WINDOWS


@pytest.mark.parametrize("served", [0, 12, 29])
def test_until_all_windows_have_requests_the_first_step_waits_and_says_so(served: int) -> None:
    story = pending()
    measure(story, total=[*BUSY[:served], *[{"baseline": 0.0}] * (WINDOWS - served)], events=NoData("none"))
    sentence = f"dispersion is measured over 30m: {served} of 30 windows have requests"
    assert (known(story).verdict, known(story).message) == ("NoData", sentence)
    assert (story.said, story.waiting, story.known.dispersions) == (("Pending", -1, 0), "Metrics", ())
    condition = story.condition("Progressing")
    assert (condition.status, condition.reason) == ("True", "MeasuringDispersion")
    assert sentence in condition.message
    assert story.decide().look_every is not None


def test_where_nothing_is_counted_at_all_none_has() -> None:
    story = pending()
    measure(story, total=NoData("none"), events=NoData("none"))
    assert known(story).message == "dispersion is measured over 30m: 0 of 30 windows have requests"


def test_what_has_taken_longer_than_the_windows_are_calls_for_a_person() -> None:
    story = pending()
    for wait, reason in (("0s", "MeasuringDispersion"), ("30m", "MeasuringDispersion"), ("10s", "Metrics")):
        story.wait(wait)
        measure(story, total=NoData("none"), events=NoData("none"))
        assert story.condition("Progressing").reason == reason


def test_with_requests_in_all_windows_the_factor_is_kept_and_the_first_step_begins() -> None:
    story = pending()
    before = story.known
    measure(story)
    (found,) = story.known.dispersions
    assert (found.guardrail, found.digest, found.windows) == ("failed", known(story).digest, WINDOWS)
    assert 0 <= found.factor - FACTOR < 1e-3
    assert "dispersion was measured over 30m: events weigh as if" in known(story).message
    assert story.said[:2] == ("Ramping", 0)
    assert known(story).evidence == ()
    assert must_persist(before, story.known)


def test_a_factor_alone_is_worth_a_write() -> None:
    story = begun()
    (found,) = story.known.dispersions
    assert must_persist(story.known.model_copy(update={"dispersions": ()}), story.known)
    assert must_persist(story.known.model_copy(update={"dispersions": (found.model_copy(update={"factor": 2.0}),)}), story.known)


def test_events_that_are_independent_have_the_factor_one() -> None:
    story = pending()
    measure(story, events=[{"baseline": 10.0}] * WINDOWS)
    assert story.known.dispersions[0].factor == 1


def test_control_and_baseline_are_measured_together_and_treatments_are_not() -> None:
    story = pending()
    total = [{"baseline": 600.0, "off": 400.0, "on": 1000.0}] * WINDOWS
    events = [{"baseline": each["baseline"] - 5, "off": 5.0, "on": 7.0 * index} for index, each in enumerate(CLUSTERED)]
    measure(story, total=total, events=events)
    assert story.known.dispersions[0].factor == pytest.approx(FACTOR, abs=1e-3)


def test_of_a_latency_the_bound_that_varies_most_counts() -> None:
    latency = {"name": "failed", "latency": {"buckets": ["100ms", "300ms", "1s"]}, "maxIncrease": "10%"}
    story = pending({**latency, "dispersion": {"measuredOver": "5m"}})
    within = [{"baseline": 1000 - each["baseline"]} for each in CLUSTERED]
    even: Windows = [{"baseline": 990.0}] * WINDOWS
    story.decide(seen(story, total=BUSY, within_100ms=even, within_300ms=within, within_1s=even))
    assert story.known.dispersions[0].factor == pytest.approx(FACTOR, abs=1e-3)


@pytest.mark.parametrize(
    ("total", "events", "sentence"),
    [
        (BUSY, AWAY, "counting events failed (Timeout)"),
        ([{"baseline": -5.0}] * WINDOWS, CLUSTERED, "a counter of baseline rose by -5: no counter does"),
    ],
    ids=["a source that is away", "nonsense"],
)
def test_what_cannot_be_counted_is_an_error_and_measures_nothing(total: Windows, events: Any, sentence: str) -> None:
    story = pending()
    measure(story, total=total, events=events)
    assert sentence in known(story).message
    assert (known(story).verdict, story.waiting, story.known.dispersions) == ("Error", "Metrics", ())


def test_the_factor_then_weighs_events_as_if_a_person_had_written_it() -> None:
    story = begun()
    (found,) = story.known.dispersions
    assert asked(story.wait("30s")).measures is False
    look = seen(story, total=[TOTALS], events=[{"on": 80.0, "off": 30.0, "baseline": 50.0}])
    assert look.reads_from == NOON
    story.decide(look)
    (evidence,) = known(story).evidence
    factor = found.factor
    assert evidence.log_e_values == pytest.approx(add_harm(NO_EVIDENCE, Batch(1000, 80 / factor, 3000, 80 / factor), limit=1), abs=2e-6)
    assert f"look 1, dispersion {factor:.3g}" in known(story).message


def test_the_interval_that_is_written_is_that_of_the_factor() -> None:
    measured, written = begun(), Story(guardrails=[{**MEASURED, "dispersion": {"factor": begun().known.dispersions[0].factor}}], **LONG)
    written.decide()
    written.decide(seen(written, total=NoData("none"), events=NoData("none")))
    for story in (measured, written):
        story.decide()
        story.wait("30s").decide(seen(story, total=[TOTALS], events=[{"on": 900.0, "off": 850.0, "baseline": 1700.0}]))
    found = [for_people(story.known, story.spec).guardrails[0].interval for story in (measured, written)]
    assert found[0] is not None
    assert found[0] == found[1]


def test_it_outlives_break_glass_and_a_restart() -> None:
    story = begun()
    kept = story.known.dispersions
    assert story.data is not None
    story.data["kill"] = "new-checkout"
    story.wait("10s").decide()
    del story.data["kill"]
    story.wait("10s").decide()
    assert (known(story).evidence, story.known.dispersions) == ((), kept)
    story.status = read_status(story.known.to_wire())
    assert asked(story.wait("20s")).measures is False


def test_a_new_attempt_measures_anew() -> None:
    story = begun()
    story.edit(attempt=2).decide()
    assert (story.said[0], story.known.dispersions) == ("Pending", ())
    assert asked(story).measures is True


def test_a_look_of_an_earlier_attempt_measures_nothing() -> None:
    story = pending()
    look = seen(story, total=BUSY, events=CLUSTERED)
    story.edit(attempt=2).decide()
    story.wait("1s").decide(look)
    assert story.known.dispersions == ()


def test_of_two_looks_that_come_together_the_first_counts() -> None:
    story = pending()
    first = seen(story, total=BUSY, events=CLUSTERED)
    second = seen(story.wait("10s"), total=BUSY, events=[{"baseline": 10.0}] * WINDOWS)
    story.decide(second, first)
    assert story.known.dispersions[0].factor == pytest.approx(FACTOR, abs=1e-3)


def test_what_was_counted_for_another_definition_measures_nothing() -> None:
    story = pending()
    look = seen(story, total=BUSY, events=CLUSTERED)
    story.edit(guardrails=[{**MEASURED, "maxIncrease": "5%"}]).decide(look)
    assert (story.said[0], story.known.dispersions) == ("Pending", ())


# In the middle of a ramp, after an edit.


def edited(**fields: Any) -> Story:
    """A ramp that has served its first step for a while, whose guardrail is another one now."""
    story = begun()
    story.wait("20m").edit(guardrails=[{**MEASURED, "maxIncrease": "5%"}], **fields).decide()
    return story


def test_another_definition_is_measured_anew_and_holds_the_next_step() -> None:
    story = edited(ramp=steps(10, 50, hold="1m"))
    assert (story.known.dispersions, asked(story).measures) == ((), True)
    measure(story, total=BUSY[:12], events=CLUSTERED[:12])
    assert (story.known.percent, story.waiting, known(story).evidence) == (10, "Metrics", ())
    assert "12 of 30" in story.condition("Progressing").message
    measure(story.wait("5m"))
    assert len(story.known.dispersions) == 1
    assert (story.known.percent, story.waiting) == (10, "Metrics")  # nothing has been compared yet
    assert story.condition("Progressing").reason == "MeasuringDispersion"


def test_data_that_stays_away_after_it_was_measured_calls_for_a_person() -> None:
    story = edited(ramp=steps(10, 50, hold="1m")).wait("5m")
    measure(story)
    for wait, reason in (("20s", "MeasuringDispersion"), ("20s", "Metrics")):
        story.wait(wait).decide(seen(story, total=NoData("none"), events=NoData("none")))
        assert story.condition("Progressing").reason == reason


def test_evidence_begins_where_the_measurement_ended() -> None:
    story = edited()
    measured_to = asked(story).counted_to
    measure(story)
    assert known(story).counted_to == measured_to
    question = asked(story.wait("30s"))
    assert (question.measures, question.reads_from) == (False, measured_to)
    story.decide(seen(story, total=[TOTALS], events=[{"on": 10.0}]))
    assert known(story).evidence[0].looks == 1


def test_counts_that_were_asked_for_before_are_no_evidence_until_it_is_measured() -> None:
    story = begun()
    look = seen(story.wait("30s"), total=[TOTALS], events=[{"on": 80.0}])
    story.status = story.known.model_copy(update={"dispersions": ()})
    story.decide(look)
    assert known(story).evidence == ()


def test_a_look_that_measures_is_no_evidence_however_late_it_comes() -> None:
    story = edited()
    late = seen(story.wait("1s"), total=[TOTALS] * WINDOWS, events=[{"on": 80.0}] * WINDOWS)
    story.now -= timedelta(seconds=1)
    measure(story)
    before = known(story)
    story.wait("2s").decide(late)
    assert known(story) == before


def test_where_nobody_is_left_to_measure_it_holds_nothing() -> None:
    weightless = [{"name": "off", "value": False, "weight": 0}, {"name": "on", "value": True}]
    story = pending(variants=weightless, ramp=steps(100, hold="1m"))
    measure(story)
    assert story.said[2] == 100
    story.wait("2m").edit(guardrails=[{**MEASURED, "maxIncrease": "5%"}]).decide()
    measure(story, total=[{"on": 10.0}] * WINDOWS, events=[{"on": 1.0}] * WINDOWS)
    assert (known(story).verdict, story.known.dispersions) == ("NoComparison", ())
    assert "nobody is left to measure dispersion by" in known(story).message


def test_a_guardrail_that_is_removed_takes_its_dispersion_with_it() -> None:
    story = begun()
    story.edit(guardrails=None).decide()
    assert story.known.dispersions == ()


def test_a_ramp_whose_dispersions_cannot_be_read_measures_them_anew() -> None:
    story = begun()
    story.status = read_status({**story.known.to_wire(), "dispersions": [{"guardrail": 5}]})
    assert story.known.dispersions == ()
    assert story.said[0] == "Ramping"
    assert asked(story).measures is True
