"""core/reasons: each reason once, one word and one sentence; and the sentences as people read them."""

from typing import Any

import pytest

from rampgate_operator.core.reasons import SENTENCES, Reason, percent_text, say
from rampgate_operator.core.status import LatchCause, WaitingFor
from tests.core.story import ERRORS, GOOD, NO_DATA, Story, steps

SHIP = {"attempt": 1, "variant": "on"}
PAST = {"deadline": "2026-12-01T12:00:30Z", "onDeadline": "Rollback"}
LAST = "The last step's hold is over: the ramp is complete at 1 %. Decide with spec.ship."


def test_every_reason_has_a_sentence_and_every_wait_is_a_reason() -> None:
    assert list(SENTENCES) == list(Reason)
    assert {word.value for word in WaitingFor} <= {reason.value for reason in Reason}
    assert all(sentence.endswith((".", "}")) for sentence in SENTENCES.values())


def test_a_fact_that_is_missing_is_a_bug() -> None:
    with pytest.raises(KeyError):
        say(Reason.STEPPED, before="1")


@pytest.mark.parametrize(("percent", "text"), [(10.0, "10"), (0.5, "0.5"), (99.99, "99.99"), (0.0, "0")])
def test_a_percentage_is_said_without_a_needless_fraction(percent: float, text: str) -> None:
    assert percent_text(percent) == text


TOLD: list[tuple[str, dict[str, Any], str, Any, str]] = [
    ("a step", {}, "1m", GOOD, "Exposure rises from 1 % to 10 %."),
    (
        "a completed ramp",
        {"ramp": steps(1)},
        "1m",
        GOOD,
        LAST,
    ),
    ("edited steps", {"ramp": steps(0.5, 20)}, "1s", GOOD, "The steps were edited: 0.5 % is served, and its clock starts again."),
    ("a ship", {"ship": SHIP}, "1s", GOOD, "Shipped: every eligible unit gets on."),
    (
        "a kill",
        {"killed": True},
        "1s",
        GOOD,
        "Killed at 1 %: everybody goes back to control. To begin again, remove spec.killed and set spec.attempt to 2 or higher.",
    ),
    (
        "a deadline",
        {"schedule": PAST},
        "30s",
        GOOD,
        "Rolled back from 1 %: the deadline 2026-12-01T12:00:30.000Z has passed. To begin again, set spec.attempt to 2 or higher.",
    ),
]


@pytest.mark.parametrize(("edit", "time", "answer", "sentence"), [row[1:] for row in TOLD], ids=[row[0] for row in TOLD])
def test_the_history_tells(edit: dict[str, Any], time: str, answer: Any, sentence: str) -> None:
    story = Story(guardrails=[ERRORS], **(edit if sentence == LAST else {})).ramp_to(1).edit(**edit).wait(time)
    story.decide_with(answer)
    assert story.known.history[-1].message == sentence


def test_a_rollback_for_missing_readings_names_the_guardrail() -> None:
    story = Story(guardrails=[{**ERRORS, "onNoData": "Rollback"}]).ramp_to(1)
    for _ in range(3):
        story.wait("10s").decide_with(NO_DATA)
    latch = story.known.latch
    assert latch is not None
    assert (latch.guardrail, latch.cause) == ("errors", LatchCause.GUARDRAIL)
    assert latch.message.startswith(
        "Rolled back from 1 %: guardrail errors has had no reading since 2026-12-01T12:00:00.000Z: no data: no series."
    )


def test_a_step_without_approval_is_nobodys() -> None:
    story = Story(approved={"attempt": 1, "upTo": 100})
    story.managed = [{"manager": "sre", "fieldsV1": {"f:spec": {"f:approved": {}}}}]
    assert story.ramp_to(10).known.history[-1].by is None
