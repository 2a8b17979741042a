"""A shop that counts per variant, and a story that looks at it through the questions the operator asks."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from rampgate_operator.core.looks import Answer, Exposed, Failed, FailureReason, Increases, NoData
from rampgate_operator.core.observation import Look
from rampgate_operator.core.questions import ask, read_answers
from rampgate_operator.core.status import GuardrailStatus
from tests.core.story import COUNTED, Story

LOOKBACKS = {"default": timedelta(minutes=5)}
AWAY = Failed(FailureReason.TIMEOUT, "no answer in 5 s")
HARM, EQUAL = {"on": 60, "off": 30, "baseline": 60}, {"on": 10, "off": 10, "baseline": 20}
TOTALS = {"on": 1000, "off": 1000, "baseline": 2000}
LONG = {"ramp": {"steps": [{"percent": 10, "hold": "1h"}, {"percent": 100, "hold": "1h"}]}}
Counts = Mapping[str, float]

UNITS = {"name": "failed", "errorRate": {}, "maxIncrease": "10%", "onBreach": "Hold"}
SERVED = {"on": 1000.0, "off": 1000.0, "baseline": 2000.0}
BUSY = dict.fromkeys(SERVED, 5000.0)


def answered(counts: Counts | Answer) -> Answer:
    return Increases((dict(counts),)) if isinstance(counts, Mapping) else counts


def exposed(*windows: Counts, settled: bool = True, processes: float = 1) -> Exposed:
    """First exposures, by window and variant."""
    return Exposed(tuple(dict(window) for window in windows), (settled,) * len(windows), processes)


def look_of(story: Story, total: Counts | Answer, events: Counts | Answer) -> Look:
    """What the operator asks for now, answered."""
    asked = replace(ask(story.situation(), LOOKBACKS), exposures=None)
    answers = {("failed", "total"): answered(total), ("failed", "events"): answered(events)}
    looks, _ = read_answers(asked, answers)
    (look,) = looks
    return look


def count(story: Story, total: Counts | Answer = TOTALS, events: Counts | Answer = EQUAL, *, wait: str = "30s") -> None:
    story.wait(wait)
    story.decide(look_of(story, total, events))


def known(story: Story) -> GuardrailStatus:
    found = story.known.guardrail("failed")
    assert found is not None
    return found


def begun(**fields: Any) -> Story:
    """A ramp on its first step, which looks every 10 s."""
    story = Story(**{"guardrails": [{**COUNTED, "onBreach": "Hold"}], **LONG, **fields})
    story.decide()
    story.decide(look_of(story, NoData("nothing"), NoData("nothing")))
    story.decide()
    assert story.said[0] == "Ramping"
    return story


def story_of(guardrail: dict[str, Any], **fields: Any) -> Story:
    """A ramp on its first step, whose guardrail is of this form."""
    story = begun(guardrails=[{**COUNTED, "onBreach": "Hold"}], **fields).edit(guardrails=[guardrail])
    story.decide()
    return story


def answer(story: Story, *, wait: str = "30s", **rose: dict[str, float] | Answer) -> None:
    """Answer one look: by name of what is asked for, `_` for a blank."""
    story.wait(wait)
    questions = replace(ask(story.situation(), LOOKBACKS), exposures=None)
    told = {name.replace("_", " "): each if not isinstance(each, dict) else Increases((each,)) for name, each in rose.items()}
    looks, _ = read_answers(questions, {request.key: told.get(str(request.key[1]), NoData("")) for request in questions.requests})  # type: ignore[index]
    story.decide(*looks)
