"""Exact counts from the raw samples of counters (design §9): nothing is extrapolated, nothing counted twice.

Knows what a counter's samples mean: it only rises, a drop is a restart, a series without a past began at 0. Must not know where samples
come from, nor what is counted.

Why not `increase()`: it extrapolates to the window's edges (counts grow by window/sampled span, up to two-fold), misses a new series' first
events, and over overlapping windows counts every event several times.

The past of a series. A window `(start, end]` is fetched with a margin before `start`; the last sample at or before `start` is the base, and
what rose from there counts. A series without one in the margin is either new-born (its first sample counts from 0) or was not scraped for
longer than the margin (a partition, a Prometheus that was down), and then counting from 0 would count its whole life again. The samples in
hand cannot tell these apart: `without_base` names such series, whoever fetches asks for their last value in a longer memory before the
window, and passes what it finds as `earlier`. In no memory = new-born.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

Identity: TypeAlias = frozenset[tuple[str, str]]
"""A series' labels without `__name__`, which functions drop."""

Sample: TypeAlias = tuple[int, float]
"""Milliseconds since the epoch (Prometheus' own unit, so that edges are exact), value."""

_NO_PAST: Mapping[Identity, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Series:
    """One counter's raw samples, ascending in time."""

    labels: Mapping[str, str]
    samples: tuple[Sample, ...]

    @property
    def identity(self) -> Identity:
        """What tells this series from others of the same metric."""
        return frozenset((name, value) for name, value in self.labels.items() if name != "__name__")


def increases(
    series: Iterable[Series], *, start: int, end: int, earlier: Mapping[Identity, float] = _NO_PAST, label: str = "variant"
) -> dict[str, float]:
    """Sum how much each counter rose in `(start, end]`, by a label's value ("" where a series has none).

    Per series: begin at the last sample at or before `start`, else at its `earlier` value, else at 0; add every rise; after a drop add the
    new value, for the counter began again at 0. Consecutive windows add up to the whole, whatever their edges. A label's value is in the
    result when one of its series has a sample in the window, with 0 if nothing rose.

    Args:
        series: raw samples that reach back beyond `start`.
        start: milliseconds since the epoch, exclusive.
        end: milliseconds since the epoch, inclusive.
        earlier: the last value before the fetched samples, of series that `without_base` named.
        label: what to sum by.
    """
    totals: dict[str, float] = {}
    for one in series:
        base, inside = _split(one, start=start, end=end)
        if inside:
            first = earlier.get(one.identity, 0.0) if base is None else base
            group = one.labels.get(label, "")
            totals[group] = totals.get(group, 0.0) + math.fsum(_rises(first, inside))
    return totals


def without_base(series: Iterable[Series], *, start: int, end: int) -> frozenset[Identity]:
    """Name the series that have samples in `(start, end]`, not all 0, and none at or before `start`: new-born, or back after a gap."""
    found = set()
    for one in series:
        base, inside = _split(one, start=start, end=end)
        if base is None and any(inside):
            found.add(one.identity)
    return frozenset(found)


def _split(series: Series, *, start: int, end: int) -> tuple[float | None, list[float]]:
    # NaN and infinities are no counts; Prometheus does not return its stale markers at all.
    finite = [(at, value) for at, value in series.samples if math.isfinite(value)]
    base = next((value for at, value in reversed(finite) if at <= start), None)
    return base, [value for at, value in finite if start < at <= end]


def _rises(previous: float, values: Iterable[float]) -> Iterator[float]:
    for value in values:
        yield value if value < previous else value - previous
        previous = value
