"""Exact counts from the raw samples of counters (design §9): nothing is extrapolated, nothing counted twice.

Knows what a counter's samples mean: it only rises, a drop is a restart, a series without a past began at 0 if its past would be known. Must
not know where samples come from, nor what is counted.

Why not `increase()`: it extrapolates to the window's edges (counts grow by window/sampled span, up to two-fold), misses a new series' first
events, and over overlapping windows counts every event several times.

The past of a series. A window `(start, end]` is fetched with a margin before `start`; the last sample at or before `start` is the base, and
what rose from there counts. A series without one in the margin is either new-born (its first sample counts from 0) or was not scraped for
longer than the margin (a partition, a Prometheus that was down), and then counting from 0 would count its whole life again. The samples in
hand cannot tell these apart: `without_base` names such series, whoever fetches asks for their last value in a longer memory before the
window, and passes what it finds as `earlier`.

What is in no memory is new-born, unless the memory itself is new: a Prometheus that lost its database meets every counter for the first
time, at whatever it has counted in its life. `remembers_since` says from when on a source would have known a series' past; what it meets
before then begins at its first sample. Rather too few than twice: what is not counted is so in every arm.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

Identity: TypeAlias = frozenset[tuple[str, str]]
"""A series' labels without `__name__`, which functions drop."""

Sample: TypeAlias = tuple[int, float]
"""Milliseconds since the epoch (Prometheus' own unit, so that edges are exact), value."""

ALWAYS, NEVER = -math.inf, math.inf
"""Since when a source remembers."""

_NO_PAST: Mapping[Identity, float] = MappingProxyType({})


class Series(NamedTuple):
    """One counter's raw samples, ascending in time. A plain tuple, because a look at many gates makes a hundred thousand of them."""

    labels: Mapping[str, str]
    samples: Sequence[Sample]

    @property
    def identity(self) -> Identity:
        """What tells this series from others of the same metric."""
        return frozenset((name, value) for name, value in self.labels.items() if name != "__name__")


def increases(
    series: Iterable[Series],
    *,
    edges: Sequence[int],
    earlier: Mapping[Identity, float] = _NO_PAST,
    remembers: float = ALWAYS,
    label: str = "variant",
) -> tuple[dict[str, float], ...]:
    """Sum how much each counter rose in each window between two edges, by a label's value ("" where a series has none).

    Per series: begin at the last sample at or before the first edge, else at its `earlier` value, else at 0, or at its first sample where
    that is met before the source `remembers`; add every rise to the window that it is seen in; after a drop add the new value, for the
    counter began again at 0. Windows add up to the whole, whatever their edges.
    A label's value is in a window's result when one of its series has a sample there, with 0 if nothing rose.

    Args:
        series: raw samples that reach back beyond the first edge. NaN and infinities are no counts; stale markers never get this far.
        edges: milliseconds since the epoch, ascending, two at least; a window excludes its beginning and includes its end.
        earlier: the last value before the fetched samples, of series that `without_base` named.
        remembers: since when the source would know the past of what it meets, as `remembers_since` says.
        label: what to sum by.
    """
    windows = tuple(dict[str, float]() for _ in edges[1:])
    for one in series:
        previous: float | None = None
        for at, value in one.samples:
            edge = bisect_left(edges, at)
            if edge == len(edges):
                break
            if not math.isfinite(value):
                continue
            if edge:
                if previous is None:
                    unknown = 0.0 if at > remembers else value
                    previous = earlier.get(one.identity, unknown) if earlier else unknown
                window, group = windows[edge - 1], one.labels.get(label, "")
                window[group] = window.get(group, 0.0) + (value if value < previous else value - previous)
            previous = value
    return windows


def without_base(series: Iterable[Series], *, start: int, end: int) -> frozenset[Identity]:
    """Name the series that have samples in `(start, end]`, not all 0, and none at or before `start`: new-born, or back after a gap."""
    return frozenset(one.identity for one in series if _has_no_base(one.samples, start=start, end=end))


def _has_no_base(samples: Sequence[Sample], *, start: int, end: int) -> bool:
    for at, value in samples:
        if math.isfinite(value):
            if at <= start or at > end:
                return False
            if value:
                return True
    return False


def remembers_since(scrapes: Iterable[Series], *, margin: int) -> float:
    """Say from when on a source that began within these scrapes has met all that was there: a series that it meets later is new.

    Every target is scraped for the first time within an interval of the first of all; another one is for finding the targets. An interval
    is the longest first one of any target, but at most half the margin, which must hold two, and half of it while none was scraped twice.
    A scrape that failed has met nothing.

    Args:
        scrapes: the samples of `up`, 0 where a scrape failed, of all targets that may have what is counted, from the source's beginning on.
        margin: milliseconds.
    """
    scraped = [ats for one in scrapes if (ats := [at for at, is_up in one.samples if is_up])]
    if not scraped:
        return NEVER
    longest = max((second - first for first, second, *_ in (ats for ats in scraped if len(ats) > 1)), default=margin)
    return min(ats[0] for ats in scraped) + min(2 * longest, margin)
