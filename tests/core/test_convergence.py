"""core/convergence: a step's clock that waits for pods, and an end that one sees arrive."""

from datetime import timedelta
from typing import Any

import pytest

from rampgate_operator.core.checkpoint import must_persist
from rampgate_operator.core.decide import Decision
from rampgate_operator.core.looks import Answer, Failed, FailureReason, Kind, NoData, Running
from rampgate_operator.core.observation import KILL_KEY, ExposureLook, NudgeRefused, PodsLook
from rampgate_operator.core.questions import ask_of_pods
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.status import Rules, WaitingFor
from tests.core.shop import exposed
from tests.core.story import BAD, COUNTED, ERRORS, NOON, Story, steps

CONFIRM = {"pods": "80%", "timeout": "2m"}
OFTEN, SELDOM = timedelta(seconds=5), timedelta(seconds=30)
NONE = NoData("no series of rampgate_rules_generation tells of this gate in this namespace")
AWAY = Failed(FailureReason.TIMEOUT, "Metrics source default did not answer in 10 s.")


def confirmed(*percents: float, **fields: Any) -> Story:
    """A ramp whose steps wait for pods, on its first one."""
    story = Story(ramp={**steps(*(percents or (1, 10))), "confirm": CONFIRM}, **fields)
    return story.settle()


def look(story: Story, answer: Answer) -> Decision:
    return story.decide(pods=PodsLook(generation=rules(story).generation, answer=answer))


def running(story: Story, on: int, seen: int = 10, *behind: str) -> Decision:
    return look(story, Running(seen=seen, on=on, behind=behind))


def rules(story: Story) -> Rules:
    assert story.known.rules is not None
    return story.known.rules


def counts(story: Story) -> tuple[int | None, int | None]:
    return rules(story).pods_on_generation, rules(story).pods_seen


# --- a step that waits ---


def test_a_steps_clock_starts_when_enough_pods_run_its_rules() -> None:
    story = confirmed()
    assert (story.waiting, story.known.next_step_at) == (WaitingFor.PODS, None)
    running(story.wait("20s"), on=7)
    assert (story.waiting, counts(story), story.known.step_started_at) == (WaitingFor.PODS, (7, 10), NOON)
    running(story.wait("10s"), on=8)
    assert (story.waiting, counts(story)) == (WaitingFor.HOLD, (8, 10))
    assert (story.known.step_started_at, story.known.step_confirmed_at, rules(story).converged_at) == (story.now,) * 3
    assert story.known.next_step_at == story.now + timedelta(minutes=1)
    story.wait("59s").decide()
    assert story.known.percent == 1
    story.wait("1s").decide()
    assert (story.known.percent, story.waiting) == (10, WaitingFor.PODS)


def test_without_confirm_nobody_waits_and_nobody_looks() -> None:
    story = Story().settle()
    assert (story.waiting, story.decide().look_at_pods_every) == (WaitingFor.HOLD, None)
    running(story, on=1)
    assert counts(story) == (None, None)


SHARES = [("100%", 99, 100, False), ("100%", 100, 100, True), ("7%", 7, 100, True), ("1%", 0, 3, False), ("95%", 19, 20, True)]


@pytest.mark.parametrize(("pods", "on", "seen", "is_enough"), SHARES)
def test_a_share_is_counted_exactly(pods: str, on: int, seen: int, is_enough: bool) -> None:
    story = Story(ramp={**steps(1), "confirm": {"pods": pods}}).settle()
    running(story, on, seen)
    assert (rules(story).converged_at is not None) is is_enough


UNKNOWN: list[tuple[str, Answer, str]] = [
    ("no series", NONE, "no series of rampgate_rules_generation tells of this gate in this namespace"),
    ("a series count of none", Running(seen=0, on=0), "an answer to another question"),
    ("a source that is away", AWAY, "Metrics source default did not answer in 10 s"),
]


