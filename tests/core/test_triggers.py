"""core/triggers: what moves an attempt, each alone and by precedence."""

from typing import Any

import pytest

from rampgate_operator.core.observation import KILL_KEY
from rampgate_operator.core.ramp import Trigger
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.status import LatchCause, WaitingFor
from rampgate_operator.core.triggers import TRIGGERS, first_change
from tests.core.story import BAD, ERRORS, FAILED, GOOD, NO_DATA, ORDERS, Story, steps

SHIP = {"attempt": 1, "variant": "on"}
PAST = {"deadline": "2026-12-01T12:00:30Z", "onDeadline": "Rollback"}

# by precedence; each happens to a story that stands on 1 % with its hold over
HAPPENINGS: dict[str, dict[str, Any]] = {
    "kill": {"killed": True},
    "new attempt": {"attempt": 2},
    "ship": {"ship": SHIP},
    "breach": {},
    "deadline": {"schedule": PAST},
    "edited steps": {"ramp": steps(0.5, 5, 20)},
    "pause": {"paused": True},
    "step": {},
}
OUTCOMES = {
    "kill": ("Killed", 0.0, Reason.KILLED),
    "new attempt": ("Pending", 0.0, Reason.ATTEMPT_STARTED),
    "ship": ("Shipped", 100.0, Reason.SHIPPED),
    "breach": ("RolledBack", 0.0, Reason.GUARDRAIL_BREACHED),
    "deadline": ("RolledBack", 0.0, Reason.DEADLINE_PASSED),
    "edited steps": ("Ramping", 0.5, Reason.STEPS_CHANGED),
    "pause": ("Ramping", 1.0, Reason.STEPPED),
    "step": ("Ramping", 10.0, Reason.STEPPED),
}
ORDER = list(HAPPENINGS)
# a new attempt is no match for `killed`, which stays in the spec; the others are each one edit more
PAIRS = [(first, second) for index, first in enumerate(ORDER) for second in ORDER[index + 1 :]]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{first} before {second}" for first, second in PAIRS])
def test_precedence(first: str, second: str) -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).wait("1m")
    story.edit(**HAPPENINGS[first], **HAPPENINGS[second])
    story.decide_with(BAD if "breach" in (first, second) else GOOD)
    phase, percent, reason = OUTCOMES[first]
    assert (story.known.phase.value, story.known.percent, story.known.history[-1].reason) == (phase, percent, reason)
    assert len(story.known.history) == (2 if first != "pause" else 1)  # one transition at a time


LATCHES: list[tuple[str, dict[str, Any], Any]] = [
    ("a kill", {"killed": True}, GOOD),
    ("a rollback", {}, BAD),
    ("a deadline", {"schedule": PAST}, GOOD),
]
EDITS: list[tuple[str, dict[str, Any]]] = [
    ("the owner is edited", {"owner": "others"}),
    ("the guardrail is edited", {"guardrails": [{**ERRORS, "max": 99}]}),
    ("the guardrail is removed", {"guardrails": None}),
    ("the steps are edited", {"ramp": steps(100)}),
    ("the same is applied again", {}),
    ("killed is removed", {"killed": None}),
    ("killed is set to false", {"killed": False}),
    ("ship is asked for", {"ship": SHIP}),
    ("the deadline is moved", {"schedule": {"deadline": "2027-01-01T00:00:00Z", "onDeadline": "Rollback"}}),
    ("approval is given", {"approved": {"attempt": 1, "upTo": 100}}),
    ("paused is set and removed", {"paused": False}),
]


@pytest.mark.parametrize(("ending", "answer"), [row[1:] for row in LATCHES], ids=[row[0] for row in LATCHES])
@pytest.mark.parametrize("edit", [row[1] for row in EDITS], ids=[row[0] for row in EDITS])
def test_an_ended_attempt_stays_ended_when(ending: dict[str, Any], answer: Any, edit: dict[str, Any]) -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(10).edit(**ending).wait("30s")
    story.decide_with(answer)
    ended, latch = story.said, story.known.latch
    story.edit(**edit)
    for _ in range(3):
        story.wait("5m").settle()
    assert (story.said, story.known.latch, story.known.percent) == (ended, latch, 0.0)
    assert {"latch", "serve"} <= story.entry.content.keys()


