"""core/questions: what is asked of Prometheus, when, and what the answers are answers to."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from rampgate_operator.core.looks import Kind, Metric, Value
from rampgate_operator.core.questions import ask, is_looking, read_answers
from rampgate_operator.core.waiting import find_all
from tests.core.shop import exposed
from tests.core.story import BAD, ERRORS, GOOD, NOON, Story, steps

SAMPLES = {"steps": [{"percent": 1, "hold": "1h", "minExposures": 100}, {"percent": 10, "hold": "1m"}]}
BY_VARIANT = {"name": "slow", "query": 'avg_over_time(latency{variant="$variant",gate="$gate"}[5m])', "max": 1}
THREE = [{"name": "off", "value": 0}, {"name": "a", "value": 1}, {"name": "b", "value": 2}, {"name": "idle", "value": 3, "weight": 0}]
LOOKBACKS = {"default": timedelta(minutes=5)}


def looking(story: Story) -> bool:
    return is_looking(story.situation(), find_all(story.situation()))


def happens(phase: str) -> Story:
    story = Story(guardrails=[ERRORS], ramp=steps(100))
    story.settle()
    if phase == "Completed":
        story.wait("1m").settle()
    elif phase == "RolledBack":
        story.wait("1s").decide_with(BAD)
    elif phase != "Ramping":
        story.edit(**({"killed": True} if phase == "Killed" else {"ship": {"attempt": 1, "variant": "on"}})).settle()
    assert story.said[0] == phase
    return story


@pytest.mark.parametrize(
    ("phase", "costs"), [("Ramping", True), ("Completed", False), ("Shipped", False), ("RolledBack", False), ("Killed", False)]
)
def test_only_a_ramp_under_way_costs_looks(phase: str, costs: bool) -> None:
    story = happens(phase)
    assert (looking(story), story.decide().look_every) == (costs, timedelta(seconds=10) if costs else None)


@pytest.mark.parametrize(
    ("fields", "looks"),
    [
        ({}, True),
        ({"paused": True}, False),
        ({"schedule": {"notBefore": "2027-01-01T00:00:00Z"}}, False),
        ({"ramp": steps(1, approval=True)}, False),
        ({"guardrails": None}, False),
    ],
    ids=["only readings are missing", "paused", "too early", "not approved", "nothing to read"],
)
def test_before_the_first_step_it_looks_when_readings_alone_are_missing(fields: dict[str, Any], looks: bool) -> None:
    story = Story(guardrails=[ERRORS]).edit(**fields)
    story.decide()
    assert story.decide().look_every == (timedelta(seconds=10) if looks else None)


def test_a_breach_before_the_first_step_is_looked_at_again() -> None:
    story = Story(guardrails=[ERRORS])
    story.decide()
    assert story.decide_with(BAD).look_every is not None


@pytest.mark.parametrize("edit", [{"paused": True}, {"invalid": "no"}], ids=["paused", "invalid"])
def test_a_ramp_that_is_held_is_guarded(edit: dict[str, Any]) -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).edit(**edit)
    assert story.decide().look_every is not None


def test_a_step_that_counts_exposures_is_looked_at_without_guardrails() -> None:
    assert Story(ramp=SAMPLES).ramp_to(1).decide().look_every is not None
    assert Story().ramp_to(1).decide().look_every is None


def test_a_query_is_confined_filled_in_and_asked_once_per_treatment_that_is_drawn() -> None:
    story = Story(guardrails=[BY_VARIANT, ERRORS], variants=THREE)
    story.decide()
    asked = ask(story.situation(), LOOKBACKS)
    slow, errors = asked.guardrails
    assert {name: request.query for name, request in slow.requests.items()} == {
        name: f'avg_over_time(latency{{variant="{name}",gate="new-checkout",namespace="shop"}}[5m])' for name in ("a", "b")
    }
    assert {name: request.query for name, request in errors.requests.items()} == {"": 'errors{namespace="shop"}'}
    assert {request.at for request in asked.requests} == {story.now}
    assert (asked.exposures, len(asked.requests), len({request.key for request in asked.requests})) == (None, 3, 3)


@pytest.mark.parametrize(
    ("fields", "lookbacks", "reach"),
    [
        (BY_VARIANT, LOOKBACKS, "5m"),
        (ERRORS, LOOKBACKS, "5m"),
        (ERRORS, {"default": timedelta(seconds=30)}, "30s"),
        (ERRORS, {}, "5m"),
        ({**ERRORS, "source": "other"}, {"other": timedelta(minutes=2)}, "2m"),
    ],
    ids=["a range", "an instant", "a shorter lookback", "a source that says nothing", "another source"],
)
def test_how_far_back_a_reading_reaches(fields: dict[str, Any], lookbacks: dict[str, timedelta], reach: str) -> None:
    story = Story(guardrails=[fields]).settle()
    (question,) = ask(story.situation(), lookbacks).guardrails
    assert story.now - question.reads_from == timedelta(**{"m": {"minutes": int(reach[:-1])}, "s": {"seconds": int(reach[:-1])}}[reach[-1]])


def test_answers_are_put_to_what_was_asked() -> None:
    story = Story(guardrails=[BY_VARIANT, ERRORS], ramp=SAMPLES).ramp_to(1).wait("1m")
    asked = ask(story.situation(), LOOKBACKS)
    values = {request.key: Value(float(index)) for index, request in enumerate(asked.requests[:-1])}
    assert asked.exposures is not None
    looks, exposures = read_answers(asked, {**values, asked.exposures.key: exposed(*[{"on": 1}] * 5)})
    assert [(look.guardrail, look.answers, look.at, look.attempt) for look in looks] == [
        ("slow", {"on": Value(0.0)}, story.now, 1),
        ("errors", {"": Value(1.0)}, story.now, 1),
    ]
    assert [look.digest for look in looks] == [question.digest for question in asked.guardrails]
    assert [look.reads_from for look in looks] == [question.reads_from for question in asked.guardrails]
    assert exposures is not None
    assert (exposures.since, exposures.until, exposures.answer) == (NOON, story.looking_ahead(-10), exposed(*[{"on": 1}] * 5))
    assert exposures.windows == tuple(pairwise(asked.exposures.edges))
    story.decide(*looks, exposures=exposures)
    assert story.known.guardrail("errors") is not None


def test_without_exposures_there_are_looks_alone() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1)
    asked = ask(story.situation(), LOOKBACKS)
    assert read_answers(asked, {request.key: GOOD for request in asked.requests})[1] is None


@pytest.mark.parametrize(
    ("fields", "waited", "ends"),
    [
        ({}, "19s", None),
        ({}, "20s", (0, 10)),
        ({}, "59s", (0, 10, 20, 30, 40)),
        ({"interval": "30s"}, "1m", (0, 30)),
        ({"interval": "2s"}, "6s", (0, 2, 4)),
        ({"interval": "5m"}, "20m", (300, 600, 900)),
        ({}, "20m", tuple(range(590, 1200, 10))),
        ({"interval": "1h"}, "25m", (600, 1200)),
    ],
    ids=[
        "too soon", "one window", "several windows", "as long as an interval", "a shorter interval lags less", "no more than ten minutes",
        "and no more", "no window is longer than ten minutes",
    ],
)  # fmt: skip
def test_exposures_are_counted_a_little_in_the_past_in_windows_on_the_grid(
    fields: dict[str, Any], waited: str, ends: tuple[int, ...] | None
) -> None:
    story = Story(ramp=SAMPLES, **fields).ramp_to(1).wait(waited)
    request = ask(story.situation(), LOOKBACKS).exposures
    if ends is None:
        assert (request, ask(story.situation(), LOOKBACKS).requests) == (None, ())
        return
    assert request is not None
    assert request.edges == tuple(NOON + timedelta(seconds=seconds) for seconds in ends)
    assert (request.kind, request.metric) == (Kind.EXPOSURES, Metric(name="rampgate_first_exposures_total", gate="new-checkout"))
    assert (request.source, request.tenant, request.generation) == ("default", "shop", story.entry.generation)


def test_the_next_count_begins_where_the_last_ended() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1).wait("59s")
    asked = ask(story.situation(), LOOKBACKS)
    assert asked.exposures is not None
    _, look = read_answers(asked, {asked.exposures.key: exposed({"on": 1}, {}, {"on": 1}, {})})
    story.decide(exposures=look)
    following = ask(story.wait("10s").situation(), LOOKBACKS).exposures
    assert following is not None
    assert following.edges == tuple(NOON + timedelta(seconds=seconds) for seconds in (30, 40, 50))


def test_after_an_edit_of_the_interval_what_is_left_of_a_window_is_a_shorter_one() -> None:
    story = Story(ramp=SAMPLES).ramp_to(1).wait("39s")
    asked = ask(story.situation(), LOOKBACKS)
    assert asked.exposures is not None
    _, look = read_answers(asked, {asked.exposures.key: exposed({"on": 1}, {})})
    story.decide(exposures=look)
    following = ask(story.edit(interval="15s").wait("20s").situation(), LOOKBACKS).exposures
    assert following is not None
    assert following.edges == tuple(NOON + timedelta(seconds=seconds) for seconds in (10, 15, 30, 45))


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({}, False),
        ({"guardrails": [ERRORS]}, True),
        ({"ramp": {"steps": [{"percent": 1, "hold": "1m"}, {"percent": 5, "hold": "1m", "minExposures": 1}]}}, True),
    ],
    ids=["nothing asks for them", "something is guarded", "a later step waits for them"],
)
def test_exposures_are_counted_where_something_is_guarded_or_waits_for_them(fields: dict[str, Any], counts: bool) -> None:
    story = Story(**fields).ramp_to(1).wait("30s")
    assert (ask(story.situation(), LOOKBACKS).exposures is not None) is counts