@pytest.mark.parametrize(("answer", "said"), [row[1:] for row in UNKNOWN], ids=[row[0] for row in UNKNOWN])
def test_what_is_not_known_confirms_nothing_and_is_said(answer: Answer, said: str) -> None:
    story = confirmed()
    look(story.wait("10s"), answer)
    assert (story.waiting, story.known.step_confirmed_at, counts(story)) == (WaitingFor.PODS, None, (None, None))
    assert story.condition("Progressing").message.endswith(f"{said}.")
    running(story, on=10)
    assert (story.waiting, rules(story).pods_problem) == (WaitingFor.HOLD, None)


def test_a_look_at_older_rules_is_void() -> None:
    story = confirmed()
    older = PodsLook(generation=rules(story).generation - 1, answer=Running(seen=10, on=10))
    story.decide(pods=older)
    assert (story.waiting, counts(story)) == (WaitingFor.PODS, (None, None))


def test_past_the_timeout_it_still_waits_and_says_so_once_with_the_share_and_the_stragglers() -> None:
    story = confirmed()
    running(story.wait("119s"), 3, 10, "shop-a", "shop-b")
    assert (story.condition("Progressing").status, story.condition("Progressing").reason) == ("True", "Pods")
    decision = story.wait("1s").decide()
    assert (story.waiting, story.known.percent) == (WaitingFor.PODS, 1)
    assert (story.condition("Progressing").status, story.condition("Progressing").reason) == ("False", "PodsBehind")
    (event,) = decision.announcements
    assert (event.reason, event.warning) == (Reason.PODS_BEHIND, True)
    assert event.message.startswith("For longer than 2m fewer than 80% of the pods have run the step's rules, generation ")
    assert ": 3 of 10 do; not yet shop-a, shop-b. " in event.message
    assert running(story.wait("1h"), 4).announcements == ()
    running(story.wait("1h"), on=9)
    assert (story.waiting, story.known.step_started_at) == (WaitingFor.HOLD, story.now)


def test_the_timeout_brings_the_ramp_up_by_itself() -> None:
    story = confirmed()
    assert story.wait("90s").decide().recheck_at == NOON + timedelta(minutes=2)


def test_a_breach_acts_meanwhile_also_in_the_decision_that_would_start_the_clock() -> None:
    story = confirmed(guardrails=[ERRORS])
    story.wait("10s").decide(story.look(BAD), pods=PodsLook(generation=rules(story).generation, answer=Running(seen=1, on=1)))
    assert story.said[0] == "RolledBack"


def test_readings_from_before_the_clock_count_as_those_from_before_the_step() -> None:
    story = confirmed(guardrails=[ERRORS])
    story.wait("30s")
    running(story, on=10)
    story.wait("1m").decide(story.look(reach="80s"))
    assert (story.known.percent, story.condition("Progressing").reason) == (1, "ReadingTooEarly")
    story.wait("20s").decide(story.look(reach="80s"))
    assert story.known.percent == 10


def test_whom_pods_exposed_while_the_step_waited_for_them_stays_counted() -> None:
    ramp = {"steps": [{"percent": 1, "hold": "1m", "minExposures": 10}, {"percent": 10, "hold": "1m"}], "confirm": CONFIRM}
    story = Story(ramp=ramp).settle()
    story.wait("20s").decide(exposures=ExposureLook(since=NOON, until=story.now, answer=exposed({"on": 10, "off": 10, "baseline": 1980})))
    running(story, on=10)
    assert (story.waiting, story.known.step_started_at) == (WaitingFor.HOLD, story.now), "pods count nobody anew"


def test_a_change_of_the_rules_under_way_asks_for_no_second_confirmation() -> None:
    story = confirmed()
    running(story.wait("10s"), on=10)
    started, generation = story.known.step_started_at, rules(story).generation
    story.wait("10s").edit(overrides=[{"variant": "on", "units": ["qa"]}]).decide()
    assert rules(story).generation > generation
    story.decide()
    assert (story.waiting, counts(story)) == (WaitingFor.HOLD, (None, None))
    assert story.known.step_started_at in {started, story.now}  # the entry was late by one decision, which starts the clock anyway


