"""Planted bugs: each must be caught by random histories, or the simulation proves nothing."""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rampgate_operator import reconcile, rules
from rampgate_operator.core import compile as compiling
from rampgate_operator.core import convergence, decide, guardrails, lost, ramp, triggers, waiting
from rampgate_operator.core.ramp import Change, Trigger
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.status import Phase, Verdict
from rampgate_operator.core.weigh import Tally
from tests.simulation.histories import WEIGHTED, end_well, play

Plant = Callable[[pytest.MonkeyPatch], None]
HISTORIES = 100


def without(check: Callable[..., Any]) -> Plant:
    """A ramp that does not wait for this."""
    return lambda patch: patch.setattr(waiting, "CHECKS", tuple(each for each in waiting.CHECKS if each is not check))


def replaced(old: Callable[..., Any], new: Callable[..., Any]) -> Plant:
    return lambda patch: patch.setattr(triggers, "TRIGGERS", tuple(new if each is old else each for each in triggers.TRIGGERS))


def revived(situation: Any) -> Change | None:
    """A latch that the removal of `killed` takes away."""
    status = situation.status
    if status.latch is not None and not situation.experiment.killed:
        return Change(trigger=Trigger.NEW_ATTEMPT, reason=Reason.ATTEMPT_STARTED, message="", attempt=status.attempt)
    return triggers.new_attempt(situation)


def hasty(situation: Any) -> Change | None:
    """Two steps at once."""
    change = triggers.step_due(situation)
    if change is None or change.trigger is not Trigger.STEP:
        return change
    return Change(trigger=Trigger.STEP, reason=change.reason, message="", step=min(change.step + 1, len(situation.steps) - 1))


def same_generation(patch: pytest.MonkeyPatch) -> None:
    honest = decide.number_rules

    def number(experiment: Any, status: Any, observation: Any) -> Any:
        numbered = honest(experiment, status, observation)
        if status.rules is None or numbered.rules is None:
            return numbered
        return numbered.model_copy(update={"rules": numbered.rules.model_copy(update={"generation": status.rules.generation})})

    patch.setattr(decide, "number_rules", number)


def rebuilt_too_high(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lost, "highest_step", lambda steps, percent: min(ramp.highest_step(steps, percent) + 1, len(steps) - 1))


def salted_by_percent(patch: pytest.MonkeyPatch) -> None:
    honest = compiling.compile_content

    def salted(experiment: Any, status: Any, seen: Any) -> Any:
        content = honest(experiment, status, seen)
        return (
            content | {"arms": 1, "variants": content["variants"][:: -1 if status.percent > 1 else 1]}
            if content and "variants" in content
            else content
        )

    for module in (compiling, decide):
        patch.setattr(module, "compile_content", salted)


def everything_is_worth_a_write(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reconcile, "must_persist", lambda _persisted, _decided: True)


def kept_clock(patch: pytest.MonkeyPatch) -> None:
    honest = ramp.start_step

    def start(status: Any, step: int, **facts: Any) -> Any:
        started = honest(status, step, **facts)
        clock = {"step_started_at": status.step_started_at} if status.step_started_at and started.percent == status.percent else {}
        return started.model_copy(update=clock)

    patch.setattr(ramp, "start_step", start)


def quiet_is_fresh(patch: pytest.MonkeyPatch) -> None:
    honest = guardrails._add

    def add(known: Any, guardrail: Any, look: Any, **facts: Any) -> Any:
        added = honest(known, guardrail, look, **facts)
        return added if added is None or added is known else added.model_copy(update={"looked_at": look.at})

    patch.setattr(guardrails, "_add", add)


def carefree(_guardrail: Any, look: Any, *_: Any, **__: Any) -> Any:
    return guardrails.Judgement(verdict=Verdict.PASS, message=""), Tally(counted_to=look.counted_to, evidence=())


