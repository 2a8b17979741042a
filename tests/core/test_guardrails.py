"""core/guardrails: from answers to verdicts, from verdicts to evidence."""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.guardrails import any_breach, blocking, guardrail_digest, judge
from rampgate_operator.core.looks import Answer, Increases, NoData, Value
from rampgate_operator.core.status import GuardrailStatus, Verdict
from tests.core.story import BAD, ERRORS, FAILED, GOOD, NO_DATA, NOON, ORDERS, Story, make_spec

BOTH = {"name": "band", "query": "band", "min": 1, "max": 3}
PASS, BREACH, INCONCLUSIVE, NODATA, ERROR, _ = Verdict


def guardrail(fields: dict[str, Any]) -> Guardrail:
    return Guardrail.from_wire(fields)


def known(story: Story) -> GuardrailStatus:
    found = story.known.guardrail("errors")
    assert found is not None
    return found


VERDICTS: list[tuple[dict[str, Any], Answer, Verdict, str]] = [
    (ERRORS, Value(0.5), PASS, "0.5 is within max 1"),
    (ERRORS, Value(1.0), PASS, "1 is within max 1"),
    (ERRORS, Value(1.0001), BREACH, "1 is above max 1"),
    (ERRORS, Value(123456.0), BREACH, "1.235e+05 is above max 1"),
    (ORDERS, Value(5.0), PASS, "5 is within min 5"),
    (ORDERS, Value(4.9), BREACH, "4.9 is below min 5"),
    (BOTH, Value(0.9), BREACH, "0.9 is below min 1"),
    (BOTH, Value(2.0), PASS, "2 is within min 1 and max 3"),
    (BOTH, Value(3.1), BREACH, "3.1 is above max 3"),
    (ERRORS, NoData("no series"), NODATA, "no data: no series"),
    (ERRORS, FAILED, ERROR, "query failed (Timeout): no answer in 5 s"),
    (ERRORS, Increases(({"on": 1.0},)), ERROR, "query failed: counts where one number is needed"),
    (ERRORS, Value(math.nan), NODATA, "no data: nan is no number to judge by"),
    (ORDERS, Value(math.inf), NODATA, "no data: inf is no number to judge by"),
    (ERRORS, Value(-math.inf), NODATA, "no data: -inf is no number to judge by"),
]


@pytest.mark.parametrize(("fields", "answer", "verdict", "sentence"), VERDICTS)
def test_the_verdict_on_an_answer(fields: dict[str, Any], answer: Answer, verdict: Verdict, sentence: str) -> None:
    judged = judge(guardrail(fields), answer, "")
    assert (judged.verdict, judged.message) == (verdict, sentence)
    finite = isinstance(answer, Value) and math.isfinite(answer.value)
    assert judged.value == (answer.value if finite else None)  # type: ignore[union-attr]  # only then it is a Value


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [(BAD, "2 of on is above max 1"), (NO_DATA, "no data of on: no series"), (FAILED, "query of on failed (Timeout): no answer in 5 s")],
)
def test_a_verdict_names_the_treatment_that_was_asked_for(answer: Answer, sentence: str) -> None:
    assert judge(guardrail(ERRORS), answer, "on").message == sentence


@pytest.mark.parametrize(
    ("answers", "verdict", "whose"),
    [
        ({"a": GOOD, "b": BAD}, BREACH, "of b"),
        ({"a": BAD, "b": FAILED}, BREACH, "of a"),
        ({"a": NO_DATA, "b": FAILED}, ERROR, "of b"),
        ({"a": NO_DATA, "b": GOOD}, NODATA, "of a"),
        ({"a": GOOD, "b": GOOD}, PASS, "of a"),
    ],
)
def test_the_worst_verdict_of_the_treatments_counts(answers: Mapping[str, Answer], verdict: Verdict, whose: str) -> None:
    story = Story(guardrails=[{**ERRORS, "onBreach": "Hold"}]).settle().wait("1s")
    story.decide(story.look(answers))
    assert (known(story).verdict, whose in known(story).message) == (verdict, True)


def test_evidence_is_kept_newest_last_and_no_more_than_ten() -> None:
    story = Story(guardrails=[{**ERRORS, "onBreach": "Hold"}]).settle()
    for answer in [NO_DATA, *[GOOD] * 8, BAD]:
        story.wait("10s").decide_with(answer)
    assert known(story).recent == (NODATA, *[PASS] * 8, BREACH)
    assert (known(story).looked_at, known(story).value) == (story.now, 2.0)


def test_the_same_look_counts_once() -> None:
    story = Story(guardrails=[{**ERRORS, "onBreach": "Hold"}]).settle().wait("10s")
    look = story.look(BAD)
    story.decide(look)
    story.decide(look)
    story.wait("1s").decide(look)
    assert known(story).recent == (PASS, BREACH)


