"""core/status: what is read of a status that another version of the operator wrote."""

from typing import Any

import pytest

from rampgate_operator.core.observation import ExposureLook
from rampgate_operator.core.status import LatchCause, Phase, read_status
from tests.core.shop import begun, count, exposed
from tests.core.story import BAD, COUNTED, ERRORS, Story

LATER = "AWordOfALaterVersion"


def written() -> dict[str, Any]:
    """The status of a ramp at 10 % that was looked at."""
    story = begun(guardrails=[COUNTED])
    count(story)
    counted = story.known.to_wire()["guardrails"]
    story = Story(guardrails=[ERRORS]).ramp_to(10)
    began = story.now
    story.wait("30s")
    story.decide(story.look(), exposures=ExposureLook(since=began, until=story.now, answer=exposed({"on": 5, "baseline": 95})))
    status = story.known.to_wire()
    return status | {"guardrails": status["guardrails"] + counted}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (["guardrails", 0, "verdict"], "guardrails"),
        (["guardrails", 0, "recent"], "guardrails"),
        (["guardrails", 1, "evidence", 0, "logEValues"], "guardrails"),
        (["exposures", "countedTo"], "exposures"),
        (["sampleRatios", 0, "logEValues"], "sample_ratios"),
        (["history", 0, "to"], "history"),
        (["waitingFor"], "waiting_for"),
        (["conditions", 0, "status"], "conditions"),
        (["nextStepAt"], "next_step_at"),
    ],
    ids=lambda part: part if isinstance(part, str) else ".".join(map(str, part)),
)
def test_a_word_that_is_not_known_costs_what_can_be_found_out_again_and_no_more(path: list[Any], field: str) -> None:
    value = written()
    known = read_status(value)
    place: Any = value
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = LATER
    read = read_status(value)
    assert known is not None
    assert read is not None
    assert read == known.model_copy(update={field: type(known).model_fields[field].get_default()})


def test_a_latch_of_an_unknown_cause_is_a_latch() -> None:
    story = Story(guardrails=[ERRORS]).ramp_to(10)
    story.wait("1s").decide_with(BAD)
    value = story.known.to_wire()
    value["latch"]["cause"] = LATER
    read = read_status(value)
    assert read is not None
    assert (read.phase, read.latch and read.latch.cause) == (Phase.ROLLED_BACK, LatchCause.GUARDRAIL)


@pytest.mark.parametrize("field", ["phase", "attempt", "percent", "step", "latch", "rules"])
def test_a_status_that_does_not_say_where_the_attempt_is_counts_as_lost(field: str) -> None:
    assert read_status({**written(), field: LATER}) is None


@pytest.mark.parametrize("value", [None, {}, [], "x", {"guardrails": LATER}], ids=repr)
def test_what_is_no_status_counts_as_lost(value: object) -> None:
    assert read_status(value) is None


def test_the_numbers_of_evidence_stand_in_one_line_and_are_read_as_they_were() -> None:
    story = begun(guardrails=[COUNTED])
    count(story)
    value = story.known.to_wire()
    line = value["guardrails"][0]["evidence"][0]["logEValues"]
    assert len(line.split()) == 24
    assert read_status(value) == story.known
    value["guardrails"][0]["evidence"][0]["logEValues"] = line.replace(line.split()[0], "inf", 1)
    assert (read_status(value) or story.known).guardrails == ()
