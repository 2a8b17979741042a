"""core/conditions: what a person reads with kubectl, and what is announced."""

from collections.abc import Callable
from typing import Any

import pytest

from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, KILL_KEY, FlagdSeen
from rampgate_operator.core.reasons import Reason
from tests.core.story import BAD, ERRORS, FAILED, GOOD, KEY, NO_DATA, Story, steps

SHIP = {"attempt": 1, "variant": "on"}
HOLDING = {**ERRORS, "onBreach": "Hold"}
Happening = Callable[[Story], object]


def edited(**fields: Any) -> Happening:
    return lambda story: story.edit(**fields).wait("1s").settle()


def read(answer: Any) -> Happening:
    return lambda story: story.wait("1s").decide_with(answer)


def put(key: str, value: str) -> Happening:
    def happen(story: Story) -> None:
        assert story.data is not None
        story.data[key] = value
        story.decide(serve=False)

    return happen


def later(time: str) -> Happening:
    return lambda story: story.wait(time).decide()


def ended_and_shipped(story: Story) -> None:
    read(BAD)(story)
    story.edit(ship=SHIP).decide()


CONDITIONS: list[tuple[str, dict[str, Any], Happening, str, str, str, str]] = [
    ("an accepted spec", {}, edited(), "Valid", "True", "Accepted", "The spec is accepted."),
    ("a spec that cannot be run", {}, edited(invalid="no"), "Valid", "False", "Invalid", "the last accepted one stays in force: no"),
    (
        "an attempt that is over",
        {"attempt": 2},
        edited(attempt=1),
        "Valid",
        "True",
        "AttemptTooLow",
        "spec.attempt is 1, and attempt 2 was begun since. Set it to 3 to begin again",
    ),
    (
        "a higher attempt while a kill is in force",
        {},
        edited(killed=True, attempt=2),
        "Valid",
        "True",
        "StillKilled",
        "attempt 2 begins once it is removed",
    ),
    ("rules that are served", {}, edited(), "RulesRendered", "True", "Rendered", "ConfigMap feature-gates is what it must be"),
    ("a foreign ConfigMap", {}, put(FORMAT_KEY, "x"), "RulesRendered", "False", "ForeignConfigMap", "it is left alone"),
    ("an entry that was changed", {}, put(KEY, "x"), "RulesRendered", "False", "Rules", "until then pods obey no entry"),
    ("break-glass", {}, put(KILL_KEY, "*"), "RulesRendered", "False", "BreakGlass", "names this gate"),
    ("no guardrails", {}, edited(), "GuardrailsPassing", "True", "NoGuardrails", "There are no guardrails."),
    ("guardrails that pass", {"guardrails": [ERRORS]}, read(GOOD), "GuardrailsPassing", "True", "Passing", "All guardrails pass."),
    ("a breach that holds", {"guardrails": [HOLDING]}, read(BAD), "GuardrailsPassing", "False", "Guardrail", "errors: 2 is above max 1."),
    ("no data yet", {"guardrails": [ERRORS]}, read(NO_DATA), "GuardrailsPassing", "Unknown", "NoDataYet", "has just begun"),
    (
        "no data for longer than two intervals",
        {"guardrails": [ERRORS]},
        lambda story: story.wait("21s").decide_with(NO_DATA),
        "GuardrailsPassing",
        "Unknown",
        "Metrics",
        "no data: no series",
    ),
    (
        "no data where there was some",
        {"guardrails": [ERRORS]},
        lambda story: (story.wait("1s").decide_with(GOOD), story.wait("1s").decide_with(NO_DATA)),
        "GuardrailsPassing",
        "Unknown",
        "Metrics",
        "no data: no series",
    ),
    ("an error", {"guardrails": [ERRORS]}, read(FAILED), "GuardrailsPassing", "Unknown", "Metrics", "query failed"),
    (
        "a new guardrail",
        {},
        lambda story: story.edit(guardrails=[ERRORS]).decide(),
        "GuardrailsPassing",
        "Unknown",
        "LookDue",
        "not been",
    ),
    ("a rollback", {"guardrails": [ERRORS]}, read(BAD), "GuardrailsPassing", "False", "GuardrailBreached", "Rolled back from 1 %"),
    ("a kill", {"guardrails": [ERRORS]}, edited(killed=True), "GuardrailsPassing", "Unknown", "NotLooking", "no readings are taken"),
    ("a ship", {"guardrails": [ERRORS]}, edited(ship=SHIP), "GuardrailsPassing", "Unknown", "LooksEnded", "a breach rolls nothing back"),
    (
        "a completed ramp",
        {"guardrails": [ERRORS], "ramp": steps(1)},
        lambda story: story.wait("1m").decide_with(GOOD),
        "GuardrailsPassing",
        "Unknown",
        "LooksEnded",
        "a breach rolls nothing back",
    ),
    (
        "a ship for another attempt",
        {"attempt": 2},
        edited(ship=SHIP),
        "Valid",
        "True",
        "PartlyVoid",
        "spec.ship is for attempt 1, and this is",
    ),
    (
        "an approval for another attempt",
        {"attempt": 2},
        edited(approved={"attempt": 1, "upTo": 50}),
        "Valid",
        "True",
        "PartlyVoid",
        "spec.approved is for attempt 1, and this is attempt 2: it is void",
    ),
    (
        "an approval that is asked for while something else is missing too",
        {"ramp": {"steps": [{"percent": 1, "hold": "1m"}, {"percent": 5, "hold": "1m", "approval": True}]}},
        edited(),
        "Progressing",
        "False",
        "Approval",
        "upTo: 5}. Besides: On 1 % until",
    ),
    ("a hold", {}, edited(), "Progressing", "True", "Hold", "On 1 % until"),
    ("a pause", {}, edited(paused=True), "Progressing", "False", "Paused", "stays at 1 %"),
    ("a first look to come", {}, lambda story: story.edit(guardrails=[ERRORS]).decide(), "Progressing", "True", "LookDue", "not been"),
    (
        "an error that holds",
        {"guardrails": [ERRORS]},
        read(FAILED),
        "Progressing",
        "False",
        "Metrics",
        "There is no step without a reading",
    ),
    ("a rolled back attempt", {"guardrails": [ERRORS]}, read(BAD), "Progressing", "False", "RolledBack", "set spec.attempt to 2 or higher"),
    ("a killed attempt", {}, edited(killed=True), "Progressing", "False", "Killed", "Killed at 1 %: everybody goes back to control"),
    ("a shipped variant", {}, edited(ship=SHIP), "Progressing", "False", "Shipped", "every eligible unit gets on"),
    ("a ship that comes too late", {"guardrails": [ERRORS]}, ended_and_shipped, "Progressing", "False", "ShipRefused", "ship is refused"),
    (
        "a ramp that is over",
        {"ramp": steps(1)},
        later("1m"),
        "Progressing",
        "False",
        "Completed",
        "complete at 1 %. Decide with spec.ship.",
    ),
    ("a step without a hold", {"ramp": steps(1, 5, hold="0s")}, edited(), "Progressing", "False", "Completed", "complete at 5 %"),
]


