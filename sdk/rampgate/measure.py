"""One request under one decision: how long it took and how it ended.

Knows a decision and the audience. Must not know how the decision was made.
"""

from time import monotonic
from types import TracebackType
from typing import Any, Self

from rampgate.decision import Decision, Reason
from rampgate.evaluate import Memory
from rampgate.exposure import Audience

SERVER_ERROR = 500


class Measurement:
    """A context manager around the work that a decision governs, for `with` and `async with`; its block may await either way.

    Has every field of its `decision`, by the same names, so that it reads like one. Counts the request with its outcome and duration.
    An `Exception` that leaves the block is an error, and goes on; so is `fail()`, and `status()` of 500 or more. Whatever else ends the
    block is none, for somebody else ended it: a cancelled task, a generator that nobody reads on, Ctrl-C, `sys.exit`.
    Nothing here raises.
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
        """Mark the request as an error that raised nothing."""
        self._failed = True

    def status(self, code: int) -> None:
        """Tell the status of the answer: 500 or more is an error. A later one does not make good for it."""
        if isinstance(code, int) and code >= SERVER_ERROR:
            self._failed = True

    def record(self, outcome: str, value: float = 1.0) -> None:
        """Count something else that happened, such as `record("order", 19.90)`: how often, and the sum of what it was worth.

        `value` is finite and not negative, else nothing is recorded and the log says so. Names beyond the first 100, and long ones,
        become `_other`.
        """
        self._audience.recorded(self.decision, outcome, value)

    def end(self, *, failed: bool = False) -> None:
        """Count the request now, for whom a `with` block does not fit; what leaves the block is told by `failed`."""
        self._audience.finished(self.decision, self._unit, self._memory, seconds=monotonic() - self._started, failed=self._failed or failed)

    def __enter__(self) -> Self:
        self._started = monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end(failed=kind is not None and issubclass(kind, Exception))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.__exit__(kind, error, trace)
