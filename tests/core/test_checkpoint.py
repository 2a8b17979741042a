"""core/checkpoint: what is worth a write."""

from datetime import timedelta
from typing import Any

import pytest

from rampgate_operator.core.checkpoint import for_people, must_persist
from rampgate_operator.core.looks import Value
from rampgate_operator.core.observation import ExposureLook
from tests.core.shop import begun, count, exposed, known
from tests.core.story import BAD, ERRORS, FAILED, GOOD, NO_DATA, Story

SAMPLES = {"steps": [{"percent": 1, "hold": "2h", "minExposures": 100}]}


def test_the_first_status_is_written() -> None:
    story = Story()
    story.decide()
    assert must_persist(None, story.known)
    assert not must_persist(story.known, story.known)


@pytest.mark.parametrize(
    ("answer", "written"),
    [(GOOD, False), (Value(0.1), False), (BAD, True), (NO_DATA, True), (FAILED, True)],
    ids=["the same", "another value", "a breach", "no data", "an error"],
)
def test_a_verdict_is_written_when_it_changes(answer: Any, written: bool) -> None:
    story = Story(guardrails=[{**ERRORS, "onBreach": "Hold"}]).ramp_to(1)
    before = story.known
    story.wait("10s").decide_with(answer)
    assert must_persist(before, story.known) is written


@pytest.mark.parametrize(("seconds", "written"), [(299, False), (300, True)])
def test_readings_are_written_every_five_minutes(seconds: int, written: bool) -> None:
    story = Story(guardrails=[ERRORS], ramp={"steps": [{"percent": 1, "hold": "2h"}]}).ramp_to(1)
    before = story.known
    story.wait(f"{seconds}s").decide_with(GOOD)
    assert must_persist(before, story.known) is written


def test_what_is_counted_is_written_with_the_interval_that_nobody_acts_on() -> None:
    story = begun()
    count(story)
    assert known(story).interval is None
    (written,) = for_people(story.known, story.spec).guardrails
    assert written.interval is not None
    assert 0 < written.interval.low < 1 < (written.interval.high or 0)
    assert written.model_copy(update={"interval": None}) == known(story)
    assert for_people(story.known, None) == story.known


def test_exposures_are_readings_too_and_their_trouble_is_written_at_once() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)

    def look(answer: Any, seconds: int) -> ExposureLook:
        return ExposureLook(since=story.now, until=story.now + timedelta(seconds=seconds), answer=answer)

    story.decide(exposures=look(exposed({"on": 1}), 10))
    before = story.known
    story.now += timedelta(seconds=10)
    story.decide(exposures=look(exposed({"on": 1}), 10))
    assert not must_persist(before, story.known)
    story.now += timedelta(seconds=10)
    story.decide(exposures=look(FAILED, 10))
    assert must_persist(before, story.known)
    story.now += timedelta(seconds=280)
    story.decide(exposures=look(exposed({"on": 1}), 10))
    assert must_persist(before, story.known)


def test_that_results_can_be_judged_now_is_written() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    before = story.known
    story.wait("10s")
    story.decide(exposures=ExposureLook(since=story.now - timedelta(seconds=10), until=story.now, answer=exposed({"on": 1})))
    assert must_persist(before, story.known)


@pytest.mark.parametrize(
    "edit",
    [
        {"paused": True},
        {"owner": "others"},
        {"guardrails": [{**ERRORS, "max": 4}]},
        {"attempt": 2},
        {"overrides": [{"variant": "on", "units": ["a"]}]},
    ],
)
def test_an_edit_is_written(edit: dict[str, Any]) -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1)
    before = story.known
    story.edit(**edit).decide()
    assert must_persist(before, story.known)


def test_a_step_is_written_with_its_evidence() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1)
    before = story.known
    story.wait("1m").decide_with(GOOD)
    assert must_persist(before, story.known)
    assert story.known.guardrails[0].looked_at == story.now


def test_time_alone_writes_nothing() -> None:
    story = Story().ramp_to(1)
    before = story.known
    for _ in range(5):
        story.wait("10s").decide()
        assert not must_persist(before, story.known)