def test_a_lower_attempt_does_not_begin_again_and_is_told_which_would() -> None:
    story = Story(attempt=3, killed=True).settle().edit(killed=None, attempt=2).settle()
    assert story.said[0] == "Killed"
    valid = story.condition("Valid")
    assert (valid.status, valid.reason) == ("True", Reason.ATTEMPT_TOO_LOW)
    assert "Set it to 4 to begin again" in valid.message


@pytest.mark.parametrize("phase", ["Pending", "Ramping", "Completed", "Shipped", "RolledBack", "Killed"])
def test_a_higher_attempt_begins_at_0_from_every_phase(phase: str) -> None:
    story = Story(guardrails=[ERRORS], ramp=steps(50))
    if phase == "Pending":
        story.edit(paused=True)
    story.settle()
    if phase == "Completed":
        story.wait("1m").settle()
    elif phase == "RolledBack":
        story.wait("1s").decide_with(BAD)
    elif phase in {"Shipped", "Killed"}:
        story.edit(**({"ship": SHIP} if phase == "Shipped" else {"killed": True})).settle()
    assert story.said[0] == phase
    story.edit(attempt=2, killed=None).decide()
    known = story.known
    assert (story.said, known.attempt, known.latch, known.shipped, known.guardrails) == (("Pending", -1, 0.0), 2, None, None, ())
    assert (known.attempt_started_at, story.entry.content["attempt"]) == (story.now, 2)


def test_a_new_attempt_waits_until_killed_is_removed() -> None:
    story = Story().ramp_to(10).edit(killed=True, attempt=2).settle()
    assert (story.said[0], story.known.attempt) == ("Killed", 1)
    story.edit(killed=None).decide()
    assert (story.said, story.known.attempt) == (("Pending", -1, 0.0), 2)


def test_a_new_attempt_waits_for_a_spec_that_can_be_run() -> None:
    story = Story().ramp_to(10).edit(killed=True, attempt=2).settle()
    story.edit(invalid="no", killed=None, attempt=1).settle()
    assert (story.said[0], story.known.attempt) == ("Killed", 1)


@pytest.mark.parametrize("phase", ["Pending", "Ramping", "Completed", "Shipped", "RolledBack"])
def test_a_kill_ends_every_phase(phase: str) -> None:
    story = Story(guardrails=[ERRORS], ramp=steps(50), paused=phase == "Pending").settle()
    if phase == "Completed":
        story.wait("1m").settle()
    elif phase == "RolledBack":
        story.wait("1s").decide_with(BAD)
    elif phase == "Shipped":
        story.edit(ship=SHIP).settle()
    assert story.said[0] == phase
    story.managed = [{"manager": "kubectl-patch", "fieldsV1": {"f:spec": {"f:killed": {}}}, "time": "2026-12-01T12:00:00Z"}]
    story.edit(killed=True).decide()
    latch = story.known.latch
    assert latch is not None
    assert (story.said[0], latch.cause, story.known.history[-1].by) == ("Killed", LatchCause.KILL, "kubectl-patch")
    assert "set spec.attempt to 2 or higher" in latch.message


def test_a_latch_says_what_it_ended() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(10).wait("5s")
    story.decide_with(BAD)
    latch = story.known.latch
    assert latch is not None
    assert (latch.attempt, latch.at, latch.cause, latch.guardrail, latch.from_percent) == (
        1,
        story.now,
        LatchCause.GUARDRAIL,
        "errors",
        10.0,
    )
    assert latch.message == ("Rolled back from 10 %: guardrail errors: 2 is above max 1. To begin again, set spec.attempt to 2 or higher.")


