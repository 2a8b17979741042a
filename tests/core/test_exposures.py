"""core/exposures: first exposures since the step began, neither lost nor counted twice."""

from datetime import timedelta
from typing import Any

import pytest

from rampgate_operator.core.exposures import count_exposures
from rampgate_operator.core.looks import Answer, Increases
from rampgate_operator.core.observation import ExposureLook
from rampgate_operator.core.status import WaitingFor
from tests.core.story import FAILED, NO_DATA, Story

SAMPLES = {"steps": [{"percent": 1, "hold": "1m", "minExposures": 100}, {"percent": 10, "hold": "1m"}]}
THREE = [{"name": "off", "value": 0}, {"name": "a", "value": 1}, {"name": "b", "value": 2}, {"name": "idle", "value": 3, "weight": 0}]


def counted(story: Story, since: int, until: int, answer: Answer) -> ExposureLook:
    """A look from `since` to `until` seconds after the step began."""
    began = story.known.step_started_at
    assert began is not None
    return ExposureLook(since=began + timedelta(seconds=since), until=began + timedelta(seconds=until), answer=answer)


def take(story: Story, since: int, until: int, answer: Any) -> None:
    answer = Increases(({"on": answer},)) if isinstance(answer, int | float) else answer
    story.wait("10s").decide(exposures=counted(story, since, until, answer))


def counts(story: Story) -> dict[str, int]:
    return {seen.variant: seen.count for seen in story.known.exposures.variants} if story.known.exposures else {}


def test_counts_add_up_over_disjoint_windows() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    take(story, 0, 10, 30)
    take(story, 10, 25, 40)
    assert (counts(story), story.known.exposures and story.known.exposures.counted_to) == ({"on": 70}, story.looking_ahead(5))


def test_a_window_that_was_skipped_leaves_a_gap() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    take(story, 0, 10, 30)
    take(story, 15, 20, 5)
    assert counts(story) == {"on": 35}


def test_a_look_that_overlaps_what_was_counted_is_void() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    take(story, -1, 10, 1000)
    assert counts(story) == {}
    take(story, 0, 10, 30)
    take(story, 9, 20, 1000)
    take(story, 0, 10, 30)
    assert counts(story) == {"on": 30}


def test_a_failure_is_told_and_loses_no_window() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    take(story, 0, 10, 30)
    take(story, 10, 20, FAILED)
    assert counts(story) == {"on": 30}
    assert "(not counted now: no answer in 5 s)" in story.condition("Progressing").message
    take(story, 10, 30, 30)
    assert (counts(story), story.known.exposures and story.known.exposures.problem) == ({"on": 60}, None)


def test_no_data_are_no_exposures() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    take(story, 0, 10, NO_DATA)
    assert counts(story) == {"on": 0}


@pytest.mark.parametrize(("number", "percent"), [(99, 1), (100, 10)])
def test_a_step_needs_its_exposures(number: int, percent: float) -> None:
    story = Story(ramp=SAMPLES).ramp_to(1).wait("50s")
    take(story, 0, 60, number)
    assert story.known.percent == percent
    assert story.waiting is (WaitingFor.SAMPLES if percent == 1 else WaitingFor.HOLD)
    assert story.known.percent == 1 or story.known.exposures is None


def test_one_exposure_is_not_none() -> None:
    story = Story(ramp={"steps": [{"percent": 1, "hold": "1m", "minExposures": 1}, {"percent": 10, "hold": "1m"}]}).ramp_to(1)
    story.wait("1m").decide()
    assert (story.waiting, story.known.percent) == (WaitingFor.SAMPLES, 1)


def test_every_treatment_that_is_drawn_needs_them() -> None:
    story = Story(ramp=SAMPLES, variants=THREE).ramp_to(1).wait("50s")
    take(story, 0, 10, Increases(({"a": 500.0, "b": 99.4, "baseline": 9e9},)))
    assert (story.waiting, counts(story)) == (WaitingFor.SAMPLES, {"a": 500, "b": 99, "idle": 0})
    assert "b has had 99 of 100" in story.condition("Progressing").message
    take(story, 10, 20, Increases(({"b": 0.6},)))
    assert story.known.percent == 10


def test_nothing_is_counted_before_the_first_step() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    pending = story.known.model_copy(update={"phase": "Pending"})
    look = counted(story, 0, 10, Increases(({"on": 5.0},)))
    assert count_exposures(pending, story.spec, look) is None
    unclocked = story.known.model_copy(update={"step_started_at": None})
    assert count_exposures(unclocked, story.spec, look) is None


def test_the_next_step_and_an_edit_start_a_new_count() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    take(story, 0, 10, 30)
    longer = {"steps": [{**SAMPLES["steps"][0], "hold": "2m"}, SAMPLES["steps"][1]]}
    story.edit(ramp=longer).decide()
    assert story.known.exposures is None


def test_a_clock_set_back_starts_the_count_again_rather_than_waiting_for_the_clock() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1).wait("50s")
    take(story, 0, 60, 30)
    story.now -= timedelta(seconds=30)
    story.decide()
    assert story.known.exposures is None
    take(story, 0, 40, 20)
    assert counts(story) == {"on": 20}
