"""The answer to "what does this unit see, and why?".

Knows words only. Must not know how an answer is found.
"""

from enum import StrEnum
from typing import Any, NamedTuple


class Reason(StrEnum):
    """Why a decision is what it is; in the order in which they are looked for, then the answers that no rule gave."""

    KILLED = "KILLED"
    ROLLED_BACK = "ROLLED_BACK"
    OVERRIDE = "OVERRIDE"
    NOT_ELIGIBLE = "NOT_ELIGIBLE"
    SHIPPED = "SHIPPED"
    NOT_ENROLLED = "NOT_ENROLLED"
    ENROLLED = "ENROLLED"
    UNKNOWN_GATE = "UNKNOWN_GATE"
    NO_UNIT = "NO_UNIT"
    ERROR = "ERROR"


class Label(StrEnum):
    """What metrics call a decision that put nobody into an arm; reserved, so no variant has such a name."""

    BASELINE = "baseline"
    INELIGIBLE = "ineligible"
    OVERRIDE = "override"
    NONE = "none"


class Decision(NamedTuple):
    """What was decided for one unit.

    `variant` is the name of the variant that is served, None when the caller's default is. `label` is the variant as metrics report it:
    the arm's name when ENROLLED, otherwise a `Label`. `percent` (0..100) and `attempt` are those of the rules that decided; `generation`
    is 0 when none did. `stale` says that the source has not confirmed its rules for longer than it was told to tolerate.
    A value that is a list or an object is shared by all decisions: do not change it.
    """

    gate: str
    variant: str | None
    value: Any
    reason: Reason
    generation: int = 0
    attempt: int = 0
    percent: float = 0
    label: str = Label.NONE
    stale: bool = False

    @property
    def is_drawn(self) -> bool:
        """Whether enrolment was drawn, so that this unit belongs to the comparison (an arm or the baseline)."""
        return self.reason in _DRAWN


_DRAWN = (Reason.ENROLLED, Reason.NOT_ENROLLED)
