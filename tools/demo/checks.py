"""What the demo promises, and the table that says whether it was kept.

Knows names, limits and results. Must not know how anything is measured.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Check(StrEnum):
    """Every promise, in the order of the table; one that the demo never came to has failed."""

    ACCEPTED = "kubectl apply is accepted and obeyed by 3 processes"
    REFUSED = "a bad manifest is refused, and told why"
    SHARE_1 = "1 % planned: share of users enrolled"
    SHARE_10 = "10 % planned: share of users enrolled"
    SHARE_50 = "50 % planned: share of users enrolled"
    STABLE = "no user changed arm or dropped out on the way up"
    RESTART = "operator SIGKILLed mid-hold: no step skipped or repeated"
    ROLLED_BACK = "30 % errors in the treatment: RolledBack, by itself"
    DECISION = "  breach visible in Prometheus -> decision"
    STATUS_SEEN = "  breach visible -> RolledBack seen by a watch"
    CONFIG_MAP = "  breach visible -> rules in the ConfigMap"
    OBEYED = "  decision -> the last of 3 processes obeys"
    REAPPLIED = "the same file applied again does not undo it"
    NEXT_ATTEMPT = "a higher attempt starts at 0 %"
    SUBTLE = "1 -> 2 % errors in the treatment: RolledBack, by itself"
    INCIDENT = "errors of both arms triple: no rollback"
    KILL = "kubectl patch killed -> the last of 3 processes obeys"
    BREAK_GLASS = "break-glass, operator down -> the last process obeys"
    BREAK_GLASS_HELD = "operator back: the ramp waits, waitingFor BreakGlass"


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one promise was kept. `seconds` is what was measured, `limit` the most it may be."""

    ok: bool
    seconds: float | None = None
    limit: float | None = None
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether it holds, within its limit."""
        in_time = self.limit is None or (self.seconds is not None and self.seconds <= self.limit)
        return self.ok and in_time


NOT_REACHED = Result(ok=False, detail="not reached")


@dataclass
class Report:
    """The results so far. `timed` says whether the limits are judged, or what was measured is only told."""

    results: dict[Check, Result] = field(default_factory=dict)
    timed: bool = True

    def record(
        self, check: Check, *, ok: bool = True, seconds: float | None = None, limit: float | None = None, detail: str = ""
    ) -> Result:
        """Note a result; the same promise is not judged twice (ValueError)."""
        if check in self.results:
            raise ValueError(f"{check.name} was already judged")
        self.results[check] = Result(ok=ok, seconds=seconds, limit=limit if self.timed else None, detail=detail)
        return self.results[check]

    def result(self, check: Check) -> Result:
        """Give a promise's result; NOT_REACHED when there is none."""
        return self.results.get(check, NOT_REACHED)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The promises that were not kept."""
        return tuple(check for check in Check if not self.result(check).passed)

    @property
    def exit_status(self) -> int:
        """0 when every promise was kept, else 1."""
        return 1 if self.failed else 0

    def table(self) -> str:
        """Draw the table: one line per promise."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        width = max(map(len, Check))
        yield f"{'':6}  {'check':{width}}  {'seconds':>7}  {'limit':>5}"
        yield f"{'-' * 6}  {'-' * width}  {'-' * 7}  {'-' * 5}  {'-' * 28}"
        for check in Check:
            result = self.result(check)
            verdict = "ok" if result.passed else "FAILED"
            yield f"{verdict:6}  {check:{width}}  {_number(result.seconds):>7}  {_number(result.limit):>5}  {result.detail}".rstrip()
        yield f"{len(Check) - len(self.failed)} of {len(Check)} ok"


def _number(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f}"
