"""The state machine of an attempt: one table, and what each transition does to the status.

What is not in the table changes nothing. docs/states.md is drawn from it (tools/states.py). No clock, no I/O, no policy: *whether* a
trigger fires is triggers.py's, *what it does* is here. Rollback is a row like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rampgate_operator.core.observation import digest
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.spec import Step
from rampgate_operator.core.status import HISTORY_LIMIT, Latch, LatchCause, Phase, Status, Transition
from rampgate_operator.core.status_fields import MESSAGE_LIMIT


class Trigger(StrEnum):
    """What may move an attempt, by precedence: the first that fires wins."""

    KILL = "Kill"
    NEW_ATTEMPT = "NewAttempt"
    SHIP = "Ship"
    BREACH = "Breach"
    READINGS_MISSING = "ReadingsMissing"
    DEADLINE = "Deadline"
    STEPS_CHANGED = "StepsChanged"
    STEPS_ALL_HIGHER = "StepsAllHigher"
    STEP = "Step"
    COMPLETE = "Complete"


TRANSITIONS: dict[tuple[Phase, Trigger], Phase] = {
    # a person's stop comes first, from everywhere
    (Phase.PENDING, Trigger.KILL): Phase.KILLED,
    (Phase.RAMPING, Trigger.KILL): Phase.KILLED,
    (Phase.COMPLETED, Trigger.KILL): Phase.KILLED,
    (Phase.SHIPPED, Trigger.KILL): Phase.KILLED,
    (Phase.ROLLED_BACK, Trigger.KILL): Phase.KILLED,
    # the only way back, always to 0 %
    (Phase.PENDING, Trigger.NEW_ATTEMPT): Phase.PENDING,
    (Phase.RAMPING, Trigger.NEW_ATTEMPT): Phase.PENDING,
    (Phase.COMPLETED, Trigger.NEW_ATTEMPT): Phase.PENDING,
    (Phase.SHIPPED, Trigger.NEW_ATTEMPT): Phase.PENDING,
    (Phase.ROLLED_BACK, Trigger.NEW_ATTEMPT): Phase.PENDING,
    (Phase.KILLED, Trigger.NEW_ATTEMPT): Phase.PENDING,
    # the decision
    (Phase.PENDING, Trigger.SHIP): Phase.SHIPPED,
    (Phase.RAMPING, Trigger.SHIP): Phase.SHIPPED,
    (Phase.COMPLETED, Trigger.SHIP): Phase.SHIPPED,
    (Phase.SHIPPED, Trigger.SHIP): Phase.SHIPPED,
    # by itself, back to control
    (Phase.RAMPING, Trigger.BREACH): Phase.ROLLED_BACK,
    (Phase.RAMPING, Trigger.READINGS_MISSING): Phase.ROLLED_BACK,
    (Phase.RAMPING, Trigger.DEADLINE): Phase.ROLLED_BACK,
    (Phase.PENDING, Trigger.DEADLINE): Phase.ROLLED_BACK,
    # an edit of the steps never raises exposure
    (Phase.RAMPING, Trigger.STEPS_CHANGED): Phase.RAMPING,
    (Phase.RAMPING, Trigger.STEPS_ALL_HIGHER): Phase.PENDING,
    # upwards, one step at a time
    (Phase.PENDING, Trigger.STEP): Phase.RAMPING,
    (Phase.RAMPING, Trigger.STEP): Phase.RAMPING,
    (Phase.RAMPING, Trigger.COMPLETE): Phase.COMPLETED,
}
STARTED = frozenset({Phase.RAMPING, Phase.COMPLETED, Phase.SHIPPED})
LATCHED = frozenset({Phase.ROLLED_BACK, Phase.KILLED})
CAUSES = {Trigger.KILL: LatchCause.KILL, Trigger.DEADLINE: LatchCause.DEADLINE}


@dataclass(frozen=True, kw_only=True)
class Change:
    """A trigger that fired, with what it needs to be carried out and explained."""

    trigger: Trigger
    reason: Reason
    message: str
    step: int = -1
    """The index of the step that begins, for STEP and STEPS_CHANGED."""
    attempt: int = 0
    """The attempt that begins, for NEW_ATTEMPT."""
    variant: str | None = None
    """The variant that is shipped."""
    guardrail: str | None = None
    by: str | None = None


def is_allowed(phase: Phase, trigger: Trigger) -> bool:
    """Tell whether the table has this row."""
    return (phase, trigger) in TRANSITIONS


def steps_digest(steps: Sequence[Step]) -> str:
    """Identify the steps, so that an edit is noticed."""
    return digest([step.to_wire() for step in steps])


def highest_step(steps: Sequence[Step], percent: float) -> int:
    """Find the highest step that does not raise exposure above `percent`; -1 when every step would."""
    return max((index for index, step in enumerate(steps) if step.percent <= percent), default=-1)


def move(status: Status, change: Change, *, steps: Sequence[Step], now: datetime) -> Status:
    """Carry out a change that the table allows: the new phase, percentage, clocks, latch and history; KeyError otherwise (a bug)."""
    target = TRANSITIONS[status.phase, change.trigger]
    if target in LATCHED:
        moved = _end(status, change, now)
    elif target is Phase.SHIPPED:
        moved = _clear(status).model_copy(update={"percent": 100.0, "shipped": change.variant})
    elif change.trigger is Trigger.NEW_ATTEMPT:
        moved = _begin(status, change.attempt, now)
    elif target is Phase.COMPLETED:
        moved = status
    else:
        moved = start_step(status, change.step, steps=steps, now=now)
    moved = moved.model_copy(update={"phase": target})
    return moved.model_copy(update={"history": _remember(status, moved, change, now)})


def restart_clock(status: Status, now: datetime) -> Status:
    """Start the current step's clock again: it could not be obeyed until now. Who was exposed stays counted: pods count nobody anew."""
    return status.model_copy(update={"step_started_at": now})


