"""The cells cut into parts, and the parts played on every core."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from benchmarks.guardrails.cells import SEED, Cell, Outcome, play_product, play_twin

CHUNK = {True: 100, False: 2_500}
"""Ramps that are played in one go: by the product, and by its twin."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A part of a cell."""

    cell: Cell
    ramps: int
    seed: tuple[int, ...]
    by_product: bool


def tasks(asked: list[Cell], ramps: int, by_product: int) -> Iterator[Task]:
    """Cut the cells into parts that keep every core busy."""
    for index, cell in enumerate(asked):
        product = min(ramps, by_product) if cell.is_short else 0
        for goes_by_product, number in ((True, product), (False, ramps - product)):
            chunk = CHUNK[goes_by_product]
            for first in range(0, number, chunk):
                seed = (SEED, index, first, int(goes_by_product))
                yield Task(cell=cell, ramps=min(chunk, number - first), seed=seed, by_product=goes_by_product)


def carry_out(task: Task) -> tuple[Outcome, float]:
    """Play a part; gives how it ended, and the CPU seconds it took."""
    began = time.process_time()
    outcome = (play_product if task.by_product else play_twin)(task.cell, ramps=task.ramps, seed=task.seed)
    return outcome, time.process_time() - began


def play_all(parts: Sequence[Task], tell: Callable[[Cell, Outcome, float], object]) -> dict[str, Outcome]:
    """Play every part, and tell of each cell once it is complete, with the CPU seconds it took."""
    missing = {task.cell.name: sum(other.cell.name == task.cell.name for other in parts) for task in parts}
    played: dict[str, list[tuple[Outcome, float]]] = {name: [] for name in missing}
    done: dict[str, Outcome] = {}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        asked = {pool.submit(carry_out, task): task.cell for task in parts}
        for each in as_completed(asked):
            cell = asked[each]
            played[cell.name].append(each.result())
            if len(played[cell.name]) == missing[cell.name]:
                outcomes, seconds = zip(*played.pop(cell.name), strict=True)
                done[cell.name] = Outcome(*(np.concatenate(columns) for columns in zip(*outcomes, strict=True)))
                tell(cell, done[cell.name], sum(seconds))
    return done