def test_confirm_that_is_added_under_way_waits_and_one_that_is_taken_away_does_not() -> None:
    story = Story(ramp=steps(1, 10)).settle()
    story.wait("1h").edit(ramp={**steps(1, 10), "confirm": CONFIRM, "steps": steps(1, 10, hold="2h")["steps"]}).decide()
    assert (story.known.percent, story.waiting) == (1, WaitingFor.PODS)
    story.edit(ramp=steps(1, 10, hold="2h")).decide()
    assert story.waiting is WaitingFor.HOLD


def test_a_hold_begins_when_confirm_is_taken_away_from_a_step_that_no_pod_has_run() -> None:
    story = confirmed(1, 10, 50)
    running(story.wait("20s"), on=0)
    running(story.wait("10m"), on=0)
    story.edit(ramp=steps(1, 10, 50)).decide()
    assert (story.known.percent, story.waiting, story.known.step_started_at) == (1, WaitingFor.HOLD, story.now)
    began = story.now
    story.wait("59s").decide()
    assert (story.known.percent, story.known.step_started_at) == (1, began), "it begins once"
    story.wait("1s").decide()
    assert story.known.percent == 10


def test_a_hold_goes_on_when_confirm_is_taken_away_from_a_step_that_pods_run() -> None:
    story = confirmed(1, 10)
    running(story, on=10)
    story.wait("50s").edit(ramp=steps(1, 10)).decide()
    story.wait("10s").decide()
    assert story.known.percent == 10


def test_the_same_rules_need_no_second_look() -> None:
    """Edited steps start the clock again; what pods run is known."""
    story = confirmed(1, 10)
    running(story, on=10)
    story.wait("10s").edit(ramp={**steps(1, 20), "confirm": CONFIRM}).decide()
    story.decide()
    assert (story.waiting, story.known.step_confirmed_at) == (WaitingFor.HOLD, story.now)


def test_the_bake_waits_too() -> None:
    story = confirmed(100)
    story.wait("7d").decide()
    assert (story.said[0], story.waiting) == ("Ramping", WaitingFor.PODS)
    running(story, on=10)
    story.wait("1m").decide()
    assert story.said[0] == "Completed"


def test_break_glass_comes_first_and_its_end_starts_the_clock_of_a_confirmed_step_again() -> None:
    story = confirmed()
    running(story, on=10)
    assert story.data is not None
    story.data[KILL_KEY] = "new-checkout"
    story.wait("10s").decide()
    assert story.waiting is WaitingFor.BREAK_GLASS
    del story.data[KILL_KEY]
    story.wait("10s").decide()
    assert (story.waiting, story.known.step_started_at) == (WaitingFor.HOLD, story.now)


def test_who_is_behind_is_a_reading_and_how_many_run_the_rules_is_not() -> None:
    story = confirmed()
    running(story.wait("10s"), 3, 10, "shop-a", "shop-b")
    before = story.known
    running(story.wait("5s"), 3, 10, "shop-c")
    assert not must_persist(before, story.known)
    running(story.wait("5s"), 4, 10, "shop-c")
    assert must_persist(before, story.known)


def test_why_pods_cannot_be_counted_is_written_once() -> None:
    story = confirmed()
    before = story.known
    look(story.wait("10s"), NONE)
    assert must_persist(before, story.known)
    before = story.known
    look(story.wait("10s"), AWAY)
    assert not must_persist(before, story.known)
    running(story.wait("10s"), 3)
    assert must_persist(before, story.known)


# --- the end of an attempt ---


def killed(**fields: Any) -> Story:
    story = Story(**fields).ramp_to(1)
    story.edit(killed=True).decide()
    return story


def test_after_a_kill_it_looks_until_all_pods_obey() -> None:
    story = killed()
    assert story.decide().look_at_pods_every == OFTEN
    running(story.wait("5s"), 9, 10, "shop-a")
    assert (counts(story), rules(story).pods_behind, rules(story).converged_at) == ((9, 10), ("shop-a",), None)
    decision = running(story.wait("5s"), on=10)
    assert (counts(story), rules(story).pods_behind, rules(story).converged_at) == ((10, 10), None, story.now)
    assert decision.look_at_pods_every is None