@pytest.mark.parametrize(
    ("ship", "phase"),
    [(SHIP, "Shipped"), ({"attempt": 2, "variant": "on"}, "Ramping"), (None, "Ramping")],
    ids=["for this attempt", "for another", "not asked for"],
)
def test_ship_is_a_decision_on_one_attempt(ship: dict[str, Any] | None, phase: str) -> None:
    story = Story(ship=ship).ramp_to(1) if ship is None else Story().ramp_to(1).edit(ship=ship).settle()
    assert story.said[0] == phase


def test_ship_may_be_decided_anew_and_its_removal_takes_nothing_back() -> None:
    story = Story().ramp_to(1).edit(ship=SHIP).settle()
    assert (story.said, story.entry.content["ship"]) == (("Shipped", 0, 100.0), "on")
    story.edit(ship={"attempt": 1, "variant": "off"}).settle()
    assert (story.said[0], story.entry.content["ship"]) == ("Shipped", "off")
    story.edit(ship=None).settle()
    assert (story.said[0], story.entry.content["ship"]) == ("Shipped", "off")
    assert len([each for each in story.known.history if each.reason == Reason.SHIPPED]) == 2


@pytest.mark.parametrize("pause", [{"paused": True}, {"invalid": "no"}], ids=["paused", "invalid"])
def test_a_breach_acts_while_the_ramp_is_held(pause: dict[str, Any]) -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(10).edit(**pause).wait("5s")
    story.decide_with(BAD)
    assert story.said[0] == "RolledBack"


def test_a_breach_acts_while_the_last_step_bakes() -> None:
    story = Story(guardrails=[ERRORS], ramp=steps(100)).ramp_to(100).wait("59s")
    story.decide_with(BAD)
    assert story.said[0] == "RolledBack"


@pytest.mark.parametrize(
    ("count", "of", "answers", "rolled_back"),
    [
        (1, 1, [BAD], True),
        (2, 3, [BAD], False),
        (2, 3, [BAD, BAD], True),
        (2, 3, [BAD, GOOD, BAD], True),
        (2, 3, [BAD, GOOD, GOOD, BAD], False),
        (2, 3, [BAD, NO_DATA, BAD], True),
        (3, 3, [BAD, BAD, GOOD, BAD], False),
        (10, 10, [BAD] * 9, False),
        (10, 10, [BAD] * 10, True),
    ],
)
def test_so_many_of_the_last_looks_must_breach(count: int, of: int, answers: list[Any], rolled_back: bool) -> None:
    story = Story(guardrails=[{**ERRORS, "breaches": {"count": count, "of": of}}]).ramp_to(1)
    for answer in answers:
        story.wait("1s").decide_with(answer)
    assert (story.said[0] == "RolledBack") is rolled_back


def test_breaches_before_the_first_step_hold_it_instead_of_taking_it_back_at_once() -> None:
    story = Story(guardrails=[{**ERRORS, "breaches": {"count": 1, "of": 3}}])
    for answer in (BAD, GOOD, GOOD):
        story.decide()
        story.wait("10s").decide_with(answer)
    assert (story.said, story.waiting) == (("Pending", -1, 0.0), WaitingFor.GUARDRAIL)
    story.wait("10s").decide_with(GOOD)
    assert story.said == ("Ramping", 0, 1.0)


def test_a_breach_that_may_be_older_than_the_attempt_rolls_nothing_back_and_holds_the_step() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).wait("1m")
    story.decide_with(BAD, reach="2m")
    assert (story.said, story.waiting) == (("Ramping", 0, 1.0), WaitingFor.GUARDRAIL)
    assert "before this attempt began" in story.condition("Progressing").message
    story.wait("1s").decide_with(BAD, reach="61s")
    assert story.said[0] == "RolledBack"


