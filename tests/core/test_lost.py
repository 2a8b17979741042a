"""core/lost: a status that is gone is rebuilt from the gate's entry, never higher than what is served."""

import json
from typing import Any

import pytest

from rampgate_operator.core.observation import FORMAT, FORMAT_KEY
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.status import LatchCause
from tests.core.story import BAD, ERRORS, GOOD, KEY, Story, steps

SHIP = {"attempt": 1, "variant": "on"}


def lose(story: Story, **fields: Any) -> Story:
    """Wipe the status, as a restore from a backup does; `fields` of the spec may differ."""
    story.status = None
    return story.edit(**fields)


def rewrite(story: Story, **fields: Any) -> None:
    content = json.loads((story.data or {})[KEY]) | fields
    story.data = {FORMAT_KEY: FORMAT, KEY: json.dumps({name: value for name, value in content.items() if value != "gone"})}


def test_without_status_and_entry_an_attempt_begins() -> None:
    story = Story(attempt=4)
    decision = story.decide()
    assert (story.said, story.known.attempt, story.known.history) == (("Pending", -1, 0.0), 4, ())
    assert (story.known.attempt_started_at, decision.announcements) == (story.now, ())


def test_a_ramp_goes_on_at_what_is_served_with_a_new_clock() -> None:
    story = Story().ramp_to(10).wait("59s")
    entry, generation = story.data, story.entry.generation
    decision = lose(story).decide()
    assert (story.said, story.known.step_started_at) == (("Ramping", 1, 10.0), story.now)
    assert (story.data, story.entry.generation) == (entry, generation)
    assert [each.reason for each in decision.announcements] == [Reason.STATUS_REBUILT]
    assert decision.announcements[0].message == "The status was lost and is rebuilt from the gate's entry: Ramping at 10 %."
    assert story.wait("59s").settle().said == ("Ramping", 1, 10.0)


@pytest.mark.parametrize(
    ("ramp", "said"),
    [
        (steps(1, 5, 50), ("Ramping", 1, 5.0)),
        (steps(1, 10), ("Ramping", 1, 10.0)),
        (steps(10.01, 50), ("Pending", -1, 0.0)),
    ],
    ids=["down to a step", "on the very step", "to before the first"],
)
def test_a_ramp_is_rebuilt_to_the_highest_step_that_raises_nothing(ramp: dict[str, Any], said: tuple[Any, ...]) -> None:
    story = lose(Story().ramp_to(10), ramp=ramp, paused=True)
    before = story.entry
    story.decide()
    assert story.said == said
    assert story.entry.generation >= before.generation
    assert (story.entry.generation > before.generation) is (story.entry.content != before.content)


OTHER_DRAWS = [
    ("salt", {"salt": "another"}),
    ("unit", {"unit": "session"}),
    ("hashInput", {"hashInput": "CBOR"}),
    ("control", {"control": "on", "variants": [{"name": "off", "value": False}, {"name": "on", "value": True}]}),
    ("a weight", {"variants": [{"name": "off", "value": False}, {"name": "on", "value": True, "weight": 3}]}),
    ("a value", {"variants": [{"name": "off", "value": True}, {"name": "on", "value": False}]}),
]


@pytest.mark.parametrize("draw", [row[1] for row in OTHER_DRAWS], ids=[row[0] for row in OTHER_DRAWS])
@pytest.mark.parametrize("ship", [None, SHIP], ids=["ramping", "shipped"])
def test_another_draw_begins_at_0(draw: dict[str, Any], ship: dict[str, Any] | None) -> None:
    story = Story().ramp_to(10)
    if ship:
        story.edit(ship=ship).settle()
    generation = story.entry.generation
    lose(story, ship=None, paused=True, **draw).decide()
    assert (story.said, story.known.attempt) == (("Pending", -1, 0.0), 1)
    assert story.entry.generation > generation


def test_other_eligibility_means_the_same_draw() -> None:
    story = lose(Story().ramp_to(10), eligibility=[{"attribute": "country", "in": ["CA"]}])
    story.decide()
    assert story.said == ("Ramping", 1, 10.0)


@pytest.mark.parametrize(
    ("ending", "phase", "cause"),
    [
        ({"killed": True}, "Killed", LatchCause.KILL),
        ({}, "RolledBack", LatchCause.GUARDRAIL),
        ({"schedule": {"deadline": "2026-12-01T12:00:05Z", "onDeadline": "Rollback"}}, "RolledBack", LatchCause.DEADLINE),
    ],
    ids=["a kill", "a breach", "a deadline"],
)
def test_an_end_is_remembered_by_the_entry(ending: dict[str, Any], phase: str, cause: LatchCause) -> None:
    story = Story(guardrails=[ERRORS], ramp=steps(50)).ramp_to(50).edit(**ending).wait("30s")
    story.decide_with(GOOD if ending else BAD)
    entry = story.data
    lose(story, killed=None, schedule=None).settle()
    latch = story.known.latch
    assert latch is not None
    assert (story.said, latch.cause, latch.attempt, latch.from_percent, story.data) == ((phase, -1, 0.0), cause, 1, 0.0, entry)
    assert latch.message == "Attempt 1 was ended: everybody is on control. To begin again, set spec.attempt to 2 or higher."
    story.edit(attempt=2).decide()
    assert story.said[0] == "Pending"


