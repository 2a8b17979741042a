"""Whole ramps with counters: nothing is counted twice, harm is found, and where there is none it rolls back no more often than promised."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampgate_operator.core.decide import decide
from rampgate_operator.core.looks import Answer, Increases, NoData
from rampgate_operator.core.observation import Look, Observation
from rampgate_operator.core.questions import ask, read_answers
from rampgate_operator.core.sequential import log_mean
from rampgate_operator.core.status import Phase, Status, read_status
from tests.core.shop import AWAY, LOOKBACKS, begun, known, look_of
from tests.core.story import COUNTED, NOON

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
        assert step.treatment_total <= total.by_variant["on"]
        assert step.treatment_events <= failed.by_variant["on"]
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


# Two hundred simulated ramps of fifty looks: 1 % x 10, 5 % x 10, 25 % x 15, 50 % x 15; all other traffic is the comparison.

RAMP = [(1, 10), (5, 10), (25, 15), (50, 15)]
SECONDS = 60
WEIGHTLESS = [{"name": "off", "value": False, "weight": 0}, {"name": "on", "value": True}]
Rate = Callable[[int], float]


def constant(_look: int) -> float:
    return 0.01


def incident(look: int) -> float:
    """It swings with the hour, and for ten looks everybody fails three times as often."""
    return 0.01 * (1 + 0.5 * math.sin(look / 4)) * (3 if 24 <= look < 34 else 1)


def drawn(number: int, rate: float, chance: random.Random) -> int:
    """How many of so many independent requests fail: from one failure to the next."""
    failed, at, miss = 0, 0, math.log1p(-rate)
    while (at := at + 1 + int(math.log(1 - chance.random()) / miss)) <= number:
        failed += 1
    return failed


def looks(rate: Rate, ratio: float, *, per_second: int, chance: random.Random) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
    """What each look of a ramp brings: totals and events."""
    requests, at = per_second * SECONDS, 0
    for percent, number in RAMP:
        for _ in range(number):
            on = requests * percent // 100
            events = {"on": drawn(on, ratio * rate(at), chance), "baseline": drawn(requests - on, rate(at), chance)}
            yield {"on": on, "baseline": requests - on}, {arm: float(events[arm]) for arm in events}
            at += 1


def play(rate: Rate, ratio: float, *, per_second: int, chance: random.Random) -> tuple[Status, int, float]:
    """Play a ramp through look, verdict and decision; give its status, and how many looks and requests of treatment it took."""
    ramp = {"steps": [{"percent": percent, "hold": f"{number * SECONDS}s"} for percent, number in RAMP]}
    story, seen, treated = begun(guardrails=[COUNTED], variants=WEIGHTLESS, ramp=ramp, interval="1m"), 0, 0.0
    situation = story.situation()
    for total, events in looks(rate, ratio, per_second=per_second, chance=chance):
        story.wait(f"{SECONDS}s")
        situation = replace(situation, status=story.known, observation=Observation(now=story.now, rules=story.seen))
        asked = replace(ask(situation, LOOKBACKS), exposures=None)
        answers = {("failed", "total"): Increases((total,)), ("failed", "events"): Increases((events,))}
        observation = replace(situation.observation, looks=read_answers(asked, answers)[0])
        story.status = decide(situation.experiment, situation.status, observation).status
        seen, treated = seen + 1, treated + total["on"]
        if story.status.phase is not Phase.RAMPING:
            break
        story.serve()
    return story.known, seen, treated


RAMPS, PROMISE = 200, 0.05
AT_MOST = PROMISE + 3 * math.sqrt(PROMISE * (1 - PROMISE) / RAMPS)


@pytest.mark.timeout(600)  # on a busy machine
def test_equal_arms_are_rolled_back_no_more_often_than_promised() -> None:
    chance = random.Random(7)
    played = [play(incident if number % 2 else constant, 1.0, per_second=10, chance=chance) for number in range(RAMPS)]
    ended = [status.phase for status, _, _ in played]
    assert {number for status, number, _ in played if status.phase is Phase.COMPLETED} == {sum(number for _, number in RAMP)}
    assert ended.count(Phase.COMPLETED) + ended.count(Phase.ROLLED_BACK) == RAMPS
    assert ended.count(Phase.ROLLED_BACK) <= AT_MOST * RAMPS


def test_twice_the_errors_are_found() -> None:
    chance = random.Random(11)
    played = [play(constant, 2.0, per_second=100, chance=chance) for _ in range(20)]
    assert {status.phase for status, _, _ in played} == {Phase.ROLLED_BACK}
    assert sorted(treated for _, _, treated in played)[10] <= 2000
