"""core/waiting: what holds a ramp, one wait per row, each with the sentence a person reads."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rampgate_operator.core.observation import FORMAT_KEY, KILL_KEY, ROOM
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.status import WaitingFor
from rampgate_operator.core.waiting import CHECKS, find_all
from tests.core.story import BAD, ERRORS, FAILED, GOOD, KEY, NO_DATA, NOON, ORDERS, Story, steps

APPROVAL = {"steps": [{"percent": 1, "hold": "1m"}, {"percent": 10, "hold": "1m", "approval": True}]}
SAMPLES = {"steps": [{"percent": 1, "hold": "1m", "minExposures": 500}, {"percent": 10, "hold": "1m"}]}
HOLDING = {**ERRORS, "onBreach": "Hold"}
PAST = {"deadline": "2026-12-01T12:00:30Z"}
NIGHT = {"windows": [{"days": ["Tue"], "from": "20:00", "to": "22:00"}]}


def foreign(story: Story) -> None:
    story.data = {FORMAT_KEY: "theirs"}


def full(story: Story) -> None:
    assert story.data is not None
    story.data["big.json"] = "x" * ROOM
    story.edit(overrides=[{"variant": "on", "units": ["qa"]}]).decide()


def unwritten(story: Story) -> None:
    story.edit(overrides=[{"variant": "on", "units": ["qa"]}]).decide(serve=False)


def emptied(story: Story) -> None:
    assert story.data is not None
    del story.data[KEY]


def tampered(story: Story) -> None:
    assert story.data is not None
    story.data[KEY] = story.data[KEY].replace('"percent":1,', '"percent":99,')


def kill_key(story: Story) -> None:
    assert story.data is not None
    story.data[KILL_KEY] = "*"


def edited(**fields: Any) -> Callable[[Story], object]:
    return lambda story: story.edit(**fields)


def read(*answers: Any, name: str = "errors") -> Callable[[Story], object]:
    def happen(story: Story) -> None:
        for answer in answers:
            story.wait("1s").decide_with(answer, name)

    return happen


WAITS = [
    ("an invalid spec", {}, edited(invalid="spec.ramp: no"), "Invalid", "the last accepted one stays in force: spec.ramp: no"),
    ("break-glass at the ConfigMap", {}, kill_key, "BreakGlass", "The key kill in ConfigMap feature-gates names this gate: everybody"),
    ("a foreign ConfigMap", {}, foreign, "Rules", "ConfigMap feature-gates exists and is not Rampgate's"),
    ("a full ConfigMap", {}, full, "Rules", "ConfigMap feature-gates would pass 921600 bytes"),
    ("an entry that was not written yet", {}, unwritten, "Rules", "is being written: until then pods obey"),
    (
        "an entry that somebody removed",
        {},
        emptied,
        "Rules",
        "The gate's entry in ConfigMap feature-gates is being written: until then pods obey no entry.",
    ),
    ("an entry that somebody changed", {}, tampered, "Rules", "until then pods obey"),
    ("a guardrail that fails", {"guardrails": [ERRORS]}, read(FAILED), "Metrics", "no answer in 5 s"),
    ("a guardrail without data", {"guardrails": [ERRORS]}, read(NO_DATA), "Metrics", "no data: no series"),
    ("a guardrail that is new", {}, edited(guardrails=[ERRORS]), "Metrics", "Guardrail errors has not been looked at yet"),
    ("a guardrail that was changed", {"guardrails": [ERRORS]}, edited(guardrails=[{**ERRORS, "max": 3}]), "Metrics", "not been looked at"),
    (
        "a breach that holds",
        {"guardrails": [{**ERRORS, "onBreach": "Hold"}]},
        read(BAD),
        "Guardrail",
        "Guardrail errors: 2 is above max 1.",
    ),
    (
        "a breach that does not count yet",
        {"guardrails": [{**ERRORS, "breaches": {"count": 2, "of": 3}}]},
        read(BAD),
        "Guardrail",
        "Guardrail errors: 2 is above max 1.",
    ),
    (
        "breaches that came too often, though the last look passes",
        {"guardrails": [{**ERRORS, "onBreach": "Hold", "breaches": {"count": 2, "of": 3}}]},
        read(BAD, BAD, GOOD),
        "Guardrail",
        "Guardrail errors: 2 of its last 3 looks breached.",
    ),
    ("a pause", {}, edited(paused=True), "Paused", "stays at 1 %"),
    (
        "a deadline that has passed",
        {},
        edited(schedule={"deadline": "2026-12-01T12:00:30Z"}),
        "Deadline",
        "2026-12-01T12:00:30.000Z has passed: it stays at 1 %.",
    ),
    ("a start that was put off", {}, edited(schedule={"notBefore": "2026-12-02T00:00:00Z"}), "NotBefore", "No step before 2026-12-02"),
    ("hours outside the windows", {}, edited(schedule=NIGHT), "Window", "the next one opens at 2026-12-01T20:00:00.000Z"),
    ("a step that wants approval", {"ramp": APPROVAL}, edited(), "Approval", "set spec.approved to {attempt: 1, upTo: 10}"),
    ("too few first exposures", {"ramp": SAMPLES}, edited(), "Samples", "on has had 0 of 500 first exposures on this step."),
]


@pytest.mark.parametrize(("fields", "happen", "word", "sentence"), [row[1:] for row in WAITS], ids=[row[0] for row in WAITS])
def test_what_holds_a_ramp(fields: dict[str, Any], happen: Callable[[Story], object], word: str, sentence: str) -> None:
    story = Story(**fields).ramp_to(1).wait("59s")
    happen(story)
    story.wait("1s").decide(serve=False)
    assert (story.waiting, story.said) == (WaitingFor(word), ("Ramping", 0, 1.0))
    assert any(sentence in finding.message for finding in find_all(story.situation()) if finding.waiting_for == word)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"paused": True}, "Paused"),
        ({"schedule": {"notBefore": "2026-12-02T00:00:00Z"}}, "NotBefore"),
        ({"schedule": NIGHT}, "Window"),
        ({"ramp": steps(1, approval=True)}, "Approval"),
    ],
)
def test_before_the_first_step_a_look_that_nobody_takes_does_not_hide_what_holds_it(fields: dict[str, Any], word: str) -> None:
    story = Story(guardrails=[ERRORS], **fields)
    assert story.decide().look_every is None
    story.wait("1h").decide()
    assert (story.waiting, story.condition("Progressing").reason) == (WaitingFor(word), Reason(word))


def test_the_hold_is_waited_for_until_it_is_over_and_not_longer() -> None:
    story = Story().ramp_to(1).wait("59s")
    assert story.decide().recheck_at == story.looking_ahead(1)
    assert (story.waiting, story.condition("Progressing").message) == (WaitingFor.HOLD, "On 1 % until 2026-12-01T12:01:00.000Z.")
    story.wait("1s").decide()
    assert story.said == ("Ramping", 1, 10.0)


def test_checks_are_asked_in_the_order_of_the_words() -> None:
    story = Story(guardrails=[ERRORS], ramp=SAMPLES).ramp_to(1)
    schedule = {"deadline": "2026-12-01T12:00:01Z", **NIGHT}
    story.edit(invalid="no", paused=True, schedule=schedule).wait("5s")
    kill_key(story)
    tampered(story)
    words = [finding.waiting_for for finding in find_all(story.situation())]
    assert words == sorted(words, key=list(WaitingFor).index)
    assert words[:3] == [WaitingFor.INVALID, WaitingFor.BREAK_GLASS, WaitingFor.RULES]
    assert {check.__name__ for check in CHECKS} >= {"invalid", "break_glass", "hold_not_over"}


@pytest.mark.parametrize(("answer", "moves"), [(GOOD, True), (NO_DATA, True), (FAILED, False), (BAD, False)])
def test_the_first_step_needs_an_answer_but_no_data(answer: Any, moves: bool) -> None:
    story = Story(guardrails=[ERRORS])
    story.decide()
    story.decide_with(answer)
    assert (story.known.percent == 1) is moves


@pytest.mark.parametrize(("answer", "moves"), [(GOOD, True), (NO_DATA, False), (FAILED, False)])
def test_a_later_step_needs_data(answer: Any, moves: bool) -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).wait("1m")
    story.decide_with(answer)
    assert (story.known.percent == 10) is moves


@pytest.mark.parametrize(
    ("age", "waiting"), [("20s", None), ("21s", WaitingFor.METRICS)], ids=["two intervals old counts", "older does not"]
)
def test_a_reading_counts_for_two_intervals(age: str, waiting: WaitingFor | None) -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).wait("1m").wait("30s")
    story.decide(story.look(ago=age))
    assert (story.known.percent == 10) is (waiting is None)
    assert waiting is None or (story.waiting, "has not been looked at since" in story.condition("Progressing").message) == (waiting, True)


def test_a_failure_that_took_longer_than_two_intervals_is_told_and_not_that_a_look_is_due() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).wait("1m").wait("30s")
    story.decide(story.look(FAILED, ago="21s"))
    progressing = story.condition("Progressing")
    assert (story.waiting, progressing.status, progressing.reason) == (WaitingFor.METRICS, "False", Reason.METRICS)
    assert "no answer in 5 s" in progressing.message


def test_a_reading_from_the_future_does_not_count() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).wait("1m")
    look = story.look()
    story.now -= timedelta(seconds=1)
    story.edit(ramp=steps(1, 10, hold="0s"))
    story.decide(look)
    story.decide()
    assert (story.waiting, story.known.percent) == (WaitingFor.METRICS, 1)


@pytest.mark.parametrize(
    ("reach", "moves"), [("60s", True), ("61s", False)], ids=["a reading from the step's start", "a reading from before it"]
)
def test_a_pass_must_lie_wholly_after_the_step_began(reach: str, moves: bool) -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).wait("1m")
    decision = story.decide_with(reach=reach)
    assert (story.known.percent == 10) is moves
    if not moves:
        assert (story.waiting, story.condition("Progressing").reason) == (WaitingFor.METRICS, Reason.READING_TOO_EARLY)
        assert decision.recheck_at == story.looking_ahead(1)


def test_a_reading_whose_range_would_be_ripe_by_now_is_not_waited_for_by_the_clock() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).wait("1m").wait("30s")
    decision = story.decide(story.look(reach="71s", ago="20s"))
    assert (story.condition("Progressing").reason, decision.recheck_at) == (Reason.READING_TOO_EARLY, None)


def test_a_notifying_guardrail_never_blocks() -> None:
    story = Story(guardrails=[{**ERRORS, "onBreach": "Notify"}]).ramp_to(1).wait("1m")
    story.decide_with(BAD)
    assert story.known.percent == 10
    assert story.condition("GuardrailsPassing").status == "False"


def test_a_second_guardrail_holds_behind_one_that_passes() -> None:
    story = Story(guardrails=[ERRORS, ORDERS]).ramp_to(1).wait("1m")
    story.decide(story.look(GOOD), story.look(NO_DATA, "orders"))
    assert (story.waiting, story.known.percent) == (WaitingFor.METRICS, 1)
    assert "Guardrail orders" in story.condition("Progressing").message


@pytest.mark.parametrize(
    ("approved", "percent"),
    [
        (None, 1),
        ({"attempt": 1, "upTo": 10}, 10),
        ({"attempt": 1, "upTo": 9.99}, 1),
        ({"attempt": 2, "upTo": 100}, 1),
    ],
    ids=["none", "given", "for less", "for another attempt"],
)
def test_approval_is_for_this_attempt_and_up_to_a_percentage(approved: dict[str, Any] | None, percent: float) -> None:
    story = Story(ramp=APPROVAL, approved=approved).ramp_to(1).wait("1m").settle()
    assert story.known.percent == percent


def test_the_first_step_may_want_approval_too() -> None:
    story = Story(ramp=steps(5, approval=True)).settle()
    assert (story.waiting, story.known.percent) == (WaitingFor.APPROVAL, 0)


def test_lowering_the_approval_lowers_nothing() -> None:
    story = Story(ramp=APPROVAL, approved={"attempt": 1, "upTo": 10}).ramp_to(10)
    story.edit(approved={"attempt": 1, "upTo": 0}).settle()
    assert story.known.percent == 10


@pytest.mark.parametrize(("seconds", "moves"), [(-1, False), (0, True)], ids=["before", "at"])
def test_not_before_opens_at_its_very_instant(seconds: int, moves: bool) -> None:
    story = Story(schedule={"notBefore": "2026-12-01T13:00:00Z"})
    story.decide()
    assert story.decide().recheck_at == story.looking_ahead(3600)
    story.now = NOON + timedelta(hours=1, seconds=seconds)
    story.decide()
    assert (story.known.percent == 1) is moves


@pytest.mark.parametrize("schedule", [NIGHT, {"notBefore": "2027-01-01T00:00:00Z"}], ids=["a closed window", "a later start"])
def test_the_bake_ends_whatever_the_hours(schedule: dict[str, Any]) -> None:
    story = Story(ramp=steps(100)).ramp_to(100).edit(schedule=schedule)
    assert story.wait("1m").settle().said[0] == "Completed"


def test_a_deadline_holds_the_bake_as_well() -> None:
    story = Story(ramp=steps(100), schedule={"deadline": "2026-12-01T12:00:30Z"}).ramp_to(100).wait("1m").settle()
    assert (story.waiting, story.said[0]) == (WaitingFor.DEADLINE, "Ramping")


@pytest.mark.parametrize(("seconds", "waiting"), [(-1, WaitingFor.HOLD), (0, WaitingFor.DEADLINE)], ids=["before", "at"])
def test_a_deadline_passes_at_its_very_instant(seconds: int, waiting: WaitingFor) -> None:
    story = Story(schedule={"deadline": "2026-12-01T12:00:30Z"}).ramp_to(1)
    assert story.decide().recheck_at == story.looking_ahead(30)
    story.now = NOON + timedelta(seconds=30 + seconds)
    story.decide()
    assert story.waiting is waiting


def test_windows_without_a_day_to_come_say_so() -> None:
    story = Story(schedule=NIGHT).ramp_to(0)
    assert story.waiting is WaitingFor.WINDOW
    assert story.decide().recheck_at == NOON.replace(hour=20)


def test_a_paused_ramp_counts_its_hold_on() -> None:
    story = Story().ramp_to(1).edit(paused=True).wait("10m").settle()
    assert story.said == ("Ramping", 0, 1.0)
    assert story.edit(paused=False).settle().known.percent == 10


def test_an_ended_ramp_waits_for_nothing() -> None:
    story = Story(ramp=steps(100)).ramp_to(100).wait("1m").settle().edit(paused=True, invalid="no").settle()
    assert (story.said[0], story.waiting, find_all(story.situation())) == ("Completed", None, ())
