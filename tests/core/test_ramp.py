"""core/ramp: one table; what is not in it changes nothing."""

import pytest

from rampgate_operator.core.ramp import CAUSES, LATCHED, STARTED, TRANSITIONS, Change, Trigger, highest_step, is_allowed, move, steps_digest
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.status import HISTORY_LIMIT, Exposures, LatchCause, Phase, Status
from rampgate_operator.core.status_fields import MESSAGE_LIMIT
from tests.core.story import NOON, make_spec, steps

STEPS = make_spec().ramp.steps
EVERY = [(phase, trigger) for phase in Phase for trigger in Trigger]


def status(phase: Phase = Phase.RAMPING) -> Status:
    return Status(
        phase=phase,
        attempt=1,
        attempt_started_at=NOON,
        step=1,
        percent=10,
        step_started_at=NOON,
        next_step_at=NOON,
        steps_digest=steps_digest(STEPS),
        exposures=Exposures(counted_to=NOON, variants=()),
    )


def change(trigger: Trigger, step: int = 2) -> Change:
    return Change(trigger=trigger, reason=Reason.STEPPED, message="why", step=step, attempt=7, variant="on", guardrail="errors", by="me")


@pytest.mark.parametrize(("phase", "trigger"), EVERY, ids=[f"{phase} {trigger}" for phase, trigger in EVERY])
def test_a_change_leads_where_the_table_says_or_nowhere(phase: Phase, trigger: Trigger) -> None:
    step = -1 if trigger is Trigger.STEPS_ALL_HIGHER else 2
    if not is_allowed(phase, trigger):
        with pytest.raises(KeyError):
            move(status(phase), change(trigger, step), steps=STEPS, now=NOON)
        return
    moved = move(status(phase), change(trigger, step), steps=STEPS, now=NOON)
    assert moved.phase is TRANSITIONS[phase, trigger]
    entry = moved.history[-1]
    assert (entry.at, entry.from_, entry.to, entry.percent) == (NOON, phase, moved.phase, moved.percent)
    assert (entry.reason, entry.message, entry.by) == (Reason.STEPPED, "why", "me")


def test_the_table_says_that() -> None:
    ended = {trigger for (phase, trigger) in TRANSITIONS if phase in LATCHED}
    assert ended == {Trigger.KILL, Trigger.NEW_ATTEMPT}
    assert all(is_allowed(phase, Trigger.NEW_ATTEMPT) for phase in Phase)
    assert all(is_allowed(phase, Trigger.KILL) is (phase is not Phase.KILLED) for phase in Phase)
    assert {target for (_, trigger), target in TRANSITIONS.items() if trigger is Trigger.NEW_ATTEMPT} == {Phase.PENDING}
    assert {phase for (phase, trigger) in TRANSITIONS if trigger is Trigger.STEP} == {Phase.PENDING, Phase.RAMPING}
    assert {Phase.PENDING} | STARTED | LATCHED == set(Phase)


@pytest.mark.parametrize("trigger", [Trigger.KILL, Trigger.BREACH, Trigger.READINGS_MISSING, Trigger.DEADLINE])
def test_an_end_latches_and_stops_the_clock(trigger: Trigger) -> None:
    moved = move(status(), change(trigger), steps=STEPS, now=NOON)
    latch = moved.latch
    assert latch is not None
    assert (latch.attempt, latch.at, latch.from_percent, latch.guardrail, latch.message) == (1, NOON, 10, "errors", "why")
    assert latch.cause is CAUSES.get(trigger, LatchCause.GUARDRAIL)
    assert (moved.percent, moved.step, moved.shipped) == (0, -1, None)
    assert (moved.step_started_at, moved.next_step_at, moved.exposures, moved.steps_digest) == (None, None, None, "")


def test_an_end_of_a_shipped_feature_forgets_what_was_shipped() -> None:
    shipped = move(status(), change(Trigger.SHIP), steps=STEPS, now=NOON)
    assert (shipped.percent, shipped.shipped, shipped.step_started_at, shipped.exposures) == (100, "on", None, None)
    assert move(shipped, change(Trigger.KILL), steps=STEPS, now=NOON).shipped is None


def test_a_new_attempt_forgets_the_old_one_but_not_its_history() -> None:
    ended = move(status(), change(Trigger.KILL), steps=STEPS, now=NOON)
    begun = move(ended, change(Trigger.NEW_ATTEMPT), steps=STEPS, now=NOON)
    assert (begun.attempt, begun.attempt_started_at, begun.percent, begun.step, begun.latch) == (7, NOON, 0, -1, None)
    assert len(begun.history) == 2


def test_a_step_serves_its_percentage_and_starts_its_clock() -> None:
    moved = move(status(Phase.PENDING), change(Trigger.STEP, 3), steps=STEPS, now=NOON)
    assert (moved.step, moved.percent, moved.step_started_at, moved.exposures) == (3, 100, NOON, None)
    assert moved.steps_digest == steps_digest(STEPS)


def test_completion_leaves_what_is_served() -> None:
    moved = move(status(), change(Trigger.COMPLETE), steps=STEPS, now=NOON)
    assert (moved.phase, moved.percent, moved.step) == (Phase.COMPLETED, 10, 1)


def test_the_history_keeps_the_last_and_messages_are_bounded() -> None:
    moved = status()
    for number in range(HISTORY_LIMIT + 5):
        long = Change(trigger=Trigger.STEP, reason=Reason.STEPPED, message=f"{number} " + "x" * 2000, step=1)
        moved = move(moved, long, steps=STEPS, now=NOON)
    assert len(moved.history) == HISTORY_LIMIT
    assert (moved.history[-1].message[:3], moved.history[0].message[:2], len(moved.history[0].message)) == ("24 ", "5 ", MESSAGE_LIMIT)
    ended = move(moved, Change(trigger=Trigger.KILL, reason=Reason.KILLED, message="x" * 2000), steps=STEPS, now=NOON)
    assert ended.latch is not None
    assert len(ended.latch.message) == MESSAGE_LIMIT


@pytest.mark.parametrize(("percent", "step"), [(0, -1), (0.99, -1), (1, 0), (9.99, 0), (10, 1), (50, 2), (99.99, 2), (100, 3)])
def test_the_highest_step_that_raises_nothing(percent: float, step: int) -> None:
    assert highest_step(STEPS, percent) == step


def test_any_edit_of_the_steps_is_noticed() -> None:
    edits = [
        steps(1, 10, 50), steps(1, 10, 50, 99), steps(1, 10, 50, 100, hold="61s"),
        steps(1, 10, 50, 100, minExposures=1), steps(1, 10, 50, 100, approval=True),
    ]  # fmt: skip
    marks = {steps_digest(make_spec(ramp=edit).ramp.steps) for edit in (*edits, steps(1, 10, 50, 100))}
    assert len(marks) == len(edits) + 1
