"""`python -m benchmarks.guardrails`: how often healthy ramps are rolled back, and how soon sick ones are; beside what was promised.

Ramps of 50 looks go through the product's own look, verdict and decision; longer ones through a twin that a test holds equal to it.
`--record` writes benchmarks/results/guardrails.json. Ends with 1 when a bar is missed.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.guardrails.cells import SEED, Cell, Outcome, cells, measure
from benchmarks.guardrails.exposures import sample_ratio_figures
from benchmarks.guardrails.figures import BARS, figures_of, missed
from benchmarks.scale import record, say

RESULTS = Path(__file__).parents[1] / "results" / "guardrails.json"
CHUNK = {True: 250, False: 2_500}
"""Ramps that are played in one go: by the product, and by its twin."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A part of a cell."""

    cell: int
    ramps: int
    seed: tuple[int, ...]


def tasks(asked: list[Cell], ramps: int) -> Iterator[Task]:
    """Cut the cells into parts that keep every core busy."""
    for index, cell in enumerate(asked):
        chunk = CHUNK[cell.is_product]
        for first in range(0, ramps, chunk):
            yield Task(cell=index, ramps=min(chunk, ramps - first), seed=(SEED, index, first))


def carry_out(task: Task) -> tuple[int, Outcome, float]:
    """Play a part; gives its cell, how it ended, and the CPU seconds it took."""
    began = time.process_time()
    outcome = measure(list(cells())[task.cell], ramps=task.ramps, seed=task.seed)
    return task.cell, outcome, time.process_time() - began


def play_all(asked: list[Cell], ramps: int) -> dict[str, Outcome]:
    """Play every cell on all cores, and tell each once it is complete."""
    parts: dict[int, list[Outcome]] = {}
    took: dict[int, float] = {}
    done: dict[str, Outcome] = {}
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for index, outcome, seconds in pool.imap_unordered(carry_out, tasks(asked, ramps)):
            parts.setdefault(index, []).append(outcome)
            took[index] = took.get(index, 0.0) + seconds
            if sum(part.looks.size for part in parts[index]) == ramps:
                done[asked[index].name] = whole = Outcome(*(np.concatenate(columns) for columns in zip(*parts.pop(index), strict=True)))
                say(f"{asked[index].name:<60}{told(whole)}{took[index]:>8.0f} s of CPU")
    return done


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
    options = parser.parse_args()
    asked = list(cells())
    say(f"{options.ramps:,} ramps of each kind: rolled back, after how many looks and requests of treatment (medians)")
    outcomes = play_all(asked, options.ramps)
    figures = figures_of(asked, outcomes) | sample_ratio_figures(options.ramps, say)
    record(figures, RESULTS if options.record else None)
    for name, bar in BARS.items():
        say(
            f"{name}: {figures[name]:,.3f} {bar.sign} {bar.value:g}{'' if bar.holds(figures[name]) else '  MISSED'}"
            if name in figures
            else f"{name}: not measured"
        )
    return int(bool(missed(figures)))


if __name__ == "__main__":
    sys.exit(main())