@pytest.mark.parametrize(
    ("fields", "happen", "kind", "status", "reason", "sentence"), [row[1:] for row in CONDITIONS], ids=[row[0] for row in CONDITIONS]
)
def test_what_is_said_of(fields: dict[str, Any], happen: Happening, kind: str, status: str, reason: str, sentence: str) -> None:
    story = Story(**fields).ramp_to(1) if not fields.get("ramp") or fields["ramp"]["steps"][0]["hold"] == "1m" else Story(**fields).settle()
    happen(story)
    condition = story.condition(kind)
    assert (condition.status, condition.reason, sentence in condition.message) == (status, reason, True)
    counted = {"ResultsValid"} if story.spec.guardrails else set[str]()
    assert {each.type for each in story.known.conditions} == {"Valid", "RulesRendered", "GuardrailsPassing", "Progressing"} | counted
    assert {each.observed_generation for each in story.known.conditions} <= {story.generation, story.generation - 1}


def test_nothing_in_the_way_is_said_for_the_moment_it_lasts() -> None:
    story = Story(ramp=steps(1, 5, hold="0s"))
    story.decide()
    story.decide()
    assert (story.said[2], story.condition("Progressing").reason, story.waiting) == (1.0, Reason.READY, None)


FLAGD = {"config_map": "feature-gates-flagd"}
SAID = FlagdSeen(reason=Reason.RENDERED_FOR_FLAGD, facts=FLAGD)
UNSAID = FlagdSeen(reason=Reason.NOT_RENDERABLE, facts={**FLAGD, "problem": "semver of v", "instead": "left out"})


def test_what_flagd_is_told_is_a_condition_as_long_as_documents_are_rendered() -> None:
    story = Story().ramp_to(1)
    for seen, wanted in [(FlagdSeen(), None), (SAID, "True"), (FlagdSeen(), "True"), (UNSAID, "False"), (None, None)]:
        story.flagd = seen
        story.decide()
        condition = story.known.condition("FlagdRendered")
        assert (condition and condition.status) == wanted, seen


