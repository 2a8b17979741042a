"""One request under one decision: how long it took and how it ended.

Knows a decision and the audience. Must not know how the decision was made.
"""

from time import monotonic
from types import TracebackType
from typing import Any, Self

from rampgate.decision import Decision, Reason
from rampgate.evaluate import Memory
from rampgate.exposure import Audience


class Measurement:
    """A context manager around the work that a decision governs; its block may be synchronous or asynchronous.

    Has every field of its `decision`, by the same names, so that it reads like one. Counts the request with its outcome and duration. An
    exception that leaves the block is an error, and goes on; so is `fail()`.
    """

    __slots__ = ("_audience", "_failed", "_memory", "_started", "_unit", "decision")

    def __init__(self, decision: Decision, unit: str, memory: Memory | None, audience: Audience) -> None:
        self.decision = decision
        self._unit = unit
        self._memory = memory
        self._audience = audience
        self._failed = False
        self._started = monotonic()

    @property
    def gate(self) -> str:
        """The gate that was asked for."""
        return self.decision.gate

    @property
    def variant(self) -> str | None:
        """Name of the variant to serve; None when no rule answered."""
        return self.decision.variant

    @property
    def value(self) -> Any:  # noqa: ANN401 - any JSON
        """Value of the variant to serve."""
        return self.decision.value

    @property
    def reason(self) -> Reason:
        """Why this decision."""
        return self.decision.reason

    @property
    def generation(self) -> int:
        """Generation of the rules that decided; 0 when none did."""
        return self.decision.generation

    @property
    def attempt(self) -> int:
        """Attempt of the rules that decided; 0 when none did."""
        return self.decision.attempt

    @property
    def percent(self) -> float:
        """Percentage of the rules that decided, 0..100."""
        return self.decision.percent

    @property
    def label(self) -> str:
        """The variant as metrics report it."""
        return self.decision.label

    @property
    def stale(self) -> bool:
        """Whether the rules have not been confirmed for too long."""
        return self.decision.stale

    @property
    def is_drawn(self) -> bool:
        """Whether this unit belongs to the comparison."""
        return self.decision.is_drawn

    def fail(self) -> None:
        """Mark the request as an error that raised nothing, such as an answer with status 500."""
        self._failed = True

    def __enter__(self) -> Self:
        self._started = monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        seconds, failed = monotonic() - self._started, self._failed or kind is not None
        self._audience.finished(self.decision, self._unit, self._memory, seconds=seconds, failed=failed)
