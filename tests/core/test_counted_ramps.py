"""Whole ramps with counters: whatever happens on the way, nothing is counted twice and nothing is lost."""

import math
from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from rampgate_operator.core.looks import Answer, Increases, NoData
from rampgate_operator.core.observation import Look
from rampgate_operator.core.questions import ask
from rampgate_operator.core.sequential import log_mean
from rampgate_operator.core.status import Status, read_status
from tests.core.shop import AWAY, LOOKBACKS, begun, known, look_of
from tests.core.story import NOON

# Whatever happens on the way: one request a second in each arm, one in ten fails, and nothing is counted twice.

EVENTS = st.lists(
    st.sampled_from(["look", "look", "look", "ask", "ask", "answer", "again", "fail", "none", "persist", "restart", "step", "pause"]),
    max_size=40,
)


class Truth:
    """A shop that counts a request in each arm every second, and an operator that has bad days."""

    def __init__(self) -> None:
        self.story = begun(ramp={"steps": [{"percent": percent, "hold": "90s"} for percent in (1, 10, 50, 100)]}, interval="10s")
        self.asked: list[Look] = []
        self.answered: list[Look] = []
        self.persisted: Status = self.story.known

    def rose(self, since: datetime, until: datetime) -> tuple[Answer, Answer]:
        seconds = range(math.floor(since.timestamp()) + 1, math.floor(until.timestamp()) + 1)
        failed = sum(second % 10 == 0 for second in seconds)
        return Increases((dict.fromkeys(("on", "off", "baseline"), float(len(seconds))),)), Increases(
            ({"on": float(failed), "off": float(failed)},)
        )

    def ask(self) -> None:
        for question in ask(self.story.wait("7s").situation(), LOOKBACKS).guardrails:
            total, events = self.rose(question.reads_from, question.counted_to or question.at)
            self.asked.append(look_of(self.story, total, events))

    def take(self, *looks: Look) -> None:
        percent = self.story.known.percent
        self.answered.extend(looks)
        self.story.decide(*looks)
        if self.story.known.percent != percent:  # always before anything acts on them
            self.persisted = self.story.known

    def happen(self, event: str) -> None:
        match event:
            case "ask":
                self.ask()
            case "look":
                self.ask()
                self.take(*self.asked)
                self.asked.clear()
            case "answer" if self.asked:
                self.take(self.asked.pop())
            case "again" if self.answered:
                self.take(self.answered[-1])
            case "fail" | "none":
                self.take(*(look_of(self.story, *_nothing(event)) for _ in ask(self.story.wait("7s").situation(), LOOKBACKS).guardrails))
            case "persist":
                self.persisted = self.story.known
            case "restart":
                self.story.status, self.asked, self.answered = read_status(self.persisted.to_wire()), [], []
            case "step":
                self.story.wait("90s")
            case "pause":
                self.story.wait("15m")


def _nothing(event: str) -> tuple[Answer, Answer]:
    return (AWAY, AWAY) if event == "fail" else (NoData("none"), NoData("none"))


@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_late_missed_repeated_looks_and_restarts_count_nothing_twice(events: list[str]) -> None:
    truth = Truth()
    for event in events:
        truth.happen(event)
    truth.happen("look")
    found = truth.story.known.guardrail("failed")
    steps_counted = found.evidence[0].steps if found and found.evidence else ()
    ends = [*(step.started_at for step in steps_counted), truth.story.now][1:]
    for step, end in zip(steps_counted, ends, strict=True):
        total, failed = truth.rose(step.started_at, end)
        assert isinstance(total, Increases)
        assert isinstance(failed, Increases)
        assert step.treatment_total <= total.windows[0]["on"]
        assert step.treatment_events <= failed.windows[0]["on"]
        assert (step.comparison_total, step.comparison_events) == (2 * step.treatment_total, step.treatment_events)


@given(st.lists(st.sampled_from(["look", "ask", "answer", "again", "fail", "persist", "restart"]), max_size=30))
@settings(max_examples=100, deadline=None)
def test_without_a_gap_of_ten_minutes_nothing_is_lost(events: list[str]) -> None:
    truth = Truth()
    truth.story.edit(paused=True)
    for event in events:
        truth.happen(event)
    for _ in range(3):  # the grid's first window is over after 10 s, and seen 10 s later
        truth.happen("look")
    found = known(truth.story)
    (step,) = found.evidence[0].steps
    assert found.counted_to is not None
    assert step.treatment_total == (found.counted_to - NOON).total_seconds()
    assert log_mean(found.evidence[0].log_e_values) < math.log(20) or found.verdict == "Breach"