@pytest.mark.parametrize("on_breach", ["Hold", "Notify"])
def test_only_a_guardrail_that_was_told_to_rolls_back(on_breach: str) -> None:
    story = Story(guardrails=[{**ERRORS, "onBreach": on_breach}]).ramp_to(1).wait("5s")
    story.decide_with(BAD)
    assert story.said == ("Ramping", 0, 1.0)


def test_a_second_guardrail_rolls_back_as_well() -> None:
    story = Story(guardrails=[{**ERRORS, "onBreach": "Hold"}, ORDERS]).ramp_to(1).wait("5s")
    story.decide(story.look(BAD), story.look(GOOD, "orders"))
    assert (story.said[0], story.known.latch and story.known.latch.guardrail) == ("RolledBack", "orders")


MISSING = [
    ("no data for two intervals", {"onNoData": "Rollback"}, [NO_DATA, NO_DATA, NO_DATA], True),
    ("no data for one interval", {"onNoData": "Rollback"}, [NO_DATA, NO_DATA], False),
    ("no data, told to hold", {}, [NO_DATA] * 5, False),
    ("errors for two intervals", {"onError": "Rollback"}, [FAILED, FAILED, FAILED], True),
    ("errors, told to hold", {"onNoData": "Rollback"}, [FAILED] * 5, False),
    ("data in between", {"onNoData": "Rollback"}, [NO_DATA, NO_DATA, GOOD, NO_DATA], False),
    ("one error after hours without data that were to be waited for", {"onError": "Rollback"}, [NO_DATA] * 9 + [FAILED], False),
    ("errors for two looks, after hours without data", {"onError": "Rollback"}, [*[NO_DATA] * 9, FAILED, FAILED], True),
    (
        "errors and no data in turn, both told to roll back",
        {"onError": "Rollback", "onNoData": "Rollback"},
        [FAILED, NO_DATA, FAILED],
        True,
    ),
]


@pytest.mark.parametrize(("policy", "answers", "rolled_back"), [row[1:] for row in MISSING], ids=[row[0] for row in MISSING])
def test_readings_that_stay_away(policy: dict[str, str], answers: list[Any], rolled_back: bool) -> None:
    story = Story(guardrails=[{**ERRORS, **policy}]).ramp_to(1)
    for answer in answers:
        story.wait("10s").decide_with(answer)
    assert (story.said[0] == "RolledBack") is rolled_back
    if rolled_back:
        assert (story.known.history[-1].reason, "has had no reading since 2026-12-01T12:00:00.000Z" in story.known.history[-1].message) == (
            Reason.READINGS_MISSING,
            True,
        )


def test_readings_that_never_came_roll_nothing_back() -> None:
    story = Story(guardrails=[{**ERRORS, "onNoData": "Rollback"}])
    story.decide()
    for _ in range(5):
        story.wait("10s").decide_with(NO_DATA)
    assert story.said == ("Ramping", 0, 1.0)


def test_readings_that_stay_away_under_break_glass_roll_nothing_back() -> None:
    story = Story(guardrails=[{**ERRORS, "onNoData": "Rollback"}]).ramp_to(1)
    assert story.data is not None
    story.data[KILL_KEY] = "new-checkout"
    for _ in range(5):
        story.wait("10s").decide_with(NO_DATA)
    assert (story.said, story.waiting) == (("Ramping", 0, 1.0), WaitingFor.BREAK_GLASS)


@pytest.mark.parametrize(("seconds", "phase"), [("29s", "Ramping"), ("30s", "RolledBack")], ids=["before", "at"])
def test_a_deadline_rolls_back_at_its_very_instant(seconds: str, phase: str) -> None:
    story = Story(schedule=PAST).ramp_to(1).wait(seconds)
    decision = story.decide()
    assert story.said[0] == phase
    assert phase == "RolledBack" or decision.recheck_at == story.looking_ahead(1)


def test_a_deadline_that_was_past_when_the_attempt_began_only_holds() -> None:
    story = Story(schedule=PAST).wait("30s").settle()
    assert (story.said[0], story.waiting) == ("Pending", WaitingFor.DEADLINE)


