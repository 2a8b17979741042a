"""Which processes a gate's exposures come from, by the scrape's targets.

Knows the labels that tell a target's own metrics apart; what remains names the target. Must not know where samples come from.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from rampgate_operator.core.counting import Sample, Series

Target: TypeAlias = tuple[tuple[str, str], ...]
ByTarget: TypeAlias = Mapping[Target, Sequence[Sequence[Sample]]]
"""The samples of each of a target's series."""

MOST_PROCESSES = 1e6
"""That a target is believed to have: the number is a tenant's to export, and the sum of two may be none."""
_NOT_THE_TARGETS = frozenset({"__name__", "gate", "variant", "reason", "outcome", "le"})
"""What the SDK labels its metrics with."""


def by_target(series: Iterable[Series]) -> ByTarget:
    """Put together what comes from one target."""
    found: dict[Target, list[Sequence[Sample]]] = {}
    for one in series:
        target = tuple(sorted(label for label in one.labels.items() if label[0] not in _NOT_THE_TARGETS))
        found.setdefault(target, []).append(one.samples)
    return found


def settled(exposures: ByTarget, generations: ByTarget, *, edges: Sequence[int], generation: int, margin: int) -> tuple[bool, ...]:
    """Say of each window whether all targets that reported in it ran these rules, or later ones, from its beginning on.

    The beginning is the last sample at or before it, if it is no older than the margin in milliseconds, else the first one within. A target
    that does not tell its generation is not settled, nor is a window in which none reported.
    """
    reported: list[set[Target]] = [set() for _ in edges[1:]]
    for target, series in (*exposures.items(), *generations.items()):
        for at in (at for samples in series for at, _ in samples):
            if 0 < (edge := bisect_left(edges, at)) < len(edges):
                reported[edge - 1].add(target)
    return tuple(
        bool(targets)
        and all(_first(generations.get(target, ()), after=start - margin, start=start, end=end) >= generation for target in targets)
        for targets, start, end in zip(reported, edges, edges[1:], strict=False)
    )


def count_processes(exposures: ByTarget, processes: ByTarget, *, edges: Sequence[int], margin: int) -> float:
    """Sum the processes of the targets that have exposed anybody: the most that each of them had, and 1 where it does not tell.

    What only has the gate's rules, and stands at 0, counts no unit twice. Targets that were scraped in the margin before the windows, in
    milliseconds, count as well: windows may be shorter than the time between two scrapes.
    """
    start, end = edges[0] - margin, edges[-1]
    counts = (
        max((value for samples in processes.get(target, ()) for at, value in samples if start < at <= end), default=1.0)
        for target, series in exposures.items()
        if any(start < at <= end and value > 0 for samples in series for at, value in samples)
    )
    return max(1.0, math.fsum(min(count, MOST_PROCESSES) for count in counts if math.isfinite(count)))


def _first(series: Sequence[Sequence[Sample]], *, after: int, start: int, end: int) -> float:
    """Give the generation that a target's gauge, of which it has one, had at the start or first told after it."""
    found = -math.inf
    for at, value in (sample for samples in series for sample in samples):
        if at > start and (at > end or found > -math.inf):
            break
        found = value if at > after else found
    return found