def test_what_flagd_cannot_say_is_announced_with_its_reason() -> None:
    story = Story().ramp_to(1)
    story.flagd = UNSAID
    assert [(each.reason, each.warning) for each in story.decide().announcements] == [(Reason.NOT_RENDERABLE, True)]
    assert story.condition("FlagdRendered").message == (
        "ConfigMap feature-gates-flagd does not tell flagd what the gate's entry says: semver of v. There it is left out."
    )


def test_a_transition_time_moves_with_the_status_alone() -> None:
    story = Story(guardrails=[HOLDING]).ramp_to(1)
    since = story.condition("GuardrailsPassing").last_transition_time
    story.wait("10s").decide_with(GOOD)
    assert story.condition("GuardrailsPassing").last_transition_time == since
    story.wait("10s").decide_with(BAD)
    assert story.condition("GuardrailsPassing").last_transition_time == story.now
    changed = story.now
    story.wait("10s").decide_with(BAD)
    assert story.condition("GuardrailsPassing").last_transition_time == changed


def test_a_condition_speaks_of_the_generation_it_has_seen() -> None:
    story = Story().ramp_to(1).edit(owner="others")
    story.decide()
    assert {each.observed_generation for each in story.known.conditions} == {2}
    assert story.known.observed_generation == 2


def heard(story: Story, happen: Happening) -> list[tuple[str, bool]]:
    """What `happen` makes people hear, with whether it is a warning."""
    said: list[tuple[str, bool]] = []
    decide = story.decide

    def listening(*looks: Any, **options: Any) -> Any:
        decision = decide(*looks, **options)
        said.extend((each.reason.value, each.warning) for each in decision.announcements)
        return decision

    story.decide = listening  # type: ignore[method-assign]  # an ear on the story
    happen(story)
    return said


def unwritten_for(time: str) -> Happening:
    def happen(story: Story) -> None:
        put(KEY, "x")(story)
        story.wait(time).decide(serve=False)

    return happen


def killed_unheard(story: Story) -> None:
    story.edit(killed=True).decide(serve=False)
    story.decide(serve=False)
    story.wait("10s").decide(serve=False)
    assert (story.waiting, story.condition("RulesRendered").reason) == ("Rules", "RulesBehind")
    assert "Pods still obey 1 %" in story.condition("RulesRendered").message


ANNOUNCED: list[tuple[str, dict[str, Any], Happening, list[tuple[str, bool]]]] = [
    ("a step", {}, later("1m"), [("Stepped", False)]),
    ("a kill", {}, edited(killed=True), [("Killed", True)]),
    ("a new attempt", {}, lambda story: story.edit(attempt=2, paused=True).decide(), [("AttemptStarted", False)]),
    ("a ship", {}, edited(ship=SHIP), [("Shipped", False)]),
    ("a rollback", {"guardrails": [ERRORS]}, read(BAD), [("GuardrailBreached", True)]),
    ("edited steps", {}, edited(ramp=steps(1)), [("StepsChanged", False)]),
    ("a completed ramp", {"ramp": steps(1)}, later("1m"), [("Completed", False)]),
    ("an invalid spec", {}, edited(invalid="no"), [("Invalid", True)]),
    ("break-glass", {}, put(KILL_KEY, "*"), [("BreakGlass", True)]),
    ("a foreign ConfigMap", {}, put(FORMAT_KEY, "x"), [("ForeignConfigMap", True)]),
    ("an entry that was changed and is repaired", {}, put(KEY, "x"), []),
    ("an entry that cannot be written for 10 seconds", {}, unwritten_for("10s"), [("RulesBehind", True)]),
    ("an entry that could not be written for 9 seconds", {}, unwritten_for("9s"), []),
    ("a kill that pods do not hear of", {}, killed_unheard, [("Killed", True), ("RulesBehind", True)]),
    ("a breach that holds", {"guardrails": [HOLDING]}, read(BAD), [("Guardrail", True)]),
    ("missing readings", {"guardrails": [ERRORS]}, lambda story: story.wait("21s").decide_with(NO_DATA), [("Metrics", True)]),
    ("readings that a step's first units have not made yet", {"guardrails": [ERRORS]}, read(NO_DATA), []),
    ("readings that grew old while no operator looked", {"guardrails": [ERRORS]}, lambda story: story.wait("50s").decide(), []),
    (
        "the end of a hold, when approval was asked for before",
        {"ramp": {"steps": [{"percent": 1, "hold": "1m"}, {"percent": 5, "hold": "1m", "approval": True}]}},
        later("1m"),
        [],
    ),
    ("a deadline that holds", {"schedule": {"deadline": "2026-12-01T12:00:30Z"}}, later("30s"), [("Deadline", True)]),
    (
        "a deadline that rolls back",
        {"schedule": {"deadline": "2026-12-01T12:00:30Z", "onDeadline": "Rollback"}},
        later("30s"),
        [("DeadlinePassed", True)],
    ),
    ("a ship that comes too late", {"guardrails": [ERRORS]}, ended_and_shipped, [("GuardrailBreached", True), ("ShipRefused", True)]),
    ("a pause", {}, edited(paused=True), []),
    ("another owner", {}, edited(owner="others"), []),
    ("a good reading", {"guardrails": [ERRORS]}, read(GOOD), []),
]