def start_step(status: Status, step: int, *, steps: Sequence[Step], now: datetime) -> Status:
    """Serve a step's percentage and start its clock; step -1 is the time before the first."""
    if step < 0:
        return _clear(status).model_copy(update={"phase": Phase.PENDING, "step": -1, "percent": 0.0})
    return status.model_copy(
        update={
            "phase": Phase.RAMPING,
            "step": step,
            "percent": steps[step].percent,
            "step_started_at": now,
            "step_confirmed_at": None,
            "steps_digest": steps_digest(steps),
            # at the same percentage pods count nobody anew
            "exposures": status.exposures if status.percent == steps[step].percent else None,
        }
    )


def _end(status: Status, change: Change, now: datetime) -> Status:
    latch = Latch(
        attempt=status.attempt,
        at=now,
        cause=CAUSES.get(change.trigger, LatchCause.GUARDRAIL),
        guardrail=change.guardrail,
        from_percent=status.percent,
        message=change.message[:MESSAGE_LIMIT],
    )
    return _clear(status).model_copy(update={"percent": 0.0, "step": -1, "latch": latch, "shipped": None})


def _begin(status: Status, attempt: int, now: datetime) -> Status:
    fresh = {"attempt": attempt, "attempt_started_at": now, "percent": 0.0, "step": -1, "draw_digest": ""}
    return _clear(status).model_copy(
        update={**fresh, "latch": None, "shipped": None, "guardrails": (), "dispersions": (), "sample_ratios": ()}
    )


def _clear(status: Status) -> Status:
    """Stop the step's clock."""
    stopped = {"step_started_at": None, "step_confirmed_at": None, "next_step_at": None, "exposures": None, "steps_digest": ""}
    return status.model_copy(update=stopped)


def _remember(before: Status, after: Status, change: Change, now: datetime) -> tuple[Transition, ...]:
    entry = Transition(
        at=now,
        from_=before.phase,
        to=after.phase,
        percent=after.percent,
        reason=change.reason.value,
        message=change.message[:MESSAGE_LIMIT],
        by=change.by,
    )
    return (*before.history, entry)[-HISTORY_LIMIT:]