def test_looks_that_come_together_all_count_in_the_order_of_their_time() -> None:
    story = Story(guardrails=[{**ERRORS, "onBreach": "Hold"}]).settle().wait("10s")
    looks = [story.look(BAD), story.wait("10s").look(GOOD), story.wait("10s").look(NO_DATA)]
    story.decide(looks[2], looks[0], looks[1])
    assert known(story).recent == (PASS, BREACH, PASS, NODATA)


def test_a_look_that_comes_late_changes_nothing() -> None:
    story = Story(guardrails=[{**ERRORS, "onBreach": "Hold"}]).settle().wait("10s")
    late = story.look(GOOD)
    story.wait("10s").decide_with(BAD)
    story.wait("1s").decide(late)
    assert (known(story).verdict, known(story).recent) == (BREACH, (PASS, BREACH))


def test_after_the_clock_was_set_back_looks_count_again_and_at_once() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).wait("30s")
    story.decide_with(GOOD)
    story.now -= timedelta(hours=1)
    story.decide()
    story.wait("10s").decide_with(BAD)
    assert (known(story).recent, story.said[0]) == ((PASS, PASS, BREACH), "RolledBack")


@pytest.mark.parametrize(
    ("edit", "kept"),
    [
        ({"max": 2}, False), ({"min": 0}, False), ({"query": "others"}, False), ({"source": "default"}, True),
        ({"onBreach": "Hold"}, True), ({"breaches": {"count": 2, "of": 2}}, True), ({"onNoData": "Rollback"}, True),
    ],
)  # fmt: skip
def test_what_a_guardrail_measures_starts_its_evidence_again_what_it_does_not(edit: dict[str, Any], kept: bool) -> None:
    story = (
        Story(guardrails=[ERRORS, {**ORDERS, "onBreach": "Notify"}])
        .ramp_to(1)
        .edit(guardrails=[{**ERRORS, **edit}, {**ORDERS, "onBreach": "Notify"}])
    )
    story.decide()
    assert (story.known.guardrail("errors") is not None) is kept
    assert story.known.guardrail("orders") is not None


def test_another_source_is_another_measurement() -> None:
    assert guardrail_digest(guardrail({**ERRORS, "source": "other"}), make_spec()) != guardrail_digest(guardrail(ERRORS), make_spec())


def test_a_guardrail_that_is_gone_is_forgotten() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).edit(guardrails=None)
    story.decide()
    assert story.known.guardrails == ()


def test_answers_to_an_older_question_or_attempt_are_void() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1).wait("10s")
    look = story.look(BAD)
    story.edit(guardrails=[{**ERRORS, "max": 5}])
    story.decide(look)
    assert (story.said[0], story.known.guardrails) == ("Ramping", ())
    story.edit(guardrails=[ERRORS], attempt=2)
    story.decide(look)
    story.wait("1s").decide(look)
    assert (story.known.attempt, story.known.guardrails) == (2, ())


def test_since_when_data_is_missing_is_the_first_look_without() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(1)
    story.wait("10s").decide_with(NO_DATA)
    story.wait("10s").decide_with(FAILED)
    assert (known(story).last_data_at, known(story).without_data_since) == (NOON, story.looking_ahead(-10))
    story.wait("10s").decide_with(BAD)
    assert (known(story).last_data_at, known(story).without_data_since) == (story.now, None)


def test_a_clock_set_back_cannot_put_off_the_patience_with_missing_readings() -> None:
    story = Story(guardrails=[{**ERRORS, "onNoData": "Rollback"}]).ramp_to(1)
    story.wait("10s").decide_with(NO_DATA)
    story.now -= timedelta(hours=1)
    for _ in range(3):
        story.wait("10s").decide_with(NO_DATA)
    assert story.said[0] == "RolledBack"


def test_messages_are_bounded() -> None:
    story = Story(guardrails=[ERRORS]).settle().wait("1s")
    story.decide_with(NoData("x" * 5000))
    assert len(known(story).message) == 1024


def test_notify_never_blocks_and_the_others_do() -> None:
    spec = make_spec(
        guardrails=[{**ERRORS, "name": f"g{index}", "onBreach": word} for index, word in enumerate(("Rollback", "Hold", "Notify"))]
    )
    assert [each.name for each in blocking(spec)] == ["g0", "g1"]
    assert blocking(make_spec()) == ()


@pytest.mark.parametrize(("answer", "urgent"), [(BAD, True), (GOOD, False), (NO_DATA, False), (FAILED, False)])
def test_a_look_with_a_breach_is_urgent(answer: Answer, urgent: bool) -> None:
    story = Story(guardrails=[ERRORS]).settle()
    assert any_breach(story.spec, [story.look(answer)], story.status) is urgent


def test_a_breach_of_a_guardrail_that_is_gone_is_not_urgent() -> None:
    story = Story(guardrails=[ERRORS]).settle()
    assert not any_breach(make_spec(), [story.look(BAD)], story.status)
