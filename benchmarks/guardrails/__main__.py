"""`python -m benchmarks.guardrails`: how often healthy ramps are rolled back, and how soon sick ones are; beside what was promised.

Ramps of 50 looks go through the product's own look, verdict and decision; longer ones through a twin that a test holds equal to it.
`--record` writes benchmarks/results/guardrails.json. Ends with 1 when a bar is missed.
"""

import argparse
import importlib
import sys
from pathlib import Path

import numpy as np

from benchmarks.guardrails.cells import Cell, Outcome, cells
from benchmarks.guardrails.clusters import tell_users
from benchmarks.guardrails.exposures import sample_ratio_figures
from benchmarks.guardrails.figures import BARS, figures_of, missed
from benchmarks.guardrails.parts import play_all, tasks
from benchmarks.scale import record, say

CLUSTERED = 20
"""Ramps of users who come back take twenty times as long."""
RESULTS = Path(__file__).parents[1] / "results" / "guardrails.json"


def tell(cell: Cell, outcome: Outcome, seconds: float) -> None:
    """Say how a cell ended, and what it cost."""
    say(f"{cell.name:<48}{told(outcome)}{seconds:>8.0f} s of CPU")


def told(outcome: Outcome) -> str:
    """Say how often, and then when."""
    share = f"{100 * outcome.rolled_back.mean():>8.2f} %"
    if not outcome.rolled_back.any():
        return f"{share}{'–':>8}{'–':>10}"
    looks, treated = (np.median(column[outcome.rolled_back]) for column in (outcome.looks, outcome.treated))
    return f"{share}{looks:>8.0f}{treated:>10,.0f}"


def main() -> int:
    """Play, print, check the bars, and with `--record` write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guardrails", description=__doc__)
    parser.add_argument("--ramps", type=int, default=10_000, help="how many of each kind (default: %(default)s)")
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/guardrails.json")
    parser.add_argument(
        "--by-product",
        type=int,
        default=sys.maxsize,
        metavar="N",
        help="how many of them, of 50 looks, go through the product's own path, the others through its twin (default: all)",
    )
    options = parser.parse_args()
    asked = list(cells())
    say(f"{options.ramps:,} ramps of each kind: rolled back, after how many looks and requests of treatment (medians)")
    outcomes = play_all(list(tasks(asked, options.ramps, options.by_product)), tell)
    figures = figures_of(asked, outcomes) | sample_ratio_figures(options.ramps, say) | look_figures()
    figures |= tell_users(max(1, options.ramps // CLUSTERED), say)
    record(figures, RESULTS if options.record else None)
    for name, bar in BARS.items():
        say(f"{name}: {bar.told(figures[name])}" if name in figures else f"{name}: not measured")
    return int(bool(missed(figures)))


def look_figures() -> dict[str, float]:
    """What one look of 1,000 Experiments costs, measured by another benchmark."""
    try:
        looks = importlib.import_module("benchmarks.looks")
    except ModuleNotFoundError:
        say("one look of 1,000 Experiments: left out, for there is no benchmarks.looks")
        return {}
    measured: dict[str, float] = looks.measure()
    return {name: figure for name, figure in measured.items() if name in BARS}


if __name__ == "__main__":
    sys.exit(main())