def test_a_deadline_ends_an_attempt_that_has_not_stepped_yet() -> None:
    story = Story(schedule=PAST, paused=True).settle().wait("30s").settle()
    assert (story.said[0], story.known.latch and story.known.latch.cause) == ("RolledBack", LatchCause.DEADLINE)


STEP_EDITS = [
    ("a later step is edited", steps(1, 10, 40), 1, 10.0),
    ("the step that is served is gone", steps(1, 8, 40), 1, 8.0),
    ("only lower ones are left", steps(1, 5), 1, 5.0),
    ("a hold is edited", steps(1, 10, 50, 100, hold="2m"), 1, 10.0),
    ("steps are put in between", steps(0.5, 1, 2, 10, 100), 3, 10.0),
    ("every step is higher", steps(11, 100), -1, 0.0),
]


@pytest.mark.parametrize(("ramp", "step", "percent"), [row[1:] for row in STEP_EDITS], ids=[row[0] for row in STEP_EDITS])
def test_edited_steps_raise_nothing_and_start_the_clock(ramp: dict[str, Any], step: int, percent: float) -> None:
    story = Story().ramp_to(10).wait("50s").edit(ramp=ramp)
    story.managed = [{"manager": "helm", "fieldsV1": {"f:spec": {"f:ramp": {}}}}]
    story.decide()
    assert story.said[1:] == (step, percent)
    assert story.known.step_started_at == (story.now if step >= 0 else None)
    assert (story.known.history[-1].reason, story.known.history[-1].by) == (Reason.STEPS_CHANGED, "helm")
    assert story.known.history[-1].message == f"The steps were edited: {percent:g} % is served, and its clock starts again."
    assert (story.said[0], story.entry.content["percent"]) == ("Ramping" if step >= 0 else "Pending", percent)
    story.decide()
    assert story.known.percent <= 11


def test_after_an_edit_to_higher_steps_alone_the_first_one_begins_by_its_own_rules() -> None:
    story = Story().ramp_to(10).edit(ramp=steps(11, 100), paused=True).settle()
    assert (story.said, story.waiting) == (("Pending", -1, 0.0), WaitingFor.PAUSED)
    assert story.edit(paused=None).settle().said == ("Ramping", 0, 11.0)


def test_steps_that_are_edited_before_the_first_change_nothing() -> None:
    story = Story(paused=True).settle().edit(ramp=steps(5)).settle()
    assert (story.said, story.known.history) == (("Pending", -1, 0.0), ())


def test_a_step_that_was_approved_says_by_whom() -> None:
    ramp = {"steps": [{"percent": 1, "hold": "1m"}, {"percent": 10, "hold": "1m", "approval": True}]}
    story = Story(ramp=ramp).ramp_to(1).edit(approved={"attempt": 1, "upTo": 10})
    story.managed = [{"manager": "sre", "fieldsV1": {"f:spec": {"f:approved": {}}}}]
    story.wait("1m").settle()
    assert [each.by for each in story.known.history] == [None, "sre"]


def test_every_trigger_has_a_question_and_none_fires_when_nothing_happened() -> None:
    story = Story().ramp_to(1)
    assert first_change(story.situation()) is None
    assert len(TRIGGERS) == len(Trigger) - 2  # steps_changed and step_due give two each


def test_who_raised_the_attempt_and_who_shipped_is_remembered() -> None:
    story = Story()
    story.managed = [{"manager": "dev", "fieldsV1": {"f:spec": {".": {}, "f:attempt": {}, "f:ship": {}}}}]
    story.settle().edit(attempt=2).decide()
    story.edit(ship={"attempt": 2, "variant": "on"}).decide()
    assert [each.by for each in story.known.history[-2:]] == ["dev", "dev"]
    assert story.known.history[-2].message == "Attempt 2 begins at 0 %."
