"""From how the ramps ended to the figures that are recorded, and what each of them must be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.guardrails.cells import Cell, Outcome


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What a figure must be."""

    sign: str
    value: float

    def holds(self, figure: float) -> bool:
        """Whether the figure is on the right side."""
        return figure <= self.value if self.sign == "≤" else figure >= self.value

    def told(self, figure: float) -> str:
        """Say the figure beside what it must be."""
        return f"{figure:,.4g} ({self.sign} {self.value:g}){'' if self.holds(figure) else ' MISSED'}"


BARS = {
    "aa_false_rollback_50_looks_worst": Bar(sign="≤", value=0.03),
    "aa_false_rollback_any_worst": Bar(sign="≤", value=0.05),
    "aa_false_rollback_of_users": Bar(sign="≤", value=0.05),
    "found_1_to_2_worst": Bar(sign="≥", value=0.99),
    "median_requests_1_to_2_worst": Bar(sign="≤", value=1300),
    "median_requests_1_to_5_worst": Bar(sign="≤", value=200),
    "found_1_to_1_2_at_100rps": Bar(sign="≥", value=0.85),
    "srm_false_alarm_worst": Bar(sign="≤", value=0.001),
    "srm_5pct_loss_median_look": Bar(sign="≤", value=25),
    "looks_1000x3_queries": Bar(sign="≤", value=40),
    "looks_1000x3_cpu_s": Bar(sign="≤", value=6),
}


def missed(figures: Mapping[str, float]) -> list[str]:
    """Name the figures that are not what they must be."""
    return [name for name, figure in figures.items() if name in BARS and not BARS[name].holds(figure)]


def figures_of(asked: Sequence[Cell], outcomes: Mapping[str, Outcome]) -> dict[str, float]:
    """Give the figures of the ramps."""
    of_kind = {kind: [outcomes[cell.name] for cell in asked if cell.kind == kind] for kind in {cell.kind for cell in asked}}
    quick = [outcomes[cell.name] for cell in asked if cell.kind == "x5" and cell.world.per_second <= 100]
    return {
        "aa_false_rollback_50_looks_worst": max(map(rolled_back, of_kind["aa50"])),
        "aa_false_rollback_any_worst": max(map(rolled_back, of_kind["any"] + of_kind["aa50"])),
        "found_1_to_2_worst": min(map(rolled_back, of_kind["x2"])),
        "median_requests_1_to_2_worst": max(map(median_requests, of_kind["x2"])),
        "median_requests_1_to_5_worst": max(map(median_requests, quick)),
        "found_1_to_1_2_at_100rps": min(map(rolled_back, of_kind["x1.2"])),
    }


def rolled_back(outcome: Outcome) -> float:
    """Give the share that was rolled back."""
    return float(outcome.rolled_back.mean())


def median_requests(outcome: Outcome) -> float:
    """Give how many requests treatments had served, in the median of those that were rolled back; infinite when there are none."""
    return float(np.median(outcome.treated[outcome.rolled_back])) if outcome.rolled_back.any() else float("inf")