BUGS: dict[str, Plant] = {
    "no latch: removing killed begins again": replaced(triggers.new_attempt, revived),
    "a ship revives what was rolled back": lambda patch: patch.setitem(ramp.TRANSITIONS, (Phase.ROLLED_BACK, Trigger.SHIP), Phase.SHIPPED),
    "a lost latch is not rebuilt": lambda patch: patch.setattr(lost, "_ended", lambda *_: None),
    "a lost status is rebuilt too high": rebuilt_too_high,
    "a pass from before the step counts": without(waiting.reading_older_than_step),
    "missing readings count": without(waiting.metrics_missing),
    "readings count for ever": lambda patch: patch.setattr(waiting, "FRESH_INTERVALS", 1000),
    "a quiet window keeps a reading fresh": quiet_is_fresh,
    "an edit of the steps does not start the clock": kept_clock,
    "NaN passes": lambda patch: patch.setattr(guardrails.math, "isfinite", lambda _value: True),
    "the hold does not hold": without(waiting.hold_not_over),
    "a breach does not hold": without(waiting.guardrail_not_passing),
    "a mismatch does not hold": without(waiting.sample_ratio_off),
    "a pause does not hold": without(waiting.paused),
    "consent is not needed": without(waiting.approval_missing),
    "pods are not waited for": without(waiting.pods_behind),
    "a confirmation does not start the clock": lambda patch: patch.setattr(convergence, "restart_clock", lambda status, _now: status),
    "an invalid spec goes on": without(waiting.invalid),
    "two steps at once": replaced(triggers.step_due, hasty),
    "a deadline does not hold": without(waiting.deadline_passed),
    "rules that are not served do not hold": lambda patch: patch.setattr(
        waiting, "CHECKS", tuple(each for each in waiting.CHECKS if each not in (waiting.break_glass, waiting.rules_not_served))
    ),
    "break-glass does not start the clock again": lambda patch: patch.setattr(decide, "_restart_after_outage", lambda s: s.status),
    "a changed step raises": lambda patch: patch.setattr(triggers, "highest_step", lambda steps, _percent: len(steps) - 1),
    "the generation is not raised": same_generation,
    "arms move with the percentage": salted_by_percent,
    "a kill is not obeyed": lambda patch: patch.setattr(
        triggers, "TRIGGERS", tuple(each for each in triggers.TRIGGERS if each is not triggers.killed)
    ),
    "everything is worth a write": everything_is_worth_a_write,
    "keys of ended gates are removed": lambda patch: patch.setattr(rules, "outlives", lambda _entry: False),
    "verdicts are worth no data": lambda patch: patch.setattr(
        guardrails, "_judge_look", lambda *_: guardrails.Judgement(verdict=Verdict.PASS, message="")
    ),
    "counts are worth no data": lambda patch: patch.setattr(guardrails, "weigh", carefree),
    "nothing is taken up when it is due": lambda patch: patch.setattr(decide, "_recheck_at", lambda *_: None),
    "steps a day late": lambda patch: patch.setattr(waiting, "duration", lambda text: waiting_duration(text) + timedelta(days=1)),
}
waiting_duration = waiting.duration
NOTICED_BY = {
    "I1": [
        "a lost status is rebuilt too high", "the hold does not hold", "a breach does not hold", "a mismatch does not hold",
        "a pause does not hold", "consent is not needed", "pods are not waited for", "a confirmation does not start the clock",
        "a deadline does not hold", "rules that are not served do not hold",
        "break-glass does not start the clock again", "an edit of the steps does not start the clock", "verdicts are worth no data",
    ],
    "I2": [
        "no latch: removing killed begins again", "a ship revives what was rolled back", "a lost latch is not rebuilt",
        "keys of ended gates are removed",
    ],
    "I3": ["the generation is not raised"],
    "I4": ["two steps at once", "a changed step raises"],
    "I5": [
        "a pass from before the step counts", "missing readings count", "readings count for ever", "a quiet window keeps a reading fresh",
        "NaN passes", "counts are worth no data",
    ],
    "I6": ["arms move with the percentage"],
    "I8": ["everything is worth a write"],
    "I9": ["an invalid spec goes on", "a kill is not obeyed"],
    "it is stuck": ["nothing is taken up when it is due", "steps a day late"],
}  # fmt: skip
# the history that noticed when this was written: tried first, since most notice nothing
SEEDS = {
    "a mismatch does not hold": 99,
    "a ship revives what was rolled back": 104,
    "a lost latch is not rebuilt": 11,
    "an edit of the steps does not start the clock": 109,
    "readings count for ever": 42,
    "NaN passes": 13,
    "a breach does not hold": 9,
    "a pause does not hold": 6,
    "pods are not waited for": 35,
    "a confirmation does not start the clock": 15,
    "a deadline does not hold": 14,
    "break-glass does not start the clock again": 13,
    "verdicts are worth no data": 9,
    "counts are worth no data": 35,
}

RARE = {  # what random histories hardly ever come to: shown by one of its own
    "a quiet window keeps a reading fresh": ["pause", "wait 10 s", "wait 10 s", "failed: none", *["wait 10 s"] * 3, "go on"],
}


def history(seed: int) -> list[str]:
    chance = random.Random(seed)
    return [chance.choice(WEIGHTED) for _ in range(chance.randint(25, 60))]


async def tell(names: list[str]) -> None:
    await end_well(await play(names))


def what_is_noticed(names: list[str]) -> str:
    try:
        asyncio.run(tell(names))
    except AssertionError as noticed:
        return str(noticed)
    return ""


def test_every_planted_bug_has_an_invariant_that_notices() -> None:
    assert sorted(bug for bugs in NOTICED_BY.values() for bug in bugs) == sorted(BUGS)


@pytest.mark.parametrize(("invariant", "bug"), [(invariant, bug) for invariant, bugs in NOTICED_BY.items() for bug in bugs])
def test_a_planted_bug_is_caught(invariant: str, bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[bug](monkeypatch)
    told = [RARE[bug]] if bug in RARE else (history(seed) for seed in (SEEDS.get(bug, 0), *range(HISTORIES)))
    noticed = (said for names in told if (said := what_is_noticed(names)))
    assert next(noticed, f"{HISTORIES} histories did not notice").startswith(invariant)
