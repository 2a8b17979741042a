"""core/exposures: first exposures since the step began, neither lost nor counted twice."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from rampgate_operator.core.exposures import take_in_exposures
from rampgate_operator.core.looks import Answer, Exposed, Value
from rampgate_operator.core.observation import ExposureLook
from rampgate_operator.core.status import WaitingFor
from tests.core.shop import exposed
from tests.core.story import FAILED, NO_DATA, Story

SAMPLES = {"steps": [{"percent": 1, "hold": "1m", "minExposures": 100}, {"percent": 10, "hold": "1m"}]}
LONG = {"steps": [{**SAMPLES["steps"][0], "hold": "1h"}]}
THREE = [{"name": "off", "value": 0}, {"name": "a", "value": 1}, {"name": "b", "value": 2}, {"name": "idle", "value": 3, "weight": 0}]


def counted(story: Story, seconds: tuple[int, ...], answer: Answer) -> ExposureLook:
    """A look at the windows between these seconds after the step began."""
    began = story.known.step_started_at
    assert began is not None
    since, *cuts, until = (began + timedelta(seconds=second) for second in seconds)
    return ExposureLook(since=since, cuts=tuple(cuts), until=until, answer=answer)


def take(story: Story, *seconds: int, of: Any) -> None:
    """Wait 10 s and take in what a look brought: an answer, treatment's number among what is drawn at 1 %, or one window's counts."""
    answer = (
        exposed({"on": of, "off": of, "baseline": 198 * of})
        if isinstance(of, int | float)
        else exposed(of)
        if isinstance(of, Mapping)
        else of
    )
    story.wait("10s").decide(exposures=counted(story, seconds, answer))


def counts(story: Story) -> dict[str, int]:
    return {seen.variant: seen.count for seen in story.known.exposures.variants} if story.known.exposures else {}


def problem(story: Story) -> str | None:
    return story.known.exposures.problem if story.known.exposures else None


def watermark(story: Story) -> float | None:
    known, began = story.known.exposures, story.known.step_started_at
    return (known.counted_to - began).total_seconds() if known and began else None


def test_counts_add_up_over_disjoint_windows() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    take(story, 0, 10, of=30)
    take(story, 10, 25, of=40)
    assert (counts(story), watermark(story)) == ({"off": 70, "on": 70, "baseline": 70 * 198}, 25)


def test_every_arm_and_the_baseline_are_counted_and_nobody_who_was_not_drawn() -> None:
    story = Story(ramp=SAMPLES, variants=THREE).ramp_to(1)
    take(story, 0, 10, of={"off": 1.0, "a": 2.0, "b": 3.0, "idle": 4.0, "baseline": 5.0, "override": 6.0, "none": 7.0, "": 8.0})
    assert counts(story) == {"off": 1, "a": 2, "b": 3, "baseline": 5}


def test_a_window_that_was_skipped_leaves_a_gap() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    take(story, 0, 10, of=30)
    take(story, 15, 20, of=5)
    assert counts(story)["on"] == 35


def test_a_look_that_overlaps_what_was_counted_is_void() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    take(story, -1, 10, of=1000)
    assert counts(story) == {}
    take(story, 0, 10, of=30)
    take(story, 9, 20, of=1000)
    take(story, 0, 10, of=30)
    assert counts(story)["on"] == 30


SEEN, NOTHING = {"on": 1.0}, dict[str, float]()
ENDS = [
    ("all windows have samples", (SEEN, SEEN, SEEN), 3, 30),
    ("the last ones are not scraped yet", (SEEN, NOTHING, NOTHING), 1, 10),
    ("scrapes are rarer than windows", (NOTHING, SEEN, NOTHING), 1, 20),
    ("nothing was scraped yet", (NOTHING, NOTHING, NOTHING), 0, None),
    ("nothing rose, but it was scraped", ({"on": 0.0}, {"on": 0.0}, NOTHING), 0, 20),
]


@pytest.mark.parametrize(("windows", "count", "to"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
def test_windows_count_up_to_the_last_that_has_a_sample(windows: tuple[dict[str, float], ...], count: int, to: float | None) -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    take(story, 0, 10, 20, 30, of=exposed(*windows))
    assert (counts(story).get("on", 0), watermark(story), problem(story)) == (count, to, None)


def test_a_failure_is_told_and_loses_no_window() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    take(story, 0, 10, of=30)
    take(story, 10, 20, of=FAILED)
    assert (counts(story)["on"], watermark(story)) == (30, 10)
    assert "(not counted now: no answer in 5 s)" in story.condition("Progressing").message
    take(story, 10, 30, of=30)
    assert (counts(story)["on"], problem(story)) == (60, None)


@pytest.mark.parametrize("answer", [NO_DATA, exposed(NOTHING)], ids=["no series", "no sample"])
@pytest.mark.parametrize(("interval", "seconds", "told"), [("10s", 119, False), ("10s", 120, True), ("5m", 599, False), ("5m", 600, True)])
def test_an_application_that_counts_nothing_is_told_after_a_while(answer: Answer, interval: str, seconds: int, told: bool) -> None:
    story = Story(ramp=LONG, interval=interval).ramp_to(1)
    take(story, 0, seconds, of=answer)
    assert (problem(story) is not None, watermark(story)) == (told, 0 if told else None)


def test_what_is_told_says_what_is_missing() -> None:
    story = Story(ramp=LONG).ramp_to(1)
    take(story, 0, 120, of=NO_DATA)
    assert problem(story) == "no series"
    take(story, 0, 130, of=exposed(NOTHING))
    assert problem(story) == "rampgate_first_exposures_total of this gate has no sample"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 1e13, 1e300, 1.7e308])
def test_a_number_that_no_counter_rises_by_is_told_and_not_counted(number: float) -> None:
    story = Story(ramp=LONG).ramp_to(1)
    take(story, 0, 10, of=number)
    assert (problem(story), watermark(story)) == (f"rampgate_first_exposures_total of on rose by {number:g}: no counter does", 0)


def test_numbers_whose_sum_is_none_keep_no_breach_from_being_seen() -> None:
    """They are of one counter of a broken process; a decision that fails on them takes no other reading in either."""
    story = Story(ramp=LONG).ramp_to(1)
    answer = Exposed(windows=({"on": 1.7e308}, {"on": 1.7e308}), settled=(True, True), processes=1)
    story.wait("10s").decide(exposures=counted(story, (0, 5, 10), answer))
    assert (problem(story), counts(story)) == ("rampgate_first_exposures_total of on rose by 1.7e+308: no counter does", {})


def test_an_answer_to_something_else_counts_nothing() -> None:
    story = Story(ramp=LONG).ramp_to(1)
    take(story, 0, 10, of=Value(3.0))
    assert story.known.exposures is None


@pytest.mark.parametrize(("number", "percent"), [(99, 1), (100, 10)])
def test_a_step_needs_its_exposures(number: int, percent: float) -> None:
    story = Story(ramp=SAMPLES).ramp_to(1).wait("50s")
    take(story, 0, 60, of=number)
    assert story.known.percent == percent
    assert story.waiting is (WaitingFor.SAMPLES if percent == 1 else WaitingFor.HOLD)
    assert story.known.percent == 1 or story.known.exposures is None


def test_one_exposure_is_not_none() -> None:
    story = Story(ramp={"steps": [{"percent": 1, "hold": "1m", "minExposures": 1}, {"percent": 10, "hold": "1m"}]}).ramp_to(1)
    story.wait("1m").decide()
    assert (story.waiting, story.known.percent) == (WaitingFor.SAMPLES, 1)


def test_every_treatment_that_is_drawn_needs_them() -> None:
    story = Story(ramp=SAMPLES, variants=THREE).ramp_to(1).wait("50s")
    take(story, 0, 10, of={"a": 120.0, "b": 99.4, "off": 110.0, "baseline": 33_000.0})
    assert (story.waiting, counts(story)) == (WaitingFor.SAMPLES, {"off": 110, "a": 120, "b": 99, "baseline": 33_000})
    assert "b has had 99 of 100" in story.condition("Progressing").message
    take(story, 10, 20, of={"b": 0.6})
    assert story.known.percent == 10


def test_nothing_is_counted_before_the_first_step() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    look = counted(story, (0, 10), Exposed(({"on": 5.0},), (True,), 1))
    for before in ({"phase": "Pending"}, {"step_started_at": None}):
        taken = take_in_exposures(story.known.model_copy(update=before), story.spec, [look])
        assert (taken.exposures, taken.sample_ratios) == (None, ())


def test_the_next_step_starts_a_new_count() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1).wait("50s")
    take(story, 0, 60, of=100)
    assert (story.known.percent, story.known.exposures) == (10, None)


def test_an_edit_that_leaves_the_percentage_forgets_nobody_whom_pods_would_not_count_again() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    take(story, 0, 10, of=99)
    longer = {"steps": [{**SAMPLES["steps"][0], "hold": "2m"}, SAMPLES["steps"][1]]}
    story.edit(ramp=longer).decide()
    assert (counts(story)["on"], story.known.step_started_at) == (99, story.now)
    take(story, 0, 10, of=1)
    assert story.wait("2m").decide().status.percent == 10


def test_looks_that_come_together_are_all_taken_in() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1)
    looks = (counted(story, (0, 10), exposed({"on": 3.0})), counted(story, (10, 20), exposed({"on": 4.0})))
    assert story.known.exposures is None
    taken = take_in_exposures(story.known, story.spec, looks)
    assert taken.exposures is not None
    assert {seen.variant: seen.count for seen in taken.exposures.variants}["on"] == 7


def test_a_clock_set_back_starts_the_count_again_rather_than_waiting_for_the_clock() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1).wait("50s")
    take(story, 0, 60, of=30)
    story.now -= timedelta(seconds=30)
    story.decide()
    assert story.known.exposures is None
    take(story, 0, 40, of=20)
    assert counts(story)["on"] == 20