def test_after_a_rollback_all_pods_must_obey_whatever_confirm_says() -> None:
    story = confirmed(guardrails=[ERRORS])
    story.wait("10s").decide_with(BAD)
    running(story, on=9)
    assert (story.said[0], rules(story).converged_at) == ("RolledBack", None)


@pytest.mark.parametrize("answer", [NONE, AWAY], ids=["no series", "a source that is away"])
def test_where_nothing_can_be_seen_of_an_end_nothing_is_written(answer: Answer) -> None:
    story = killed()
    before = story.known
    look(story.wait("10s"), answer)
    assert not must_persist(before, story.known)


def test_an_ended_attempt_costs_nothing_after_ten_minutes() -> None:
    story = killed()
    every = [story.wait(time).decide().look_at_pods_every for time in ("59s", "1s", "539s", "1s", "1h")]
    assert every == [OFTEN, SELDOM, SELDOM, None, None]


def test_a_look_that_says_the_same_is_not_worth_a_write() -> None:
    story = killed()
    running(story.wait("5s"), on=9)
    before = story.known
    running(story.wait("5s"), on=9)
    assert not must_persist(before, story.known)
    running(story.wait("5s"), on=10)
    assert must_persist(before, story.known)


def test_the_new_attempt_knows_nothing_of_the_old_ones_pods() -> None:
    story = killed()
    running(story, on=10)
    story.edit(killed=None, attempt=2).decide()
    assert (counts(story), rules(story).converged_at) == ((None, None), None)


def test_what_is_asked_names_the_gate_and_the_generation() -> None:
    story = confirmed()
    asked = ask_of_pods(story.situation())
    assert (asked.kind, asked.source, asked.generation, asked.at) == (Kind.GENERATIONS, "default", rules(story).generation, story.now)
    assert asked.metric is not None
    assert (asked.metric.name, asked.metric.gate, asked.tenant) == ("rampgate_rules_generation", "new-checkout", "shop")


# --- the right to tell pods ---


def test_a_missing_right_is_a_condition_and_an_event_while_it_lasts() -> None:
    story = Story(guardrails=[COUNTED]).settle()
    story.nudge_refused = NudgeRefused(config_map="feature-gates", verb="patch")
    (event,) = story.decide().announcements
    assert (event.reason, event.warning) == (Reason.NUDGE_FORBIDDEN, True)
    assert "the operator may not patch pods in this namespace" in story.condition("PodsNudged").message
    assert story.decide().announcements == ()
    story.nudge_refused = None
    story.decide()
    assert story.known.condition("PodsNudged") is None


def test_a_clock_that_is_set_back_makes_no_end_arrive_before_it_was_decided_and_no_look_without_end() -> None:
    story = confirmed().wait("30s").edit(killed=True)
    story.decide()
    story.now -= timedelta(days=300)
    story.decide()
    assert rules(story).rendered_at == story.now
    assert story.wait("11m").decide().look_at_pods_every is None


def test_a_right_that_was_missing_is_missing_until_it_is_known_to_be_there() -> None:
    story = Story(guardrails=[COUNTED]).settle()
    story.nudge_refused = NudgeRefused(config_map="feature-gates", verb="patch")
    story.decide()
    said = story.condition("PodsNudged")
    story.nudge_refused, story.nudge_known = None, False
    assert story.wait("5s").decide().announcements == ()
    assert story.condition("PodsNudged") == said
    story.nudge_refused, story.nudge_known = NudgeRefused(config_map="feature-gates", verb="patch"), True
    assert story.decide().announcements == ()
    assert story.condition("PodsNudged").last_transition_time == said.last_transition_time


def test_of_a_right_that_nobody_has_asked_for_yet_nothing_is_said() -> None:
    story = Story(guardrails=[COUNTED]).settle()
    story.nudge_known = False
    story.decide()
    assert story.known.condition("PodsNudged") is None