@pytest.mark.parametrize("words", [{"latch": "Freeze"}, {"serve": "FROZEN"}, {"latch": "Freeze", "serve": "FROZEN"}])
def test_an_end_in_a_word_of_a_newer_operator_is_an_end(words: dict[str, str]) -> None:
    story = Story().ramp_to(10)
    rewrite(story, **words)
    story.status = None
    story.settle()
    assert (story.said[0], story.known.latch and story.known.latch.cause) == ("RolledBack", LatchCause.GUARDRAIL)


def test_a_shipped_feature_stays_shipped() -> None:
    story = Story().ramp_to(1).edit(ship=SHIP).settle()
    entry = story.data
    lose(story, ship=None).settle()
    assert (story.said, story.known.shipped, story.data) == (("Shipped", -1, 100.0), "on", entry)


def test_a_ship_of_a_variant_that_is_not_there_begins_at_0() -> None:
    story = Story().ramp_to(1).edit(ship=SHIP).settle()
    rewrite(story, ship="unheard-of")
    lose(story, ship=None, paused=True).settle()
    assert story.said[0] == "Pending"


def test_a_completed_ramp_bakes_again() -> None:
    story = Story(ramp=steps(100)).ramp_to(100).wait("1m").settle()
    assert story.said[0] == "Completed"
    lose(story).settle()
    assert story.said == ("Ramping", 0, 100.0)


def test_the_attempt_of_the_entry_is_kept_when_the_spec_asks_for_less_and_left_when_it_asks_for_more() -> None:
    story = lose(Story(attempt=3).ramp_to(10), attempt=2)
    story.decide()
    assert (story.known.attempt, story.condition("Valid").reason) == (3, Reason.ATTEMPT_TOO_LOW)
    lose(story, attempt=4).decide()
    assert (story.known.attempt, story.said) == (4, ("Pending", -1, 0.0))
    assert [each.reason for each in story.known.history] == [Reason.STATUS_REBUILT, Reason.ATTEMPT_STARTED]


@pytest.mark.parametrize("line", ["", "no json", "[]", "{}", '{"format":1}'])
def test_an_entry_that_cannot_be_read_is_no_memory(line: str) -> None:
    story = Story().ramp_to(10)
    assert story.data is not None
    story.data[KEY] = line
    lose(story, paused=True).decide()
    assert story.said == ("Pending", -1, 0.0)
    assert story.entry.content["percent"] == 0


@pytest.mark.parametrize(
    ("mend", "said"),
    [
        ({}, ("Ramping", 1, 10.0)),
        ({"ramp": steps(1, 5)}, ("Ramping", 1, 5.0)),
        ({"ramp": steps(50)}, ("Pending", -1, 0.0)),
    ],
    ids=["the same steps", "lower ones", "higher ones"],
)
def test_without_an_accepted_spec_what_is_served_stays_and_finds_its_step_later(mend: dict[str, Any], said: tuple[Any, ...]) -> None:
    story = Story().ramp_to(10)
    before, drawn = story.data and dict(story.data), story.known.draw_digest
    lose(story, invalid="no")
    story.accepted = None
    story.decide()
    assert (story.said, story.data, story.known.draw_digest) == (("Ramping", -1, 10.0), before, drawn)
    story.edit(invalid=None, paused=True, **mend).decide()
    assert story.said == said


def test_without_an_accepted_spec_a_shipped_feature_stays_shipped() -> None:
    story = Story().ramp_to(1).edit(ship=SHIP).settle()
    entry = story.data
    lose(story, invalid="no", ship=None)
    story.accepted = None
    story.settle()
    assert (story.said[0], story.known.shipped, story.data) == ("Shipped", "on", entry)
    assert story.edit(owner="others").settle().said[0] == "Shipped"


@pytest.mark.parametrize("percent", [0, 0.001])
def test_without_an_accepted_spec_what_serves_nobody_is_before_the_first_step(percent: float) -> None:
    story = Story(paused=True).settle()
    rewrite(story, percent=percent)
    lose(story, invalid="no")
    story.accepted = None
    story.decide()
    assert story.said == ("Pending", -1, 0.0)


@pytest.mark.parametrize("broken", [{"variants": "gone"}, {"variants": [1]}, {"format": 2}, {"hashInput": "MD5"}])
def test_an_entry_of_which_pods_serve_control_begins_at_0(broken: dict[str, Any]) -> None:
    story = Story().ramp_to(10)
    rewrite(story, **broken)
    lose(story, invalid="no")
    story.accepted = None
    story.decide()
    assert story.said == ("Pending", -1, 0.0)
