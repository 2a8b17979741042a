"""core/decide: one decision, whole: at most one step, numbered rules, and when to decide again."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampgate_operator.core.checkpoint import must_persist
from rampgate_operator.core.compile import draw_digest
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, KILL_KEY, ExposureLook
from rampgate_operator.core.status import WaitingFor
from tests.core.shop import exposed
from tests.core.story import BAD, ERRORS, GOOD, KEY, NO_DATA, NOON, Story, steps


def put(story: Story, key: str, value: str | None) -> None:
    assert story.data is not None
    story.data.pop(key, None)
    story.data |= {} if value is None else {key: value}


def test_a_ramp_goes_from_0_to_its_end_by_schedule() -> None:
    story = Story(guardrails=[ERRORS])
    seen = []
    for minute in range(5):
        story.settle()
        seen.append((story.now - NOON, *story.said))
        assert story.known.next_step_at == (None if minute == 4 else story.now + timedelta(minutes=1))
        story.wait("1m")
    assert seen == [
        (timedelta(minutes=minute), phase, step, percent)
        for minute, phase, step, percent in [
            (0, "Ramping", 0, 1), (1, "Ramping", 1, 10), (2, "Ramping", 2, 50), (3, "Ramping", 3, 100), (4, "Completed", 3, 100),
        ]
    ]  # fmt: skip
    assert [each.percent for each in story.known.history] == [1, 10, 50, 100, 100]


def test_a_late_decision_makes_one_step() -> None:
    story = Story().ramp_to(1).wait("7d")
    decision = story.decide()
    assert (story.said, decision.recheck_at) == (("Ramping", 1, 10.0), story.looking_ahead(60))


def test_steps_without_a_hold_are_made_one_per_decision() -> None:
    story = Story(ramp=steps(1, 10, 50, hold="0s"))
    story.decide()
    for percent in (1, 10, 50):
        assert story.decide().recheck_at == story.now
        assert story.known.percent == percent
    assert (story.decide().recheck_at, story.said[0]) == (None, "Completed")


def test_a_breach_on_the_tick_of_a_due_step_wins() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).wait("1m")
    story.decide_with(BAD)
    assert (story.said, story.entry.content["percent"]) == (("RolledBack", -1, 0.0), 0)


def test_deciding_again_with_nothing_new_changes_nothing() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(10)
    before, data = story.known, story.data and dict(story.data)
    decision = story.decide()
    assert (story.known, story.data, decision.announcements) == (before, data, ())
    assert not must_persist(before, decision.status)


# --- the entry's number ---


def test_the_first_generation_is_the_time_and_each_change_is_one_more() -> None:
    story = Story()
    story.decide()
    assert story.entry.generation == int(NOON.timestamp())
    numbers = []
    for edit in (
        {"overrides": [{"variant": "on", "units": ["qa"]}]},
        {"owner": "others"},
        {"killed": True},
        {"killed": None, "attempt": 2},
    ):
        story.wait("1s").edit(paused=True, **edit).decide()
        numbers.append(story.entry.generation - int(NOON.timestamp()))
    assert numbers == [1, 1, 2, 3]
    assert story.known.rules is not None
    assert (story.known.rules.generation, story.known.rules.rendered_at) == (story.entry.generation, story.now)


def test_a_clock_that_was_set_back_does_not_lower_the_generation() -> None:
    story = Story().ramp_to(1)
    before = story.entry.generation
    story.now -= timedelta(days=1)
    story.edit(overrides=[{"variant": "on", "units": ["qa"]}]).decide()
    assert story.entry.generation == before + 1


def test_the_number_rises_above_what_stands_in_the_config_map() -> None:
    story = Story().ramp_to(1)
    content = json.loads((story.data or {})[KEY])
    put(story, KEY, json.dumps(content | {"generation": content["generation"] + 1000, "percent": 100}))
    story.decide()
    assert (story.entry.generation, story.entry.content["percent"]) == (content["generation"] + 1001, 1)


@pytest.mark.parametrize(
    ("change", "rise"),
    [({"percent": 100}, 1), ({"generation": 5, "percent": 100}, 0), ({}, 0)],
    ids=["another content under our number", "an older number", "another spelling"],
)
def test_drift_is_repaired_under_a_number_that_pods_take_for_newer(change: dict[str, Any], rise: int) -> None:
    story = Story().ramp_to(1)
    before = (story.data or {})[KEY]
    content = json.loads(before)
    put(story, KEY, json.dumps(content | change, indent=1))
    story.decide()
    assert (story.entry.generation, story.entry.content["percent"]) == (content["generation"] + rise, 1)
    assert rise or (story.data or {})[KEY] == before


def test_a_removed_entry_comes_back_as_it_was() -> None:
    story = Story().ramp_to(10)
    before = (story.data or {})[KEY]
    put(story, KEY, None)
    story.decide()
    assert (story.data or {})[KEY] == before


def test_an_entry_that_is_gone_does_not_lower_the_number_of_the_next() -> None:
    story = Story().ramp_to(10)
    before = story.entry.generation
    put(story, KEY, None)
    story.edit(overrides=[{"variant": "on", "units": ["qa"]}]).decide()
    assert story.entry.generation == before + 1


def test_an_entry_of_another_hand_is_what_a_status_without_rules_counts_from() -> None:
    story = Story().ramp_to(1)
    after = story.entry.generation + 5
    put(story, KEY, json.dumps({**story.entry.content, "generation": after}))
    story.status = story.known.model_copy(update={"rules": None})
    story.decide()
    assert story.entry.generation == after + 1


# --- what pods do not obey stops the clock ---

SAMPLES = {"steps": [{"percent": 1, "hold": "1m", "minExposures": 100}]}
OUTAGES = [
    ("break-glass", KILL_KEY, "*", None),
    ("a foreign ConfigMap", FORMAT_KEY, "theirs", FORMAT),
    ("an entry that somebody else wrote", KEY, "{}", "ours"),
]


@pytest.mark.parametrize(("key", "value", "back"), [row[1:] for row in OUTAGES], ids=[row[0] for row in OUTAGES])
def test_after_an_outage_of_the_rules_the_clock_starts_again(key: str, value: str, back: str | None) -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(10).wait("59s")
    entry = (story.data or {})[KEY]
    put(story, key, value)
    for _ in range(3):
        story.decide(story.look(GOOD), serve=False)
        assert (story.said, story.condition("RulesRendered").status) == (("Ramping", 1, 10.0), "False")
        story.wait("1h")
    put(story, key, entry if back == "ours" else back)
    story.decide()
    assert (story.said, story.known.step_started_at) == (("Ramping", 1, 10.0), story.now)
    assert (story.known.guardrails == ()) is (key == KILL_KEY)  # nobody knows why the glass was broken: nothing from before counts
    restarted = story.now
    story.wait("59s").settle()
    assert (story.said, story.known.step_started_at) == (("Ramping", 1, 10.0), restarted)
    assert story.wait("1s").settle().said == ("Ramping", 2, 50.0)


@pytest.mark.parametrize(("key", "value", "back"), [row[1:] for row in OUTAGES], ids=[row[0] for row in OUTAGES])
def test_after_an_outage_nobody_is_forgotten_whom_pods_would_not_count_again(key: str, value: str, back: str | None) -> None:
    story = Story(ramp=SAMPLES).ramp_to(1).wait("30s")
    story.decide(exposures=ExposureLook(since=NOON, until=story.now, answer=exposed({"on": 60, "off": 60, "baseline": 11_880})))
    entry = (story.data or {})[KEY]
    put(story, key, value)
    story.decide(serve=False)
    put(story, key, entry if back == "ours" else back)
    story.wait("1m").decide()
    assert story.known.exposures is not None
    assert {each.variant: each.count for each in story.known.exposures.variants} == {"off": 60, "on": 60, "baseline": 11_880}


def test_who_was_exposed_before_a_step_was_ever_served_does_not_count_for_it() -> None:
    story = Story(ramp={"steps": [{"percent": 1, "hold": "1m"}, {**SAMPLES["steps"][0], "percent": 10}]}).ramp_to(1)
    story.wait("1m").decide(serve=False)
    assert story.known.percent == 10
    late = ExposureLook(since=story.now, until=story.now + timedelta(minutes=1), answer=exposed({"on": 60, "off": 60, "baseline": 11_880}))
    story.wait("1m").decide(exposures=late, serve=False)
    assert story.known.exposures is None
    story.serve()
    story.wait("1s").decide()
    assert (story.known.step_started_at, story.known.exposures) == (story.now, None)


def test_evidence_begins_anew_when_the_glass_is_mended_though_the_entry_is_still_another_hand_s() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(10)
    entry = (story.data or {})[KEY]
    put(story, KILL_KEY, "*")
    put(story, KEY, "{}")
    story.decide(serve=False)
    put(story, KILL_KEY, None)
    story.decide(serve=False)
    assert story.known.guardrails == ()
    put(story, KEY, entry)
    story.wait("1m").decide()
    assert (story.known.guardrails, story.known.step_started_at) == ((), story.now)


def test_what_draws_the_units_is_remembered_from_the_first_step_to_the_end_of_the_attempt() -> None:
    story = Story(paused=True).settle()
    assert story.known.draw_digest == ""
    drawn = story.edit(paused=None).settle().known.draw_digest
    assert drawn == draw_digest(story.entry.content)
    assert story.edit(ship={"attempt": 1, "variant": "on"}).settle().known.draw_digest == drawn
    assert story.edit(killed=True).settle().known.draw_digest == drawn
    assert story.edit(killed=None, attempt=2, paused=True).settle().known.draw_digest == ""


def test_an_outage_before_the_first_step_has_no_clock_to_start() -> None:
    story = Story(paused=True).settle()
    put(story, KILL_KEY, "*")
    story.decide()
    put(story, KILL_KEY, None)
    story.decide()
    assert (story.said, story.known.step_started_at) == (("Pending", -1, 0.0), None)


def test_an_edit_of_the_steps_during_an_outage_is_taken_in_after_it() -> None:
    story = Story().ramp_to(10)
    put(story, KILL_KEY, "*")
    story.decide()
    put(story, KILL_KEY, None)
    story.edit(ramp=steps(1, 5)).decide()
    assert story.said == ("Ramping", 1, 5.0)


def test_no_next_step_is_announced_while_the_glass_is_broken() -> None:
    story = Story().ramp_to(10)
    put(story, KILL_KEY, "*")
    story.wait("5s").decide()
    assert story.known.next_step_at is None
    put(story, KILL_KEY, None)
    story.decide()
    assert story.known.next_step_at == story.now + timedelta(minutes=1)


def test_break_glass_does_not_keep_a_breach_from_acting() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(10)
    put(story, KILL_KEY, "*")
    story.wait("5s").decide_with(BAD)
    assert story.said[0] == "RolledBack"


def test_an_ended_ramp_has_no_clock_to_start_after_an_outage() -> None:
    story = Story(ramp=steps(100)).ramp_to(100).wait("1m").settle()
    before = story.known
    put(story, KILL_KEY, "*")
    story.wait("1m").decide()
    assert (story.said[0], story.condition("RulesRendered").reason) == ("Completed", "BreakGlass")
    put(story, KILL_KEY, None)
    story.wait("1m").decide()
    assert story.known.step_started_at == before.step_started_at


# --- a clock that was set back ---


def test_a_clock_set_back_stretches_a_hold_by_no_more_than_itself() -> None:
    story = Story().ramp_to(1).wait("30s")
    story.now -= timedelta(days=1)
    assert story.decide().recheck_at == story.looking_ahead(60)
    assert story.known.step_started_at == story.now
    story.wait("1m").decide()
    assert story.said == ("Ramping", 1, 10.0)


def test_a_clock_set_back_keeps_no_breach_from_counting() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1)
    story.now -= timedelta(days=1)
    story.decide()
    assert story.known.attempt_started_at == story.now
    story.wait("10s").decide_with(BAD)
    assert story.said[0] == "RolledBack"


def test_a_clock_set_forward_makes_one_step_at_a_time() -> None:
    story = Story().ramp_to(1)
    story.now += timedelta(days=400)
    story.decide()
    assert story.said == ("Ramping", 1, 10.0)


# --- an invalid spec ---


def test_an_invalid_spec_switches_nothing_off_and_obeys_pause_and_kill() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(10)
    before = (story.data or {})[KEY]
    story.edit(invalid="no", ramp={"steps": []}, guardrails=None, overrides=[{"variant": "x", "units": ["a"]}]).wait("1h")
    story.decide(story.look(GOOD))
    assert (story.said, story.waiting, (story.data or {})[KEY]) == (("Ramping", 1, 10.0), WaitingFor.INVALID, before)
    story.edit(invalid="no", paused=True).decide()
    assert story.waiting is WaitingFor.INVALID
    story.edit(invalid="no", killed=True).decide()
    assert story.said[0] == "Killed"


def test_an_invalid_spec_does_not_begin_again_until_it_is_mended() -> None:
    story = Story().ramp_to(10).edit(invalid="no", attempt=2).settle()
    assert (story.known.attempt, story.said) == (1, ("Ramping", 1, 10.0))
    story.edit(owner="others").decide()
    assert (story.known.attempt, story.said) == (2, ("Pending", -1, 0.0))


def test_a_spec_that_is_mended_goes_on_where_it_was() -> None:
    story = Story().ramp_to(10).edit(invalid="no").wait("5m").settle().edit(owner="others").settle()
    assert story.said == ("Ramping", 2, 50.0)


def test_a_first_spec_that_is_invalid_waits_and_serves_nothing() -> None:
    story = Story().edit(invalid="no")
    story.accepted = None
    decision = story.decide()
    assert (story.said, story.waiting, story.known.rules) == (("Pending", -1, 0.0), WaitingFor.INVALID, None)
    assert (decision.recheck_at, decision.look_every, KEY in (story.data or {})) == (None, None, False)


# --- when to decide again ---

RECHECKS: list[tuple[str, dict[str, Any], str, int | None]] = [
    ("the end of the hold", {}, "10s", 50),
    ("the start of the schedule", {"schedule": {"notBefore": "2026-12-01T12:05:00Z"}}, "10s", 50),
    ("the start of the schedule, past the hold", {"schedule": {"notBefore": "2026-12-01T12:05:00Z"}}, "1m", 240),
    ("the opening of a window", {"schedule": {"windows": [{"days": ["Tue"], "from": "13:00", "to": "14:00"}]}}, "1m", 3540),
    ("a deadline that rolls back", {"schedule": {"deadline": "2026-12-01T12:00:30Z", "onDeadline": "Rollback"}}, "10s", 20),
    ("a deadline that holds", {"schedule": {"deadline": "2026-12-01T12:00:30Z"}}, "10s", 20),
    ("nothing, for a deadline that has passed", {"schedule": {"deadline": "2026-12-01T12:00:30Z"}}, "1m", None),
    ("nothing, for a pause", {"paused": True}, "1m", None),
    ("nothing, for a kill", {"killed": True}, "10s", None),
]


@pytest.mark.parametrize(("edit", "time", "seconds"), [row[1:] for row in RECHECKS], ids=[row[0] for row in RECHECKS])
def test_it_decides_again_at(edit: dict[str, Any], time: str, seconds: int | None) -> None:
    story = Story().ramp_to(1).edit(**edit).wait(time)
    assert story.decide().recheck_at == (None if seconds is None else story.looking_ahead(seconds))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    edit=st.sampled_from([{}, {"paused": True}, {"schedule": {"deadline": "2026-12-01T12:00:45Z"}}, {"ramp": steps(1, 10, hold="90s")}]),
    waited=st.integers(0, 120),
    share=st.floats(0, 1, exclude_max=True),
)
def test_before_that_time_alone_changes_nothing(edit: dict[str, Any], waited: int, share: float) -> None:
    story = Story().ramp_to(1).edit(**edit).settle().wait(f"{waited}s").settle()
    recheck_at = story.decide().recheck_at
    before, ahead = story.known, recheck_at - story.now if recheck_at else timedelta(hours=1)
    story.now += timedelta(milliseconds=int(ahead / timedelta(milliseconds=1) * share))
    story.decide()
    assert story.known == before


def test_readings_are_not_waited_for_by_the_clock() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).wait("1m")
    decision = story.decide_with(NO_DATA)
    assert (decision.recheck_at, decision.look_every) == (None, timedelta(seconds=10))