@pytest.mark.parametrize(("fields", "happen", "expected"), [row[1:] for row in ANNOUNCED], ids=[row[0] for row in ANNOUNCED])
def test_people_hear_once_of(fields: dict[str, Any], happen: Happening, expected: list[tuple[str, bool]]) -> None:
    story = Story(**fields).ramp_to(1)
    assert heard(story, happen) == expected
    assert heard(story, lambda story: story.decide(serve=False)) == []


def test_approval_is_asked_for_in_an_event_that_is_no_warning() -> None:
    ramp = {"steps": [{"percent": 5, "hold": "1m", "approval": True}]}
    assert heard(Story(ramp=ramp), lambda story: story.settle()) == [("Approval", False)]


def test_what_has_gone_and_comes_again_is_heard_again() -> None:
    story = Story(guardrails=[HOLDING]).ramp_to(1)
    assert heard(story, lambda story: [read(answer)(story) for answer in (BAD, BAD, GOOD, BAD)]) == [("Guardrail", True)] * 2


def test_a_spec_that_was_never_accepted_is_described_and_what_is_served_stays() -> None:
    story = Story().ramp_to(10).edit(invalid="spec.ramp: no")
    story.accepted, before = None, story.data and dict(story.data)
    assert heard(story, lambda story: story.settle()) == [("Invalid", True)]
    valid = story.condition("Valid")
    assert (valid.status, valid.reason, valid.observed_generation) == ("False", "Invalid", 2)
    assert (story.waiting, story.known.observed_generation, story.said, story.data) == ("Invalid", 2, ("Ramping", 1, 10.0), before)
    assert story.condition("Progressing").reason == "Hold"
    assert len(story.known.conditions) == 4


def test_a_spec_that_was_never_accepted_obeys_a_kill() -> None:
    story = Story().ramp_to(10).edit(invalid="no", killed=True)
    story.accepted = None
    assert heard(story, lambda story: story.settle()) == [("Killed", True), ("Invalid", True)]
    assert (story.said, story.waiting, story.entry.content["serve"]) == (("Killed", -1, 0.0), None, "KILLED")


def test_a_kill_of_a_spec_that_was_never_accepted_says_when_pods_were_not_told() -> None:
    story = Story().ramp_to(10).edit(invalid="no", killed=True)
    story.accepted, story.data = None, {KEY: (story.data or {})[KEY]}
    story.settle()
    assert (story.said, story.waiting) == (("Killed", -1, 0.0), "Rules")
    rendered = story.condition("RulesRendered")
    assert (rendered.status, rendered.reason) == ("False", "ForeignConfigMap")
    story.data |= {FORMAT_KEY: FORMAT}
    story.settle()
    assert (story.waiting, story.condition("RulesRendered").status, story.entry.content["serve"]) == (None, "True", "KILLED")


def test_messages_are_bounded() -> None:
    story = Story().ramp_to(1).edit(invalid="x" * 5000)
    story.decide()
    assert {len(each.message) for each in story.known.conditions if each.reason == "Invalid"} == {1024}


def test_each_guardrail_without_a_reading_is_named() -> None:
    story = Story(guardrails=[ERRORS, {**ERRORS, "name": "slow"}, {**ERRORS, "name": "payments"}])
    story.settle().wait("21s").decide(*(story.look(NO_DATA, name) for name in ("errors", "slow", "payments")))
    said = story.condition("Progressing").message
    assert said.startswith("Guardrail errors: no data")
    assert said.endswith("So it is with slow, payments; status.guardrails says why.")
