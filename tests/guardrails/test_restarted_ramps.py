"""Whole ramps under an operator that is started again and again: it decides what an undisturbed twin decides, on the same evidence."""

import math
import random
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from rampgate_operator.core.checkpoint import must_persist
from rampgate_operator.core.decide import decide
from rampgate_operator.core.looks import Answer, Increases, Kind, LookRequest, NoData
from rampgate_operator.core.observation import Observation
from rampgate_operator.core.questions import ask, read_answers
from rampgate_operator.core.status import Evidence, Phase, Status, read_status
from tests.core.shop import LOOKBACKS, begun
from tests.core.story import COUNTED, NOON
from tests.guardrails.ramps import RAMP
from tests.guardrails.test_simulated_ramps import AT_MOST, RAMPS

INTERVAL = timedelta(minutes=1)
PER_MINUTE, RESTART_EVERY = 600, 5
WEIGHTLESS = [{"name": "off", "value": False, "weight": 0}, {"name": "on", "value": True}]
STEPS = {"steps": [{"percent": percent, "hold": f"{number}m"} for percent, number in RAMP]}
Counts = tuple[dict[str, float], dict[str, float]]
Seen = list[tuple[Phase, float, tuple[Evidence, ...]]]


def usual_rate(_minute: int) -> float:
    return 0.01


def rate_in_an_incident(minute: int) -> float:
    """It swings with the hour, and for ten minutes everybody fails three times as often."""
    return 0.01 * (1 + 0.5 * math.sin(minute / 4)) * (3 if 24 <= minute < 34 else 1)


def drawn(number: int, rate: float, chance: random.Random) -> int:
    """How many of so many independent requests fail: from one failure to the next."""
    failed, at, miss = 0, 0, math.log1p(-rate)
    while (at := at + 1 + int(math.log(1 - chance.random()) / miss)) <= number:
        failed += 1
    return failed


class Traffic:
    """Independent requests, one in a hundred of which fails in either arm; what a window brought is the same whoever asks, and whenever."""

    def __init__(self, seed: int, *, ratio: float = 1.0) -> None:
        self._seed, self._ratio = seed, ratio
        self._rate = rate_in_an_incident if seed % 2 else usual_rate

    def between(self, since: datetime, until: datetime, percent: float) -> Counts:
        chance, minute = random.Random(f"{self._seed} {since} {until} {percent}"), round((since - NOON) / INTERVAL)
        requests = round(PER_MINUTE * ((until - since) / INTERVAL))
        on, rate = round(requests * percent / 100), self._rate(minute)
        failed = {"on": float(drawn(on, self._ratio * rate, chance)), "baseline": float(drawn(requests - on, rate, chance))}
        return {"on": on, "baseline": requests - on}, failed


def play(traffic: Traffic, *, restart_every: int | None) -> Seen:
    """Play a ramp; give after each look the phase, the percentage and the evidence."""
    story = begun(guardrails=[COUNTED], variants=WEIGHTLESS, ramp=STEPS, interval="1m")
    persisted, seen, situation = story.known, Seen(), story.situation()
    while story.known.phase is Phase.RAMPING:
        story.wait("1m")
        if restart_every is not None and len(seen) % restart_every == 0:
            story.status = read_status(persisted.to_wire())
        situation = replace(situation, status=story.known, observation=Observation(now=story.now, rules=story.seen))
        asked = ask(situation, LOOKBACKS)
        answers = {request.key: answer(traffic, request, story.known.percent) for request in asked.requests}
        observation = replace(situation.observation, looks=read_answers(asked, answers)[0])
        story.status = decide(situation.experiment, situation.status, observation).status
        story.serve()
        if must_persist(persisted, story.known):
            persisted = story.known
        seen.append((story.known.phase, story.known.percent, evidence(story.known)))
    return seen


def answer(traffic: Traffic, request: LookRequest, percent: float) -> Answer:
    if request.kind is Kind.EXPOSURES:
        return NoData("this application counts no exposures")
    which = ("total", "events").index(request.key[1])  # type: ignore[index]  # the guardrail and the counter
    return Increases(tuple(traffic.between(since, until, percent)[which] for since, until in pairwise(request.edges)))


def evidence(status: Status) -> tuple[Evidence, ...]:
    known = status.guardrail("failed")
    return known.evidence if known else ()


@pytest.mark.parametrize("ratio", [1.0, 1.5, 3.0])
def test_a_restart_at_any_look_changes_neither_decision_nor_a_digit_of_the_evidence(ratio: float) -> None:
    for seed, restart_every in enumerate((1, 2, 3, 5, 7)):
        traffic = Traffic(seed, ratio=ratio)
        assert play(traffic, restart_every=restart_every) == play(traffic, restart_every=None)


@pytest.mark.timeout(600)  # on a busy machine
def test_equal_arms_are_rolled_back_no_more_often_than_promised_with_a_restart_at_every_fifth_look() -> None:
    ended = [play(Traffic(seed), restart_every=RESTART_EVERY)[-1][0] for seed in range(RAMPS)]
    assert ended.count(Phase.COMPLETED) + ended.count(Phase.ROLLED_BACK) == RAMPS
    assert ended.count(Phase.ROLLED_BACK) <= math.floor(AT_MOST * RAMPS)
